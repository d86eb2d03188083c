# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The role reverse_proxy alone: what arrives behind the proxy, and what comes back, and when."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from live_site import Site
from web import Client

testinfra_hosts = ["ansible://proxy"]

BINDERS = {"/binderhub/": "30585", "/private/binderhub/": "30586"}
HUBS = {"/jupyterhub/": "127.0.0.2:80", "/private/jupyterhub/": "127.0.0.3:80"}
PATHS = [*BINDERS, *HUBS]
PAUSE = 0.5


@pytest.fixture
def authority(host: Any, site: Site) -> str:
    """Return host and port that people come to."""
    return f"{site.told[host.backend.host]['connection']['ansible_host']}:8080"


@pytest.fixture
def log(host: Any) -> Callable[[str, str], str]:
    """Return a function that reads a path's log."""
    return lambda path, kind: host.check_output(
        f"cat /var/log/nginx/{path.strip('/').replace('/', '.')}.{kind}.log"
    )


def test_binder_paths_lead_to_every_node(authority: str) -> None:
    for path, port in BINDERS.items():
        answers = [Client().get(f"http://{authority}{path}versions").json() for _ in range(8)]
        assert {answer["server"] for answer in answers} == {f"127.0.0.2:{port}", f"127.0.0.3:{port}"}
        assert {answer["path"] for answer in answers} == {f"{path}versions"}


def test_hub_paths_lead_to_their_floating_address(authority: str) -> None:
    for path, server in HUBS.items():
        assert Client().get(f"http://{authority}{path}hub/api").json()["server"] == server


def test_a_name_of_its_own_leads_to_its_hub(authority: str, host: Any) -> None:
    """The same paths as of the site's own name, and logs beside them."""
    client, url = Client(address=authority), "http://named.example.org:8080"
    mark = uuid.uuid4().hex
    answers = [client.get(f"{url}/binderhub/{mark}").json() for _ in range(8)]
    assert {answer["server"] for answer in answers} == {"127.0.0.2:30587", "127.0.0.3:30587"}
    assert client.get(f"{url}/jupyterhub/hub/api").json()["server"] == "127.0.0.4:80"
    assert client.get(f"{url}/private/binderhub/").status == 404
    assert client.get(f"{url}/binderhub/metrics").status == 404
    assert host.check_output(f"grep -c {mark} /var/log/nginx/named.example.org.binderhub.access.log") == "8"
    assert host.run(f"grep -q {mark} /var/log/nginx/binderhub.access.log").rc == 1
    # A name that nobody has is the site's.
    other = client.get("http://other.example.org:8080/jupyterhub/hub/api").json()
    assert other["server"] == "127.0.0.2:80"


@pytest.mark.parametrize("path", PATHS)
def test_events_arrive_one_by_one(authority: str, path: str) -> None:
    times = [seconds for seconds, _ in Client().events(f"http://{authority}{path}events")]
    assert len(times) == 3
    assert [later - earlier for earlier, later in zip(times, times[1:], strict=False)] == pytest.approx(
        [PAUSE] * 2, abs=0.3
    )


@pytest.mark.parametrize("path", PATHS)
def test_websockets_are_upgraded(authority: str, path: str) -> None:
    answer, echo = Client().websocket(f"http://{authority}{path}api/kernels/channels", b"hello")
    assert (answer.status, echo) == (101, b"hello")
    assert answer.json()["headers"]["connection"] == "upgrade"


@pytest.mark.parametrize("path", PATHS)
def test_clients_cannot_claim_another_address(authority: str, path: str) -> None:
    forged = "203.0.113.9"
    claims = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded"), forged)
    claims.update({"X-Forwarded-Proto": "https", "X-Scheme": "https"})
    headers = Client().get(f"http://{authority}{path}", claims).json()["headers"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((authority.split(":", 1)[0], 9))
        own = probe.getsockname()[0]
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == own
    assert headers["x-forwarded-proto"] == headers["x-scheme"] == "http"
    assert headers["host"] == headers["x-forwarded-host"] == authority
    assert forged not in str(headers)


def test_paths_without_their_slash_are_redirected(authority: str) -> None:
    for path in PATHS:
        answer = Client().get(f"http://{authority}{path[:-1]}?a=b")
        assert (answer.status, answer.headers["location"]) == (302, f"{path}?a=b")
    answer = Client().get(f"http://{authority}/")
    assert (answer.status, answer.headers["location"]) == (302, "/binderhub/")


def test_unknown_paths_and_the_version_stay_closed(authority: str) -> None:
    answer = Client().get(f"http://{authority}/binderhubs/")
    assert (answer.status, answer.headers["server"]) == (404, "nginx")
    # Only the machine itself learns which configuration runs.
    assert Client().get(f"http://{authority}/.ironbinder/generation").body == b""


@pytest.mark.parametrize(
    "path", ["/binderhub/", "/private/binderhub/", "/jupyterhub/hub/", "/private/jupyterhub/hub/"]
)
@pytest.mark.parametrize(
    "spelled", ["metrics", "metrics/", "/metrics", "METRICS", "%6detrics", "x/../metrics"]
)
def test_metrics_stay_closed(authority: str, path: str, spelled: str) -> None:
    assert Client().get(f"http://{authority}{path}{spelled}").status == 404
    assert Client().get(f"http://{authority}{path}{spelled}x").status == 200


def nginx_state(host: Any) -> dict[str, str]:
    """Return what systemd says of NGINX."""
    told = host.check_output("systemctl show --property MainPID,ActiveState nginx")
    return dict(line.split("=", 1) for line in told.splitlines())


@pytest.mark.parametrize("signal", ["KILL", "TERM", "SEGV"])
def test_nginx_comes_back_however_it_ends(
    host: Any, authority: str, eventually: Callable[..., Any], signal: str
) -> None:
    ended = nginx_state(host)["MainPID"]
    assert ended != "0"
    host.run_expect([0], "kill -%s %s", signal, ended)

    def lacking() -> dict[str, str]:
        now = nginx_state(host)
        return {} if now["ActiveState"] == "active" and now["MainPID"] not in ("0", ended) else now

    assert eventually(lacking, seconds=10, pause=0.5) == {}
    assert Client().get(f"http://{authority}/binderhub/").status == 200


def test_an_nginx_that_was_stopped_stays_stopped(host: Any, eventually: Callable[..., Any]) -> None:
    host.run_expect([0], "systemctl stop nginx")
    try:
        # Longer than a restart takes.
        still = eventually(lambda: nginx_state(host)["ActiveState"] == "inactive", seconds=6, pause=1)
        assert still, nginx_state(host)
    finally:
        host.run_expect([0], "systemctl start nginx")


def test_logs_are_kept_by_path_without_tokens(authority: str, log: Callable[[str, str], str]) -> None:
    marks = {path: uuid.uuid4().hex for path in PATHS}
    for path, mark in marks.items():
        Client().get(
            f"http://{authority}{path}{mark}?token=canary", {"Referer": "http://somewhere/?token=canary"}
        )
    for path in PATHS:
        text = log(path, "access")
        assert [other for other, mark in marks.items() if mark in text] == [path]
        assert "canary" not in text


def test_logs_are_closed_to_others(host: Any) -> None:
    for path in PATHS:
        for kind in ("access", "error"):
            file = host.file(f"/var/log/nginx/{path.strip('/').replace('/', '.')}.{kind}.log")
            assert (file.user, file.mode) == ("www-data", 0o640)


def test_a_dead_hub_is_logged_under_its_path(
    host: Any, authority: str, log: Callable[[str, str], str]
) -> None:
    host.run_expect([0], "systemctl stop ironbinder-stand-in")
    try:
        assert Client().get(f"http://{authority}/private/jupyterhub/hub").status == 502
    finally:
        host.run_expect([0], "systemctl start ironbinder-stand-in")
    assert "127.0.0.3:80" in log("/private/jupyterhub/", "error")
    assert "127.0.0.3:80" not in log("/jupyterhub/", "error")


def test_somebodys_site_made_way_and_is_kept(host: Any) -> None:
    """As prepare.yml wrote it; with consent it is served no more."""
    assert not host.file("/etc/nginx/sites-enabled/default").exists
    assert "somebody's wiki" in host.file("/etc/nginx/sites-available/default").content_string
