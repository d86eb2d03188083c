# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The template of role reverse_proxy, rendered by Ansible and run by a real NGINX where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nginx_machine import needs_nginx
from proxy_machine import CASES, Machine

# What the template wrote of the same cases before.
BEFORE = Path(__file__).parents[1] / "data/nginx"


@needs_nginx
@pytest.mark.parametrize("name", CASES)
def test_nginx_accepts_every_case(
    name: str, rendered: dict[str, str], certificate: Path, tmp_path: Path
) -> None:
    assert Machine(tmp_path, rendered[name], certificate).test() == ""


@pytest.mark.parametrize("file", sorted(BEFORE.glob("*.conf")), ids=lambda file: file.stem)
def test_a_site_with_one_name_keeps_its_text(file: Path, rendered: dict[str, str]) -> None:
    """These were written before hubs could have names of their own: another text would reload every NGINX for nothing."""
    assert rendered[file.stem.replace("_", " ")] == file.read_text()


def test_each_name_has_a_block_and_logs_of_its_own(rendered: dict[str, str]) -> None:
    text = rendered["hosts tls"]
    assert text.count("listen 443 ssl http2 default_server;") == text.count("listen 80 default_server;") == 1
    assert text.count("server_name hub.example.org;") == text.count("server_name private.example.org;") == 2
    assert text.index("listen 443 ssl http2 default_server;") < text.index("listen 443 ssl http2;")
    assert text.count("ssl_certificate /etc/nginx/ironbinder.pem;") == 1
    assert text.count("ssl_certificate /etc/nginx/ironbinder.private.example.org.pem;") == 1
    assert text.count("location = /.ironbinder/generation") == 1
    assert text.count("location = /robots.txt") == 2
    for log in ("binderhub", "private.example.org.binderhub", "private.example.org.private.jupyterhub"):
        assert text.count(f"/var/log/nginx/{log}.access.log ") == 2
    alone = rendered["another host only"]
    assert "hub.example.org" not in alone
    assert "/etc/nginx/ironbinder.pem" not in alone


def test_addresses_are_listened_on_as_the_machine_has_them(rendered: dict[str, str]) -> None:
    assert "listen [::]:80 default_server;" in rendered["ipv6"]
    assert "[::]" not in rendered["plain"]
    assert "server [2001:db8::1]:30585 " in rendered["root"]


@needs_nginx
def test_names_lead_to_their_hubs(start: Callable[..., Machine]) -> None:
    machine = start("hosts")
    client, port = machine.client(), machine.upstreams
    for url, servers in {
        "http://hub.example.org/binderhub/x": {f"127.0.0.{last}:{port['30585']}" for last in (1, 2)},
        "http://private.example.org/binderhub/x": {f"127.0.0.{last}:{port['30586']}" for last in (1, 2)},
        "http://private.example.org/private/binderhub/x": {
            f"127.0.0.{last}:{port['30587']}" for last in (1, 2)
        },
        "http://private.example.org/jupyterhub/x": {f"127.0.0.2:{port['80']}"},
        # A name that nobody has is the site's.
        "http://elsewhere.example.org/jupyterhub/x": {f"127.0.0.1:{port['80']}"},
    }.items():
        assert {client.get(url).json()["server"] for _ in range(8)} == servers, url
    assert client.get("http://hub.example.org/private/binderhub/").status == 404
    assert client.get("http://private.example.org/binderhub/metrics").status == 404
    assert client.get("http://private.example.org/").headers["location"] == "/binderhub/"
    assert client.get("http://hub/.ironbinder/generation").body == b"@generation@"


@needs_nginx
def test_names_have_their_certificates(
    start: Callable[..., Machine], certificate: Path, own_certificate: Path
) -> None:
    machine = start("hosts tls")
    for name, bundle in (("hub", certificate), ("private", own_certificate)):
        url = f"{name}.example.org/jupyterhub/?a=b"
        plain = machine.client().get(f"http://{url}")
        assert (plain.status, plain.headers["location"]) == (301, f"https://{url}")
        answer = replace(machine.client(443), ca_files=[str(bundle)]).get(f"https://{url}")
        assert answer.json()["headers"]["x-forwarded-host"] == f"{name}.example.org"
        assert answer.headers["strict-transport-security"] == "max-age=300"
    assert machine.client().get("http://hub/.ironbinder/generation").body == b"@generation@"
    unknown = machine.client().get("http://elsewhere.example.org/a")
    assert unknown.headers["location"] == "https://hub.example.org/a"


@needs_nginx
def test_paths_lead_to_their_hubs(start: Callable[..., Machine]) -> None:
    machine = start("plain")
    client = machine.client()
    port = machine.upstreams
    for path, servers in {
        "/binderhub/versions": {f"127.0.0.1:{port['30585']}", f"127.0.0.2:{port['30585']}"},
        "/private/binderhub/": {f"127.0.0.1:{port['30586']}", f"127.0.0.2:{port['30586']}"},
        "/jupyterhub/hub/api": {f"127.0.0.1:{port['80']}"},
        "/private/jupyterhub/hub/api": {f"127.0.0.2:{port['80']}"},
    }.items():
        answers = [client.get(f"http://hub{path}").json() for _ in range(8)]
        assert {answer["path"] for answer in answers} == {path}
        assert {answer["server"] for answer in answers} == servers
    for path, target in {
        "/binderhub": "/binderhub/",
        "/jupyterhub?a=b": "/jupyterhub/?a=b",
        "/": "/binderhub/",
    }.items():
        answer = client.get(f"http://hub{path}")
        assert (answer.status, answer.headers["location"]) == (302, target)
    assert client.get("http://hub/elsewhere").status == 404
    assert client.get("http://hub/binderhubs").status == 404
    assert client.get("http://hub/.ironbinder/generation").body == b"@generation@"
    assert (
        client.get("http://hub/binderhub/").headers["server"]
        == client.get("http://hub/").headers["server"]
        == "nginx"
    )


@needs_nginx
def test_a_dead_node_is_passed_over(start: Callable[..., Machine]) -> None:
    machine = start("plain", lambda text: text.replace("127.0.0.2:30585", "127.0.0.3:30585"))
    assert {machine.client().get("http://hub/binderhub/").status for _ in range(8)} == {200}


@needs_nginx
def test_claims_of_clients_are_replaced(start: Callable[..., Machine]) -> None:
    claims = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Scheme": "https",
        "X-Forwarded-Host": "evil.example.org",
        "Forwarded": "for=203.0.113.9;proto=https",
    }
    headers = start("plain").client().get("http://hub.example.org:8080/binderhub/", claims).json()["headers"]
    assert headers["host"] == headers["x-forwarded-host"] == "hub.example.org:8080"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == headers["x-scheme"] == "http"
    assert "forwarded" not in headers


@needs_nginx
def test_events_arrive_one_by_one(start: Callable[..., Machine]) -> None:
    client = start("plain").client()
    for path in ("/binderhub/events", "/jupyterhub/events"):
        # A busy machine may let some arrive late, and so together: each of many times would be a buffer's work.
        for _ in range(20):
            times = [seconds for seconds, _ in client.events(f"http://hub{path}")]
            assert len(times) == 3
            if times[0] < 0.4 < times[1] < 0.9 < times[2]:
                break
        else:
            raise AssertionError(f"{path}: the last ones arrived after {times} s")


@needs_nginx
def test_the_check_of_events_notices_a_buffer(start: Callable[..., Machine]) -> None:
    client = start("plain", lambda text: text.replace("proxy_buffering off;", "")).client()
    times = [seconds for seconds, _ in client.events("http://hub/binderhub/events")]
    assert times[0] > 0.9


@needs_nginx
def test_websockets_pass(start: Callable[..., Machine]) -> None:
    client = start("plain").client()
    answer, echo = client.websocket("http://hub/jupyterhub/user/a/api/kernels?token=canary", b"hello")
    assert (answer.status, echo) == (101, b"hello")
    assert answer.json()["headers"]["x-forwarded-for"] == "127.0.0.1"


@needs_nginx
def test_logs_are_kept_by_path_and_without_tokens(start: Callable[..., Machine]) -> None:
    machine = start("plain")
    machine.client().get("http://hub/jupyterhub/user/a?token=canary", {"Referer": "http://hub/?token=canary"})
    machine.client().get("http://hub/private/binderhub/")
    wanted = {
        "jupyterhub.access.log": "/jupyterhub/user/a HTTP/1.1",
        "private.binderhub.access.log": "/private/binderhub/ HTTP/1.1",
    }
    # NGINX writes its log after the client has had its answer.
    end = time.monotonic() + 60
    while any(line not in (machine.folder / name).read_text() for name, line in wanted.items()):
        assert time.monotonic() < end, {name: (machine.folder / name).read_text() for name in wanted}
        time.sleep(0.02)
    assert (machine.folder / "binderhub.access.log").read_text() == ""
    assert "canary" not in "".join(file.read_text() for file in machine.folder.glob("*.log"))


@needs_nginx
def test_tls(start: Callable[..., Machine], certificate: Path) -> None:
    machine = start("tls")
    plain = machine.client().get("http://other.example.org/jupyterhub/?a=b")
    assert (plain.status, plain.headers["location"]) == (301, "https://hub.example.org/jupyterhub/?a=b")
    assert machine.client().get("http://hub/.ironbinder/generation").body == b"@generation@"
    client = replace(machine.client(443), ca_files=[str(certificate)])
    answer = client.get("https://hub.example.org/jupyterhub/", {"X-Forwarded-For": "203.0.113.9"})
    headers = answer.json()["headers"]
    assert answer.headers["strict-transport-security"] == "max-age=300"
    assert headers["x-forwarded-proto"] == "https"
    # 127.0.0.1 is a trusted proxy in this case, so its word on the client counts.
    assert headers["x-forwarded-for"] == "203.0.113.9"
    assert client.get("https://hub.example.org/binderhub").headers["location"] == "/binderhub/"
    assert client.websocket("https://hub.example.org/jupyterhub/", b"hello")[1] == b"hello"
