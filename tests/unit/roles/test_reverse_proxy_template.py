# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The template of role reverse_proxy, rendered by Ansible and run by a real NGINX where there is one."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/infra"))

from nginx_machine import NGINX, free_port, needs_nginx, start_nginx
from web import Client

ROLE = ROOT / "roles/reverse_proxy"
STAND_IN = ROOT / "molecule/proxy/files/stand_in.py"

HUBS: dict[str, dict[str, Any]] = {
    "binder": {
        "binder_base_url": "/binderhub/",
        "hub_base_url": "/jupyterhub/",
        "node_port": 30585,
        "floating_ip": "127.0.0.1",
    },
    "private": {
        "binder_base_url": "/private/binderhub/",
        "hub_base_url": "/private/jupyterhub/",
        "node_port": 30586,
        "floating_ip": "127.0.0.2",
    },
}
PLAIN: dict[str, Any] = {
    "reverse_proxy_public_url": "http://127.0.0.1",
    "reverse_proxy_hubs": HUBS,
    "reverse_proxy_node_addresses": ["127.0.0.1", "127.0.0.2"],
}
CASES: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "port": {**PLAIN, "reverse_proxy_public_url": "http://hub.example.org:8080/"},
    "tls": {
        **PLAIN,
        "reverse_proxy_public_url": "https://hub.example.org",
        "reverse_proxy_hsts_seconds": 300,
        "reverse_proxy_trusted_proxies": ["127.0.0.1"],
    },
    "root": {
        **PLAIN,
        "reverse_proxy_hubs": {"binder": {**HUBS["binder"], "binder_base_url": "/"}},
        "reverse_proxy_node_addresses": ["2001:db8::1", "127.0.0.1"],
        "reverse_proxy_extra_directives": ["location = /robots.txt { return 404; }"],
    },
    "ipv6": PLAIN,
    "metrics": {**PLAIN, "reverse_proxy_metrics_allowed": ["127.0.0.0/8", "2001:db8::/32"]},
    # 127.0.0.1 asks in every test; here it counts as a proxy in front, and its own word as the client's.
    "metrics behind a proxy": {
        **PLAIN,
        "reverse_proxy_metrics_allowed": ["203.0.113.0/24"],
        "reverse_proxy_trusted_proxies": ["127.0.0.1"],
    },
    "metrics at the root": {
        **PLAIN,
        "reverse_proxy_hubs": {
            "binder": {**HUBS["binder"], "binder_base_url": "/", "hub_base_url": "/h.b/"},
            "metrics": {**HUBS["private"], "binder_base_url": "/metrics/b/", "hub_base_url": "/metrics/h/"},
        },
    },
}
# Ways to write paths of metrics that NGINX takes for the same one, or somebody behind it might.
SPELLINGS = [
    "{}metrics",
    "{}metrics/",
    "{}metrics//",
    "{}metrics?a=b",
    "{}metrics#a",
    "{}metrics%2f",
    "/{}metrics",
    "/.{}metrics",
    "/x/..{}metrics",
    "{}/metrics",
    "{}./metrics",
    "{}x/../metrics",
    "{}%2e/metrics",
    "{}x/%2E%2e/metrics",
    "{}x/..%2fmetrics",
    "{}metrics/x/..",
    "{}metric%73",
    "{}%6Det%72ics",
    "{}METRICS",
    "{}Metrics/",
    "http://hub{}metrics",
]
PATHS = ["/binderhub/", "/private/binderhub/", "/jupyterhub/hub/", "/private/jupyterhub/hub/"]
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.set_fact": {"all_ipv6_addresses": ["2001:db8::2"], "cacheable": True},
                "when": "inventory_hostname == 'ipv6'",
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ lookup('ansible.builtin.template', template) }}",
                    "dest": "{{ folder }}/{{ inventory_hostname }}.conf",
                    "mode": "0600",
                },
            },
        ],
    }
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate with its key in one file, as the role does."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=hub.example.org -keyout key -out certificate"
    names = ["-addext", "subjectAltName=DNS:hub.example.org"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    bundle = folder / "bundle.pem"
    bundle.write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return bundle


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> dict[str, str]:
    """Render every case in one run of Ansible, one host a case."""
    folder = tmp_path_factory.mktemp("rendered")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    tls = {"reverse_proxy_tls_certificate_file": str(certificate)}
    hosts = {name: {**case, **local, **tls} for name, case in CASES.items()}
    (folder / "group_vars").mkdir()
    shutil.copy(ROLE / "defaults/main.yml", folder / "group_vars/all.yml")
    (folder / "play.yml").write_text(json.dumps(PLAY))
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    extra = {"folder": str(folder), "template": str(ROLE / "templates/ironbinder.conf.j2")}
    run = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            "hosts.json",
            "-e",
            json.dumps(extra),
            "play.yml",
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: (folder / f"{name}.conf").read_text() for name in CASES}


class Machine:
    """One NGINX in a folder of its own, on ports of its own, with stand-ins behind it."""

    def __init__(self, folder: Path, text: str, certificate: Path) -> None:
        self.folder = folder
        self.ports = {old: free_port() for old in (80, 443, 8080)}
        self.upstreams = {old: free_port() for old in ("30585", "30586", "80")}
        text = text.replace("/var/log/nginx", str(folder)).replace(
            "/etc/nginx/ironbinder.pem", str(certificate)
        )
        text = re.sub(r"(listen \S*?)(\d+)(?=[ ;])", lambda m: m[1] + str(self.ports[int(m[2])]), text)
        text = re.sub(r"(?<=\.\d):(30585|30586|80)\b", lambda m: f":{self.upstreams[m[1]]}", text)
        main = (
            f"user root; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{\n"
            f"access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; gzip on; gzip_types *;"
            f"\n{text}}}\n"
        )
        self.main = folder / "nginx.conf"
        self.main.write_text(main)

    def test(self) -> str:
        """Return what `nginx -t` complains about."""
        run = subprocess.run(
            [NGINX, "-t", "-q", "-c", self.main], capture_output=True, text=True, check=False
        )
        return run.stderr if run.returncode else ""

    def answer(
        self, target: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, bytes]:
        """Ask for a target exactly as it is written; return the status, and what came back."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[80], timeout=10)
        try:
            connection.putrequest(method, target)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def client(self, port: int = 80) -> Client:
        """Return a client whose every URL leads here."""
        return Client(address=f"127.0.0.1:{self.ports[port]}", timeout=10)


@pytest.fixture
def start(tmp_path: Path, rendered: dict[str, str], certificate: Path) -> Iterator[Callable[..., Machine]]:
    """Return a function that runs a case: NGINX in the foreground and one stand-in for every upstream."""
    running: list[subprocess.Popen[str]] = []

    def run(name: str, edit: Callable[[str], str] = lambda text: text) -> Machine:
        machine = Machine(tmp_path, edit(rendered[name]), certificate)
        endpoints = [f"127.0.0.{last}:{port}" for last in (1, 2) for port in machine.upstreams.values()]
        stand_in = subprocess.Popen(
            [sys.executable, STAND_IN, *endpoints],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(stand_in)
        assert stand_in.stdout is not None
        assert stand_in.stdout.readline().startswith("serving")
        assert machine.test() == ""
        running.append(start_nginx(machine.main, next(iter(machine.ports.values())), tmp_path / "error.log"))
        return machine

    yield run
    for process in reversed(running):
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


@needs_nginx
@pytest.mark.parametrize("name", CASES)
def test_nginx_accepts_every_case(
    name: str, rendered: dict[str, str], certificate: Path, tmp_path: Path
) -> None:
    assert Machine(tmp_path, rendered[name], certificate).test() == ""


def test_addresses_are_listened_on_as_the_machine_has_them(rendered: dict[str, str]) -> None:
    assert "listen [::]:80 default_server;" in rendered["ipv6"]
    assert "[::]" not in rendered["plain"]
    assert "server [2001:db8::1]:30585 " in rendered["root"]


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
        times = [seconds for seconds, _ in client.events(f"http://hub{path}")]
        assert len(times) == 3
        assert times[0] < 0.4 < times[1] < 0.9 < times[2]


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
    end = time.monotonic() + 10
    while any(line not in (machine.folder / name).read_text() for name, line in wanted.items()):
        assert time.monotonic() < end, {name: (machine.folder / name).read_text() for name in wanted}
        time.sleep(0.02)
    assert (machine.folder / "binderhub.access.log").read_text() == ""
    assert "canary" not in "".join(file.read_text() for file in machine.folder.glob("*.log"))


@needs_nginx
def test_metrics_are_closed_however_they_are_spelled(start: Callable[..., Machine]) -> None:
    machine = start("plain")
    for path in PATHS:
        found = {target: machine.answer(target)[0] for target in (text.format(path) for text in SPELLINGS)}
        assert {target: status for target, status in found.items() if status != 404} == {}
    # Nobody else is kept out.
    for target in (
        "/binderhub/",
        "/binderhub/metrics.js",
        "/jupyterhub/hub/api",
        "/jupyterhub/user/a/metrics",
    ):
        assert machine.answer(target)[0] == 200
    # NGINX decodes once. What still is encoded then reaches the hub as it came, where it is no metrics either.
    assert json.loads(machine.answer("/binderhub/%256detrics")[1])["path"] == "/binderhub/%256detrics"


@needs_nginx
def test_metrics_are_closed_for_every_method_and_whatever_the_client_says(
    start: Callable[..., Machine],
) -> None:
    machine = start("plain")
    claims = dict.fromkeys(("X-Forwarded-For", "X-Real-IP"), "127.0.0.1")
    assert machine.answer("/binderhub/metrics", claims)[0] == 404
    for method in ("HEAD", "POST", "OPTIONS", "GETS"):
        assert machine.answer("/binderhub/metrics", method=method)[0] == 404
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "x",
        "Sec-WebSocket-Version": "13",
    }
    assert machine.answer("/jupyterhub/hub/metrics", upgrade)[0] == 404


@needs_nginx
def test_metrics_of_hubs_at_the_root_are_closed_and_nothing_else(start: Callable[..., Machine]) -> None:
    machine = start("metrics at the root")
    closed = ["/metrics", "//metrics/", "/metrics/b/metrics", "/h.b/hub/metrics", "/metrics/h/hub/metrics"]
    assert {target: machine.answer(target)[0] for target in closed} == dict.fromkeys(closed, 404)
    port = {
        path: json.loads(machine.answer(path)[1])["server"].rpartition(":")[2]
        for path in ("/", "/metrics/b/x")
    }
    assert port == {"/": str(machine.upstreams["30585"]), "/metrics/b/x": str(machine.upstreams["30586"])}
    # Another path, which the dot of the hub's must not match; it leads to the BinderHub at the root.
    assert machine.answer("/h_b/hub/metrics")[0] == 200


@needs_nginx
def test_metrics_are_open_to_those_who_may(start: Callable[..., Machine]) -> None:
    machine = start("metrics")
    servers = {
        path: json.loads(machine.answer(f"{path}metrics?a=b")[1])["server"].rpartition(":")[2]
        for path in PATHS
    }
    assert list(servers.values()) == [str(machine.upstreams[name]) for name in ("30585", "30586", "80", "80")]
    assert json.loads(machine.answer("/binderhub/metrics?a=b")[1])["path"] == "/binderhub/metrics?a=b"


@needs_nginx
def test_metrics_are_judged_by_the_client_behind_a_trusted_proxy(start: Callable[..., Machine]) -> None:
    machine = start("metrics behind a proxy")
    for client, status in {
        "203.0.113.9": 200,
        "198.51.100.9": 404,
        # Only the last address is the trusted proxy's word; what is before it anybody may have written.
        "203.0.113.9, 198.51.100.9": 404,
        "198.51.100.9, 203.0.113.9": 200,
    }.items():
        for path in PATHS:
            assert machine.answer(f"{path}metrics", {"X-Forwarded-For": client})[0] == status, client
    assert machine.answer("/binderhub/metrics")[0] == 404


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
