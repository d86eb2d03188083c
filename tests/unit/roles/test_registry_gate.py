# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The gate before the registry: a real NGINX with the role's configuration, and a stand-in for the registry behind it."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from nginx_machine import needs_nginx, start_nginx

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "registry"
# A dot is no regular expression's here.
PUSHER, PULLER = "bin.der", "binder-pull"
PASSED = 202
pytestmark = needs_nginx


class Taker(http.server.BaseHTTPRequestHandler):
    """Takes every request, and remembers it."""

    protocol_version = "HTTP/1.1"

    def _take(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.taken.append((self.command, self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(PASSED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _take

    def log_message(self, *_: Any) -> None:
        """Keep silent."""

    def address_string(self) -> str:
        """A socket has no address."""
        return ""


class Socket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A server on a socket in the file system, as the registry is behind the gate."""

    daemon_threads = True
    taken: list[tuple[str, str, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Socket]]:
    """Run the gate; return its port and what is behind it."""
    folder = tmp_path_factory.mktemp("gate")
    port = free_port()
    variables = {
        "registry_port": port,
        "registry_username": PUSHER,
        "registry_pull_username": PULLER,
        "registry_plain_http_enabled": True,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    copy = {
        "content": "{{ lookup('ansible.builtin.template', template) }}",
        "dest": str(folder / "gate.conf"),
        "mode": "0600",
    }
    play = [
        {
            "hosts": "all",
            "gather_facts": False,
            "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
            "tasks": [{"ansible.builtin.copy": copy}],
        }
    ]
    (folder / "play.yml").write_text(json.dumps(play))
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"here": {}}}}))
    run = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.json", "play.yml", "-e"),
            json.dumps({**variables, "template": str(ROLE / "templates/gate.conf.j2")}),
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # A path of a socket has 107 characters at most.
    socket = Path(f"/tmp/ironbinder-gate-{os.getpid()}.sock")
    text = (folder / "gate.conf").read_text().replace("/run/docker-registry/http.sock", str(socket))
    text = text.replace("/run/ironbinder-registry-gate", str(folder))
    # As root NGINX would become nobody, who may not open the socket; the unit runs it as the registry's user.
    text = ("user root;\n" if os.geteuid() == 0 else "") + text.replace(
        "error_log stderr", f"error_log {folder}/log"
    )
    (folder / "gate.conf").write_text(text)
    server = Socket(str(socket), Taker)
    server.taken = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = start_nginx(folder / "gate.conf", port, folder / "log")
    yield port, server
    process.terminate()
    process.wait(60)
    server.shutdown()
    server.server_close()
    socket.unlink()


def basic(user: str, password: str = "p:w") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(
    port: int, method: str, *authorization: str, path: str = "/v2/b/x/blobs/uploads/", body: bytes = b""
) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(len(body)))
        for value in authorization:
            connection.putheader("Authorization", value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("account", [[basic(PUSHER)], [basic(PULLER)], []])
def test_everybody_may_ask(gate: tuple[int, Socket], method: str, account: list[str]) -> None:
    """Whether the password is right is the registry's business, to which it goes as it came."""
    status, headers, _ = ask(gate[0], method, *account)
    assert status == PASSED
    assert "X-Ironbinder-Gate" in dict(headers)
    assert gate[1].taken[-1][2].get("Authorization") == (account[0] if account else None)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_one_account_writes(gate: tuple[int, Socket], method: str) -> None:
    assert ask(gate[0], method, basic(PUSHER), body=b"x" * 100_000)[0] == PASSED
    assert gate[1].taken[-1][3] == b"x" * 100_000
    # The registry asks for an account.
    assert ask(gate[0], method)[0] == PASSED
    before = len(gate[1].taken)
    status, _, body = ask(gate[0], method, basic(PULLER), body=b"x" * 100_000)
    assert (status, json.loads(body)["errors"][0]["code"]) == (403, "DENIED")
    assert len(gate[1].taken) == before, "the registry heard of it"


@pytest.mark.parametrize(
    "authorization",
    [
        basic("binXder"),
        basic("BIN.DER"),
        basic("bin.der.x"),
        basic(""),
        basic("x/0/bin.der"),
        basic("x\n/0/bin.der"),
        basic("bin.der\n"),
        "Basic " + base64.b64encode(PUSHER.encode()).decode(),
        "Basic !!!" + base64.b64encode(b"bin.der:p").decode(),
        "Bearer abc",
        "Basic",
        # Two parsers may each believe another one of these.
        basic(PULLER) + ", " + basic(PUSHER),
    ],
)
def test_whoever_looks_like_the_account_and_is_not(gate: tuple[int, Socket], authorization: str) -> None:
    before = len(gate[1].taken)
    assert ask(gate[0], "PUT", authorization)[0] in (400, 403)
    assert len(gate[1].taken) == before


def test_two_accounts_at_once(gate: tuple[int, Socket]) -> None:
    before = len(gate[1].taken)
    assert ask(gate[0], "PUT", basic(PUSHER), basic(PULLER))[0] == 400
    assert ask(gate[0], "PUT", basic(PULLER), basic(PUSHER))[0] == 400
    assert len(gate[1].taken) == before


def test_a_method_in_other_letters(gate: tuple[int, Socket]) -> None:
    for method in ("get", "Put", "X-PUT"):
        assert ask(gate[0], method, basic(PULLER))[0] in (400, 403, 405)


def test_the_registry_can_tell_clients_where_to_go_on(gate: tuple[int, Socket]) -> None:
    ask(gate[0], "POST", basic(PUSHER))
    headers = gate[1].taken[-1][2]
    assert (headers["Host"], headers["X-Forwarded-Proto"]) == (f"127.0.0.1:{gate[0]}", "http")
    assert re.fullmatch(r"[0-9.]+", headers["X-Forwarded-For"])
