# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The few calls of the Docker Engine API that Ironbinder makes on a machine, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import quote, urlencode

__all__ = ["DockerEngine", "DockerEngineError", "EngineInfo"]


class DockerEngineError(RuntimeError):
    """A daemon that is down or refuses. The text says what was asked, what was seen and what to do."""


@dataclass(frozen=True)
class EngineInfo:
    """The daemon's version, and its mirrors of Docker Hub without trailing slashes, in their order."""

    server_version: str
    mirrors: Sequence[str]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DockerEngine:
    """A Docker daemon behind its socket.

    Every call raises DockerEngineError where the daemon is down, refuses, or is silent for
    `timeout_seconds`.
    """

    def __init__(self, socket_path: str, timeout_seconds: float) -> None:
        self._socket_path = socket_path
        self._timeout = timeout_seconds

    @contextmanager
    def _call(
        self, method: str, path: str, query: Optional[Mapping[str, str]] = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self._socket_path, self._timeout)
        try:
            connection.request(method, quote(path, safe="/:@") + (f"?{urlencode(query)}" if query else ""))
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise DockerEngineError(
                f"the Docker daemon does not answer at {self._socket_path} ({method} {path}): {error}. "
                "See `systemctl status docker` and `journalctl -u docker`"
            ) from error
        finally:
            connection.close()

    def info(self) -> EngineInfo:
        """Ask for the version and the mirrors in effect, which daemon.json alone does not tell."""
        with self._call("GET", "/info") as response:
            answer = _json(response.read(), "the Docker daemon's answer to /info")
        index = ((answer.get("RegistryConfig") or {}).get("IndexConfigs") or {}).get("docker.io") or {}
        return EngineInfo(
            answer.get("ServerVersion", ""),
            tuple(mirror.rstrip("/") for mirror in index.get("Mirrors") or []),
        )

    def image_id(self, name: str) -> str:
        """Return the id of a local image, empty when there is none of that name."""
        with self._call("GET", f"/images/{name}/json") as response:
            body = response.read()
            answer = _json(body, f"the Docker daemon's answer about {name}")
            return "" if response.status == 404 else str(answer.get("Id", ""))

    def pull(self, name: str) -> str:
        """Pull an image and return the digest that the daemon resolved it to."""
        digest = ""
        with self._call("POST", "/images/create", {"fromImage": name}) as response:
            for line in response:
                event = _json(line, f"the Docker daemon's report on pulling {name}") if line.strip() else {}
                failure = event.get("error") or (event.get("message") if response.status >= 400 else "")
                if failure:
                    raise DockerEngineError(f"the Docker daemon could not pull {name}: {failure}")
                status = str(event.get("status", ""))
                if status.startswith("Digest: "):
                    digest = status[len("Digest: ") :].strip()
        if not digest:
            raise DockerEngineError(
                f"the Docker daemon ended its pull of {name} without a digest: see `journalctl -u docker`"
            )
        return digest

    def remove(self, name: str) -> None:
        """Remove a name, and the image when it was its last. One in use stays: it is somebody's by now."""
        with self._call("DELETE", f"/images/{name}") as response:
            body = response.read()
            if response.status not in (200, 404, 409):
                raise DockerEngineError(f"the Docker daemon could not remove {name}: {body.decode()}")

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        """Give a local image a name."""
        with self._call("POST", f"/images/{image_id}/tag", {"repo": repository, "tag": tag}) as response:
            body = response.read()
            if response.status != 201:
                raise DockerEngineError(
                    f"the Docker daemon could not tag {repository}:{tag}: {body.decode()}"
                )


def _json(body: bytes, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise DockerEngineError(f"{what} is not JSON: {body[:200]!r}") from error
    return answer if isinstance(answer, dict) else {}
