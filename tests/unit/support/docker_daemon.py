# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A Docker daemon's API on a real Unix socket, and a registry mirror on a real port, for unit tests.

The daemon answers in the shapes that Docker Engine 20.10 and 28 answered with when asked by hand.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class DockerDaemon:
    """Holds images as {name: id} and serves pulls from `remote`, {name: (id, digest)}."""

    def __init__(self, path: Path, mirrors: list[str]) -> None:
        self.path = str(path)
        self.mirrors = mirrors
        self.images: dict[str, str] = {}
        self.remote: dict[str, tuple[str, str]] = {}
        self.calls: list[str] = []
        # As Docker tells them, with what it writes in place of an account.
        self.proxies: dict[str, str] = {}
        # What its registry holds, {name: digest}; what it says instead, {repository: (status, message)}; as whom images run.
        self.pushed: dict[str, str] = {}
        self.lost: set[str] = set()  # repositories of which nothing arrives, though pushed without an error
        self.refusals: dict[str, tuple[int, str]] = {}
        self.users: dict[str, str] = {}
        self.accounts: list[Any] = []
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *args: object) -> None:
                pass

            def answer(self, status: int, *bodies: object) -> None:
                data = b"".join(json.dumps(body).encode() + b"\r\n" for body in bodies)
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle_call(self) -> None:
                url = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                path = unquote(url.path)
                daemon.calls.append(f"{self.command} {path}")
                if "X-Registry-Auth" in self.headers:
                    daemon.accounts.append(
                        json.loads(base64.urlsafe_b64decode(self.headers["X-Registry-Auth"]))
                    )
                self.answer(*daemon.serve(self.command, path, query))

            do_GET = do_POST = do_DELETE = handle_call

        self._server = _UnixServer(self.path, Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, method: str, path: str, query: dict[str, str]) -> tuple[Any, ...]:
        if path == "/info":
            index = {"Name": "docker.io", "Mirrors": self.mirrors, "Secure": True, "Official": True}
            return 200, {
                "ServerVersion": "20.10.24+dfsg1",
                "RegistryConfig": {"IndexConfigs": {"docker.io": index}},
                **self.proxies,
            }
        if path == "/images/create":
            return self._pull(query["fromImage"])
        if path.startswith("/distribution/"):
            return self._asked(path[len("/distribution/") : -len("/json")])
        if path.endswith("/push"):
            return self._push(path[len("/images/") : -len("/push")], query["tag"])
        name = path[len("/images/") :]
        if method == "DELETE":
            gone = [key for key, found in self.images.items() if name in (key, found)]
            for key in gone:
                del self.images[key]
            return (200, [{"Untagged": name}]) if gone else (404, {"message": f"No such image: {name}"})
        if path.endswith("/tag"):
            self.images[f"{query['repo']}:{query['tag']}"] = name[: -len("/tag")]
            return (201,)
        name = name[: -len("/json")]
        found = self.images.get(name)
        described = {"Id": found, "Config": {"User": self.users.get(name, "")}}
        return (200, described) if found else (404, {"message": f"No such image: {name}"})

    def _asked(self, name: str) -> tuple[Any, ...]:
        repository = name.rpartition(":")[0]
        if repository in self.refusals:
            status, message = self.refusals[repository]
            return status, {"message": message}
        if name not in self.pushed:
            return 404, {"message": "manifest unknown: manifest unknown"}
        return 200, {"Descriptor": {"digest": self.pushed[name], "size": 1}, "Platforms": []}

    def _push(self, repository: str, tag: str) -> tuple[Any, ...]:
        started = {"status": f"The push refers to repository [{repository}]"}
        if f"{repository}/push" in self.refusals:
            text = self.refusals[f"{repository}/push"][1]
            return 200, started, {"errorDetail": {"message": text}, "error": text}
        if repository not in self.lost:
            self.pushed[f"{repository}:{tag}"] = f"sha256:{tag.ljust(64, '0')}"
        return 200, started, {"status": f"Pushed {tag}", "progressDetail": {}}

    def _pull(self, name: str) -> tuple[Any, ...]:
        started = {"status": "Pulling from library/hello-world", "id": "latest"}
        if name.startswith("denied"):
            return 500, {"message": f"Head https://{name}: x509: certificate signed by unknown authority"}
        if name not in self.remote:
            text = f"manifest for {name} not found: manifest unknown"
            return 200, started, {"errorDetail": {"message": text}, "error": text}
        image_id, digest = self.remote[name]
        self.images[name] = image_id
        done = {"status": f"Status: Downloaded newer image for {name}"}
        return (200, started, {"status": f"Digest: {digest}"}, done) if digest else (200, started, done)


class Mirror:
    """A registry that answers for manifests, {path: (status, headers, body)}."""

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.cut_bytes = 0
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def handle_call(self) -> None:
                mirror.asked.append((self.command, self.path, self.headers.get("Accept", "")))
                status, headers, body = mirror.manifests.get(self.path, (404, {}, b"{}"))
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body[: len(body) - mirror.cut_bytes])

            do_GET = do_HEAD = handle_call

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
