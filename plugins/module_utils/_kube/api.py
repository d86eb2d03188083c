# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The Kubernetes API as plain JSON: no models, no discovery, and no request that can hang.

The kubernetes client reads the kubeconfig and brings credentials, certificates and proxies. Its requests are not
used: they have no timeouts of their own, try again as often as urllib3 likes to, and sleep as long as a server says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, Protocol
from urllib.parse import urlencode

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.answers import (
    excerpt,
    is_status,
    pause,
)

__all__ = ["GRACE_SECONDS", "KubeApi", "KubeError", "Limits", "connect", "forgive", "library_missing"]

# For how long an API server may be away in the middle of a wait: it restarts where its certificate changes.
GRACE_SECONDS = 30
_READ_BYTES = 65536


class KubeError(Exception):
    """The API could not be asked, or refused.

    `status` is its HTTP status, 0 where there was none or where the connection broke; `message` is what the API
    itself said, without where and what to do, and may be empty.
    """

    def __init__(self, text: str, status: int = 0, message: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.message = message

    @property
    def passing(self) -> bool:
        """Whether it may pass by itself: nobody there, too busy, or broken; not a refusal."""
        return self.status in (0, 429) or self.status >= 500


def forgive(error: Exception, silent_seconds: float) -> bool:
    """Tell `wait_until` whether to look again: an API server that restarts gets GRACE_SECONDS, a refusal nothing."""
    return isinstance(error, KubeError) and error.passing and silent_seconds < GRACE_SECONDS


def library_missing(library: str) -> KubeError:
    """Say that a Python package is missing, as Ansible's modules do, and where it has to be."""
    from ansible.module_utils.basic import missing_required_lib  # noqa: PLC0415 tests and tools need no Ansible

    return KubeError(
        f"{missing_required_lib(library)} Install requirements.txt on the controller; another host that talks to the "
        "cluster (site_kubernetes_client_host) gets its packages from the stage `cluster`."
    )


@dataclass(frozen=True)
class Limits:
    """How long one request may take, in seconds.

    `connect` bounds the connection and its TLS handshake, `read` every silence of the server (it has 10 s for each
    webhook), `total` the whole request with its answer and with the pauses that the server asks for.
    """

    connect: float = 10.0
    read: float = 30.0
    total: float = 60.0


class KubeApi(Protocol):
    """What the rest of the code needs of a cluster. Every method raises KubeError."""

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        """Return the object or list at `path`, None where there is none."""

    def text(self, path: str, **query: str) -> str:
        """Return what is at `path` as text, a container's log for example."""

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        """Post an object to the list at `path` and return it as the API has it then."""

    def patch(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        """Merge `body` into the object at `path` (RFC 7396) and return it as the API has it then."""

    def delete(self, path: str, **query: str) -> None:
        """Delete the object at `path`; no error where there is none."""


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    body: Optional[Mapping[str, Any]] = None
    content_type: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def target(self) -> str:
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


_READY = _Request("GET", "/readyz", {})


@dataclass(frozen=True)
class _Reply:
    status: int
    data: bytes
    pause: Optional[float]  # for how many seconds the server asks to be left alone


class _Rest:
    def __init__(self, client: Any, kubeconfig: str, limits: Limits, clock: Clock) -> None:
        self._pool = client.rest_client.pool_manager
        self._configuration = client.configuration
        self._where = f"{client.configuration.host} (kubeconfig {kubeconfig})"
        self._check = f"Try `kubectl --kubeconfig {kubeconfig} get --raw /readyz`"
        self._limits = limits
        self._clock = clock

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        try:
            return self._json(_Request("GET", path, query))
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def text(self, path: str, **query: str) -> str:
        try:
            return self._request(_Request("GET", path, query))[1].decode(errors="replace")
        except KubeError as error:
            if error.status == 404:
                return ""
            raise

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        return self._json(_Request("POST", path, query, body, "application/json"))

    def patch(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        return self._json(_Request("PATCH", path, query, body, "application/merge-patch+json"))

    def delete(self, path: str, **query: str) -> None:
        try:
            self._request(_Request("DELETE", path, query))
        except KubeError as error:
            if error.status != 404:
                raise

    def _json(self, request: _Request) -> dict[str, Any]:
        status, data = self._request(request)
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise KubeError(
                f"{request} at {self._where}: {status}, but what came is no object of Kubernetes: "
                f"{excerpt(data)!r}. Is the server in the kubeconfig the API, and not a page or a proxy before it?",
                status,
            )
        return value

    def _request(self, request: _Request) -> tuple[int, bytes]:
        """Return status and body of a success; wait where a busy server asks for it, as client-go does."""
        deadline = self._clock.now() + self._limits.total
        reply = wait_until(
            lambda _seconds: self._settled(request, deadline),
            lambda reply: reply.pause is None or self._clock.now() + reply.pause >= deadline,
            clock=self._clock,
            timeout_seconds=self._limits.total,
            step_seconds=lambda reply: reply.pause or 0.0,
        ).seen
        if not 200 <= reply.status < 300:
            raise self._refused(request, reply.status, reply.data)
        return reply.status, reply.data

    def _settled(self, request: _Request, deadline: float) -> _Reply:
        """Return the answer of a server that knows its roles: one that has only just started refuses everybody."""
        reply = self._once(request, deadline)
        if reply.status != 403 or not is_status(reply.data):
            return reply
        # By Kubernetes' own roles it is anybody's.
        ready = self._once(_READY, deadline).status
        if ready == 403 or ready >= 500:
            return _Reply(503, b"it has only just started, and does not know yet who may do what", None)
        # It may have become ready in between.
        return self._once(request, deadline)

    def _once(self, request: _Request, deadline: float) -> _Reply:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 only where a cluster is asked
        from urllib3.util import Timeout  # noqa: PLC0415

        headers = {"Accept": "application/json", "User-Agent": "ironbinder"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            for entry in self._configuration.auth_settings().values():
                headers[entry["key"]] = entry["value"]
            response = self._pool.request(
                request.method,
                self._configuration.host + request.target,
                body=None if request.body is None else json.dumps(request.body),
                headers=headers,
                timeout=Timeout(connect=self._limits.connect, read=self._limits.read),
                # Neither tried again nor led elsewhere behind our back; a redirect would get the token.
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                data = self._read(response, deadline)
                return _Reply(response.status, data, pause(response.status, response.headers))
            finally:
                response.release_conn()
        except (HTTPError, OSError) as error:
            raise KubeError(
                f"{request}: {self._where} does not answer: {self._silence(error)}. Check that the control "
                f"plane is up. {self._check}"
            ) from error

    def _read(self, response: Any, deadline: float) -> bytes:
        pieces = []
        # urllib3 2's read1 returns what is there; the old read waits for more, each time within `read`.
        read = getattr(response, "read1", response.read)
        while piece := read(_READ_BYTES):
            pieces.append(piece)
            if self._clock.now() >= deadline:
                response.close()
                raise OSError(f"its answer was not complete after {self._limits.total:g} s")
        return b"".join(pieces)

    def _silence(self, error: Exception) -> str:
        """Say what a broken connection means; urllib3's own texts name its classes."""
        from urllib3 import exceptions as known  # noqa: PLC0415

        if isinstance(error, known.NewConnectionError):
            return str(error.__cause__ or error)
        if isinstance(error, known.ConnectTimeoutError):
            return f"no connection within {self._limits.connect:g} s"
        if isinstance(error, known.ReadTimeoutError):
            return f"it sent nothing for {self._limits.read:g} s"
        if isinstance(error, known.ProtocolError):
            return f"the connection was closed early ({error})"
        return str(error)

    def _refused(self, request: _Request, status: int, data: bytes) -> KubeError:
        try:
            said = json.loads(data)
            message = str(said.get("message") or said.get("reason") or "")
        except (ValueError, AttributeError):
            message = excerpt(data)
        remedy = {
            401: "The account in the kubeconfig is not known there: fetch the kubeconfig again with the stage `cluster`, "
            "or correct site_kubeconfig_file",
            403: "The account in the kubeconfig may not do that: site_kubeconfig_file has to be the administrator's",
        }.get(status, self._check if status == 429 or status >= 500 else "")
        text = f"{request} at {self._where}: {status} {message or 'without a reason'}"
        return KubeError(f"{text}. {remedy}" if remedy else text, status, message)


def connect(kubeconfig: str, *, limits: Optional[Limits] = None, clock: Optional[Clock] = None) -> KubeApi:
    """Open the cluster of `kubeconfig`; nothing is asked yet.

    Args:
        kubeconfig: file on this machine.
        limits: of each request.
        clock: time, for the pauses that a busy server asks for.

    Raises:
        KubeError: the kubernetes package is missing, or the file is no kubeconfig.
    """
    try:
        import yaml  # noqa: PLC0415 kubernetes brings it
        from kubernetes import config  # noqa: PLC0415 only where a cluster is asked
    except ImportError as error:
        raise library_missing("kubernetes") from error
    try:
        client = config.new_client_from_config(config_file=kubeconfig)
    except (config.ConfigException, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise KubeError(
            f"{kubeconfig} is no kubeconfig: {why}. Check site_kubeconfig_file, or run the stage `cluster`, which "
            "fetches the file"
        ) from error
    return _Rest(client, kubeconfig, limits or Limits(), clock or SystemClock())
