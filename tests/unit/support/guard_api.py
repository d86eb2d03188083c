# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""As much of the Kubernetes API as the guard's agent asks: lists and watches of pods and services, inside a network namespace."""

from __future__ import annotations

import ctypes
import json
import os
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000


def _socket_in(namespace: str) -> socket.socket:
    """Make a listening socket in a namespace: a thread enters it, and the socket stays there."""
    made: list[socket.socket] = []

    def enter() -> None:
        descriptor = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(descriptor)
        made.append(socket.create_server(("127.0.0.1", 0)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


class GuardApi:
    """`services` has the address of each namespace's hub; pods are added and removed by namespace and name."""

    def __init__(self, namespace: str) -> None:
        self.services: dict[str, str] = {}
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.watches: list[tuple[str, queue.Queue[bytes]]] = []
        self.paths: list[str] = []
        # All that happened, by kind: a watch begins with what came after its list, as the API's own does.
        self._events: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one request a connection."""

            def do_GET(self) -> None:
                api.paths.append(self.path)
                kind = self.path.partition("?")[0].rpartition("/")[2]
                self.send_response(200)
                self.end_headers()
                if "watch=1" not in self.path:
                    self.wfile.write(api.listed(kind))
                    return
                events = api.watched(kind, int(self.path.rpartition("resourceVersion=")[2]))
                while line := events.get():
                    self.wfile.write(line)
                    self.wfile.flush()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = _socket_in(namespace)
        self.url = f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"

    def __enter__(self) -> GuardApi:
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody any more."""
        for _, events in self.watches:
            events.put(b"")
        self.server.shutdown()
        self.server.server_close()

    def listed(self, kind: str) -> bytes:
        """All objects of a kind, and how much had happened by then."""
        with self._lock:
            version = {"resourceVersion": str(len(self._events))}
            return json.dumps({"metadata": version, "items": self.objects(kind)}).encode()

    def watched(self, kind: str, version: int) -> queue.Queue[bytes]:
        """What happened since a list, and what will."""
        events: queue.Queue[bytes] = queue.Queue()
        with self._lock:
            for happened, line in self._events[version:]:
                if happened == kind:
                    events.put(line)
            self.watches.append((kind, events))
        return events

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return list(self.pods.values()) if kind == "pods" else [self.service(name) for name in self.services]

    def service(self, namespace: str) -> dict[str, Any]:
        """The service of a namespace's hub."""
        about = {"namespace": namespace, "name": "hub", "uid": f"s-{namespace}"}
        return {"metadata": about, "spec": {"clusterIP": self.services[namespace]}}

    def add(self, namespace: str, name: str, address: str) -> None:
        """A pod of this node that runs."""
        about = {
            "namespace": namespace,
            "name": name,
            "uid": f"p-{name}",
            "creationTimestamp": "2026-01-02T03:04:05Z",
        }
        pod = {"metadata": about, "spec": {}, "status": {"phase": "Running", "podIP": address}}
        with self._lock:
            self.pods[namespace, name] = pod
            self._send("pods", "ADDED", pod)

    def remove(self, namespace: str, name: str) -> None:
        """A pod that is gone."""
        with self._lock:
            self._send("pods", "DELETED", self.pods.pop((namespace, name)))

    def event(self, kind: str, verb: str, namespace: str) -> None:
        """A service that changed."""
        with self._lock:
            self._send(kind, verb, self.service(namespace))

    def _send(self, kind: str, verb: str, told: dict[str, Any]) -> None:
        line = json.dumps({"type": verb, "object": told}).encode() + b"\n"
        self._events.append((kind, line))
        for watched, events in self.watches:
            if watched == kind:
                events.put(line)
