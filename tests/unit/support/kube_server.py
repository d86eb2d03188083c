# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A local HTTP server in the place of a Kubernetes API, and a kubeconfig for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Request", "kubeconfig_for", "serve"]


class Request(BaseHTTPRequestHandler):
    """One request; the test's function answers it with `send`, `write`, or not at all."""

    def send(self, status: int, body: object, **headers: str) -> None:
        """Answer with JSON, or with text as it is."""
        text = isinstance(body, str)
        data = str(body).encode() if text else json.dumps(body).encode()
        self.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(data))} | given
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> Any:
        """Read what was sent."""
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return json.loads(data) if data else None

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serve(answer: Callable[[Request], None], port: int = 0) -> Iterator[str]:
    """Answer every request by `answer`, at a port of its own; gives the server's URL."""

    class Handler(Request):
        def _any(self) -> None:
            try:
                answer(self)
            except OSError:  # the client hung up, as many tests want it to
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = _any

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig_for(url: str, folder: Path) -> str:
    """Write a kubeconfig with the token `t` for the API at `url`."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return str(path)
