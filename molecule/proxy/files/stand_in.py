# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A web server in the place of BinderHub and JupyterHub, to see what a proxy makes of requests.

Usage: stand_in.py ADDRESS:PORT ...

Any path answers with what arrived, as JSON. A path that ends in /events sends three events, PAUSE
seconds apart. A request for a websocket is answered with 101, what arrived, then every frame again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE = 0.5
# https://www.rfc-editor.org/rfc/rfc6455#section-1.3
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def arrived(self) -> bytes:
        """Tell what arrived, and on which port."""
        headers = {key.lower(): value for key, value in self.headers.items()}
        host, port = self.connection.getsockname()[:2]
        return json.dumps({"path": self.path, "server": f"{host}:{port}", "headers": headers}).encode()

    def do_GET(self) -> None:
        """Answer a GET."""
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.websocket()
        elif self.path.split("?")[0].endswith("/events"):
            self.events()
        else:
            body = self.arrived()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def events(self) -> None:
        """Send three events, without a length and without asking proxies not to buffer, as BinderHub does."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            if number:
                time.sleep(PAUSE)
            self.wfile.write(f'data: {{"number": {number}}}\n\n'.encode())
            self.wfile.flush()
        self.close_connection = True

    def websocket(self) -> None:
        """Upgrade, say what arrived, then echo until the client closes. Frames stay under 64 KiB."""
        digest = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + WEBSOCKET_GUID).encode()).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.send_frame(1, self.arrived())
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 0x0F == 8:
                break
            length = head[1] & 0x7F
            if length == 126:
                length = struct.unpack(">H", self.rfile.read(2))[0]
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self.rfile.read(length)))
            self.send_frame(head[0] & 0x0F, data)
        self.close_connection = True

    def send_frame(self, opcode: int, data: bytes) -> None:
        """Send one whole frame."""
        length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
        self.wfile.write(bytes([0x80 | opcode]) + length + data)
        self.wfile.flush()


def main(endpoints: list[str]) -> None:
    """Serve every endpoint until killed."""
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        server = ThreadingHTTPServer((host, int(port)), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving", *endpoints, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
