# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ask listeners who they are: `ask.py '[["192.0.2.1", 80, "tcp"]]'` prints {"192.0.2.1 80 tcp": the last line of its answer}."""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 3


def ask(target: list[Any]) -> str:
    """Return the last line of what comes, or the error."""
    address, port, protocol = target
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    heard = b""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
            sock.settimeout(SECONDS)
            sock.connect((address, port))
            if protocol == "udp":
                sock.send(b"?")
                heard = sock.recv(1500)
            while protocol == "tcp" and not heard.startswith(b"SSH-"):
                piece = sock.recv(1500)
                if not piece:
                    break
                heard += piece
    except OSError as error:
        return str(error)
    return heard.decode(errors="replace").strip().rpartition("\n")[2]


if __name__ == "__main__":
    targets = json.loads(sys.argv[1])
    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        print(
            json.dumps(dict(zip((" ".join(map(str, target)) for target in targets), pool.map(ask, targets))))
        )
