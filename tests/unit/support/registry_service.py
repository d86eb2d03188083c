# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A registry on a port of this machine's that asks for accounts as others' registries do: by Basic, or by a token service.

It answers to `/v2/` and to the beginning of an upload, and its token service to whoever has an account. A token holds what
its account may do, as real ones do, and says nothing else.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

UPLOADS = "/blobs/uploads/"


class RegistryService:
    """Knows `accounts`, {name: password}, of which `pushers` may push below `project`.

    Args:
        accounts: who is known.
        pushers: whose uploads are taken.
        project: the first level of names that there are.
        by_token: whether it sends people to its token service, and takes no password itself.
        service: what the token service is called; asked for another one, it gives no token.
    """

    def __init__(
        self,
        accounts: Mapping[str, str],
        pushers: Sequence[str] = (),
        project: str = "project",
        *,
        by_token: bool = True,
        service: str = "registry",
    ) -> None:
        self.asked: list[tuple[str, str]] = []
        self.uploads = 0
        there = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

            def _say(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def _basic(self) -> str:
                kind, _, told = self.headers.get("Authorization", "").partition(" ")
                if kind != "Basic":
                    return ""
                name, _, password = base64.b64decode(told).decode().partition(":")
                return name if accounts.get(name) == password else ""

            def _who(self) -> str:
                kind, _, told = self.headers.get("Authorization", "").partition(" ")
                if by_token:
                    return told if kind == "Bearer" and told in accounts else ""
                return self._basic()

            def _challenge(self, scope: str = "") -> None:
                asks = f'Bearer realm="{there.url}/token",service="{service}"'
                asks += f',scope="{scope}"' if scope else ""
                self._say(401, {"WWW-Authenticate": asks if by_token else 'Basic realm="registry"'})

            def _token(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                if not self._basic() or asked.get("service", [""])[0] != service:
                    return self._say(401)
                self._say(200, body=json.dumps({"token": self._basic()}).encode())

            def do_GET(self) -> None:
                there.asked.append((self.command, self.path))
                if self.path.startswith("/token"):
                    return self._token()
                self._say(200, body=b"{}") if self._who() else self._challenge()

            def do_POST(self) -> None:
                there.asked.append((self.command, self.path))
                name = self.path.removeprefix("/v2/").removesuffix(UPLOADS)
                if not self._who():
                    return self._challenge(f"repository:{name}:pull,push")
                if self._who() not in pushers or not name.startswith(f"{project}/"):
                    return self._say(403)
                there.uploads += 1
                self._say(202, {"Location": f"{self.path}one"})

            def do_DELETE(self) -> None:
                there.asked.append((self.command, self.path))
                there.uploads -= 1
                self._say(204)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: Any) -> None:
        self.server.shutdown()
        self.server.server_close()
