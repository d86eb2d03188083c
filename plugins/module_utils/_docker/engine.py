# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The few calls of the Docker Engine API that Ironbinder makes on a machine, by the standard library alone."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote, urlencode

__all__ = ["Account", "DockerEngine", "DockerEngineError", "EngineInfo"]


class DockerEngineError(RuntimeError):
    """A daemon that is down or refuses. The text says what was asked, what was seen and what to do."""


@dataclass(frozen=True)
class EngineInfo:
    """The daemon's version, its mirrors of Docker Hub without trailing slashes, in their order, and its proxies.

    Proxies by http_proxy, https_proxy and no_proxy; the daemon tells them without their accounts.
    """

    server_version: str
    mirrors: Sequence[str]
    proxies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """Who one is at a registry; nobody without a name. Its password gets into no text."""

    registry: str
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What the daemon is told of it: https://docs.docker.com/reference/api/engine/#section/Authentication ."""
        told = {"username": self.username, "password": self.password, "serveraddress": self.registry}
        text = json.dumps(told if self.username else {})
        return {"X-Registry-Auth": base64.urlsafe_b64encode(text.encode()).decode()}


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
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, str]] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self._socket_path, self._timeout)
        try:
            where = quote(path, safe="/:@") + (f"?{urlencode(query)}" if query else "")
            connection.request(method, where, headers=dict(headers or {}))
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
            body = _expected(response, (200,), "tell about itself (/info)")
        answer = _json(body, "the Docker daemon's answer to /info")
        index: Any = answer
        for key in ("RegistryConfig", "IndexConfigs", "docker.io"):
            index = (index.get(key) or {}) if isinstance(index, dict) else {}
        mirrors = index.get("Mirrors") if isinstance(index, dict) else None
        return EngineInfo(
            str(answer.get("ServerVersion") or ""),
            tuple(str(mirror).rstrip("/") for mirror in (mirrors if isinstance(mirrors, list) else ())),
            {
                name: str(answer.get(key) or "")
                for name, key in (
                    ("http_proxy", "HttpProxy"),
                    ("https_proxy", "HttpsProxy"),
                    ("no_proxy", "NoProxy"),
                )
            },
        )

    def image_id(self, name: str) -> str:
        """Return the id of a local image, empty when there is none of that name."""
        with self._call("GET", f"/images/{name}/json") as response:
            body = _expected(response, (200, 404), f"tell about {name}")
            if response.status == 404:
                return ""
        image_id = _json(body, f"the Docker daemon's answer about {name}").get("Id")
        # Who takes this for "no such image" would later remove somebody's.
        if not isinstance(image_id, str) or not image_id:
            raise DockerEngineError(f"the Docker daemon knows {name} and tells no id of it: {body[:200]!r}")
        return image_id

    def user_of(self, name: str) -> str:
        """Return as whom a local image runs, "" for root. The image has to be there."""
        with self._call("GET", f"/images/{name}/json") as response:
            body = _expected(response, (200,), f"tell about {name}")
        config = _json(body, f"the Docker daemon's answer about {name}").get("Config")
        return str((config or {}).get("User") or "") if isinstance(config, dict) else ""

    def registry_digest(self, name: str, account: Account) -> str:
        """Ask an image's registry for its digest, with the daemon's own trust and ways; "" where it has none of that name."""
        with self._call("GET", f"/distribution/{name}/json", headers=account.headers) as response:
            body = _expected(response, (200, 404), f"ask the registry for {name}")
            if response.status == 404:
                return ""
        told = _json(body, f"the Docker daemon's answer about {name}").get("Descriptor")
        return str((told or {}).get("digest") or "") if isinstance(told, dict) else ""

    def pull(self, name: str) -> str:
        """Pull an image and return the digest that the daemon resolved it to."""
        digest = ""
        with self._call("POST", "/images/create", {"fromImage": name}) as response:
            for event in _events(response, f"pull {name}"):
                status = str(event.get("status", ""))
                if status.startswith("Digest: "):
                    digest = status[len("Digest: ") :].strip()
        if not digest:
            raise DockerEngineError(
                f"the Docker daemon ended its pull of {name} without a digest: see `journalctl -u docker`"
            )
        return digest

    def push(self, repository: str, tag: str, account: Account) -> str:
        """Push a local image and return the digest that the registry has it by.

        The registry is asked for it: a daemon with containerd's image store does not tell what it pushed.
        """
        name = f"{repository}:{tag}"
        with self._call("POST", f"/images/{repository}/push", {"tag": tag}, account.headers) as response:
            for _ in _events(response, f"push {name}"):
                pass  # to its end; an error among them is raised
        digest = self.registry_digest(name, account)
        if not digest:
            raise DockerEngineError(
                f"the Docker daemon ended its push of {name} without an error, and the registry has none of that name: see "
                "`journalctl -u docker`"
            )
        return digest

    def remove(self, name: str) -> None:
        """Remove a name, and the image when it was its last. One in use stays: it is somebody's by now."""
        with self._call("DELETE", f"/images/{name}") as response:
            _expected(response, (200, 404, 409), f"remove {name}")

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        """Give a local image a name."""
        with self._call("POST", f"/images/{image_id}/tag", {"repo": repository, "tag": tag}) as response:
            _expected(response, (201,), f"tag {repository}:{tag}")


def _events(response: http.client.HTTPResponse, what: str) -> Iterator[dict[str, Any]]:
    """Read what the daemon reports while it works, a line each; a line that tells of an error is one."""
    if response.status != 200:
        _expected(response, (200,), what)
    for line in response:
        event = _json(line, f"the Docker daemon's report on its attempt to {what}") if line.strip() else {}
        if event.get("error"):
            raise DockerEngineError(f"the Docker daemon could not {what}: {event['error']}")
        yield event


def _expected(response: http.client.HTTPResponse, statuses: Sequence[int], what: str) -> bytes:
    """Read the answer; one with another status is an error in the daemon's own words."""
    body = response.read()
    if response.status in statuses:
        return body
    try:
        said = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):  # something before the daemon, or in its place
        said = body[:200].decode(errors="replace")
    raise DockerEngineError(
        f"the Docker daemon could not {what}: {said} (HTTP {response.status}). See `journalctl -u docker`"
    )


def _json(body: bytes, what: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise DockerEngineError(f"{what} is not JSON: {body[:200]!r}") from error
    return answer if isinstance(answer, dict) else {}
