# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The Kubernetes API with the kubelet's own account: pods of this node, and the hubs' services."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ironbinder_guard.known import Pod

# A watch ends by itself after this; its bookmarks come every minute, so a longer silence is a dead connection.
WATCH_SECONDS = 290
SILENCE_SECONDS = 120
ANSWER_SECONDS = 5
# A watch that ends sooner than this is no watch.
SHORT_SECONDS = 5.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0


class ApiError(Exception):
    """The API cannot be asked now: before the node has joined, while the head is away."""


def _field(text: str, name: str) -> str:
    found = re.search(rf"(?m)^\s*{name}:\s*(\S+)\s*$", text)
    return found.group(1).strip("\"'") if found else ""


class Api:
    """Asks the API that a kubeconfig names, as kubeadm writes it for the kubelet. Reads it anew for each connection."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = Path(kubeconfig)

    def open(self, path: str, timeout: float) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask for a path. The caller closes the connection. Raises ApiError."""
        try:
            connection = self._connection(self.kubeconfig.read_text(), timeout)
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ApiError(f"{self.kubeconfig}: {type(error).__name__}: {error}") from error
        if response.status != 200:
            connection.close()
            raise ApiError(f"{path.partition('?')[0]}: the API answers {response.status} {response.reason}")
        return connection, response

    def _connection(self, text: str, timeout: float) -> http.client.HTTPConnection:
        server = urlsplit(_field(text, "server"))
        if server.scheme == "http":  # a stand-in of the tests; kubeadm writes https
            return http.client.HTTPConnection(server.hostname or "", server.port, timeout=timeout)
        given = _field(text, "certificate-authority-data")
        context = ssl.create_default_context(
            cafile=_field(text, "certificate-authority") or None,
            cadata=base64.b64decode(given).decode() if given else None,
        )
        context.load_cert_chain(_field(text, "client-certificate"), _field(text, "client-key") or None)
        return http.client.HTTPSConnection(
            server.hostname or "", server.port or 443, timeout=timeout, context=context
        )


NEEDED = {
    "metadata": ("uid", "namespace", "name", "creationTimestamp"),
    "spec": ("hostNetwork", "clusterIP", "clusterIPs"),
    "status": ("phase", "podIP", "podIPs"),
}


def needed(told: dict[str, Any]) -> dict[str, Any]:
    """Give what is read of an object below: a pod as the API tells it is a hundred times as large."""
    return {
        part: {name: value[name] for name in names if name in value}
        for part, names in NEEDED.items()
        for value in [told.get(part) or {}]
    }


def pod_of(data: dict[str, Any]) -> Pod | None:
    """Read a pod; None for one that has the node's own network, or has ended."""
    spec, status, about = data.get("spec") or {}, data.get("status") or {}, data["metadata"]
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    addresses = [entry.get("ip", "") for entry in status.get("podIPs") or []] or [status.get("podIP") or ""]
    made = datetime.strptime(about["creationTimestamp"].replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S%z")
    address = next((entry for entry in addresses if entry and ":" not in entry), "")
    return Pod(about["namespace"], about["name"], address, made.timestamp())


def pods_path(node: str) -> str:
    """The pods of a node: the kubelet may ask for no others."""
    return f"/api/v1/pods?fieldSelector={quote(f'spec.nodeName={node}')}"


SERVICES_PATH = f"/api/v1/services?fieldSelector={quote('metadata.name=hub')}"


def service_address(data: dict[str, Any]) -> tuple[str, list[str]]:
    """Namespace of a service, and its addresses."""
    spec = data.get("spec") or {}
    told = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return data["metadata"]["namespace"], [
        entry for entry in told if entry and entry != "None" and ":" not in entry
    ]


def list_of(api: Api, path: str, timeout: float = ANSWER_SECONDS) -> tuple[dict[str, dict[str, Any]], str]:
    """Give all objects by their uid, and the version of the list. Raises ApiError."""
    connection, response = api.open(path, timeout)
    try:
        told = json.loads(response.read())
        found = {item["metadata"]["uid"]: needed(item) for item in told["items"] or []}
        return found, told["metadata"]["resourceVersion"]
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        raise ApiError(f"{path.partition('?')[0]}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


class Watcher(threading.Thread):
    """Keeps the objects of a path as they are now, and says so whenever they change."""

    def __init__(self, api: Api, path: str, changed: Callable[[], None], log: Callable[[str], None]) -> None:
        super().__init__(daemon=True, name=path.partition("?")[0])
        self.api, self.path, self.changed, self.log = api, path, changed, log
        self.ended = threading.Event()
        # When the API said last what there is, or that nothing changed.
        self.seen_at = 0.0
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Any]] | None = None

    def objects(self) -> list[dict[str, Any]] | None:
        """Give the objects, None where the API has not answered yet."""
        with self._lock:
            return None if self._objects is None else list(self._objects.values())

    def run(self) -> None:
        """List, watch, and begin anew whenever that ends."""
        wait, silent = FIRST_WAIT_SECONDS, False
        while not self.ended.is_set():
            try:
                version = self._list()
                if silent:
                    self.log(f"the API answers again ({self.name})")
                wait, silent = FIRST_WAIT_SECONDS, False
                begun = time.monotonic()
                for event in self._events(version):
                    self._take(event)
                if time.monotonic() - begun < SHORT_SECONDS:  # a balancer without a server, say
                    self.ended.wait(FIRST_WAIT_SECONDS)
            # Also what nobody thought of: a thread that ended in silence would keep an old world for ever.
            except Exception as error:
                if not silent:
                    self.log(f"the API does not answer, what it said last is kept: {error}")
                silent = True
                self.ended.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _list(self) -> str:
        asked_at = time.time()
        found, version = list_of(self.api, self.path)
        with self._lock:
            self._objects, self.seen_at = found, asked_at
        self.changed()
        return version

    def _events(self, version: str) -> Iterator[dict[str, Any]]:
        path = f"{self.path}&watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}"
        connection, response = self.api.open(path, SILENCE_SECONDS)
        try:
            while not self.ended.is_set():
                line = response.readline()
                if not line:
                    return
                yield json.loads(line)
        except (OSError, ValueError, http.client.HTTPException):
            return  # listed anew at once: the connection was good a moment ago
        finally:
            connection.close()

    def _take(self, event: dict[str, Any]) -> None:
        kind, told = event.get("type"), event.get("object") or {}
        uid = (told.get("metadata") or {}).get("uid")
        if kind == "ERROR":
            raise ApiError(f"the watch ended: {told.get('message')}")
        if kind == "BOOKMARK" or not uid:
            self.seen_at = time.time()
            return
        with self._lock:
            objects = self._objects if self._objects is not None else {}
            if kind == "DELETED":
                objects.pop(uid, None)
            else:
                objects[uid] = needed(told)
            self.seen_at = time.time()
        self.changed()
