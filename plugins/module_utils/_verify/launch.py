# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Launches a repository as a person would, times it, opens the notebook and stops its server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    Stream,
    Transport,
    is_under,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.account import Account
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.arrivals import Arrivals
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import (
    VerifyError,
    redact,
    refused,
    unreachable,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import (
    EventStreamError,
    EventStreamParser,
    PhaseFollower,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.expected import Expected
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.failure import (
    asks_for_registry,
    broken_stream,
    failed_launch,
    hopeless_launch,
    registry_failure,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel import KernelProof
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_door import KernelDoor
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch_request import (
    LaunchRequest,
    build_url,
    signed_token,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.notebook import Notebook
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.registry import registry_trouble
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.summary import summary

__all__ = ["Launch", "LaunchRequest", "build_url"]

REQUEST_SECONDS = 20.0
# After `Failed` without a reason the last lines of the log may still be on their way.
LINGER_SECONDS = 1.0


class Launch:
    """One launch, from the request to the end of its server."""

    def __init__(
        self,
        request: LaunchRequest,
        transport: Transport,
        clock: Optional[Clock] = None,
    ) -> None:
        self._request = request
        self._transport = transport
        self._clock = clock or SystemClock()
        self._url = build_url(request)
        self._token = ""
        self._build_token = request.build_token or signed_token(request, time.time())
        self._account = Account(transport, request.hub_url, request.hub_token, self._clock)
        self._facts: dict[str, Any] = {"url": request.url, "warnings": []}

    def run(self) -> dict[str, Any]:
        """Launch and return what was measured, see RETURN of `binder_launch`.

        Raises:
            VerifyError: it did not work; `facts` holds what was measured until then.
        """
        try:
            self._facts["versions"] = self._versions()
            self._account.prepare()
            follower = self._follow()
            if self._token_is_refused(follower):
                # BinderHub may sign by another secret, or hear itself called by another host: then as anybody does.
                self._build_token = ""
                follower = self._follow()
            try:
                self._judge(follower)
            finally:
                self._stop()
            self._facts["summary"] = summary(follower, self._facts)
        except VerifyError as error:
            error.facts = self._facts
            error.hide(self._secrets())
            raise
        facts: dict[str, Any] = redact(self._facts, self._secrets())
        return facts

    def _secrets(self) -> list[str]:
        return [
            self._token,
            self._build_token,
            self._request.build_token_secret,
            self._request.hub_token,
        ]

    def _versions(self) -> Any:
        """Ask for the versions, which old BinderHubs do not tell."""
        url = self._request.url.rstrip("/") + "/versions"
        try:
            reply = self._transport.request("GET", url, {"Accept": "application/json"}, REQUEST_SECONDS)
        except HttpFailure as error:
            raise unreachable(url, error) from error
        versions = reply.json() if reply.status == 200 else None
        return versions if isinstance(versions, dict) else {}

    def _follow(self) -> PhaseFollower:
        """Open the stream and read it until it is ready or failed, and hang up."""
        request, token = self._request, self._build_token
        query = f"?build_token={quote(token, safe='')}" if token else ""
        follower = PhaseFollower(self._clock)
        try:
            limit = min(request.timeout_seconds, request.silence_seconds)
            headers = {"Accept": "text/event-stream", **self._account.headers}
            stream = self._transport.open(self._url + query, headers, limit)
        except HttpFailure as error:
            raise unreachable(self._url, error) from error
        arrivals = Arrivals(follower.started)
        try:
            self._check_stream(stream)
            self._read(stream, follower, arrivals)
        finally:
            stream.close()
            self._token = self._request.hub_token or str(follower.ready.get("token") or "")
            self._facts.update(
                phases=follower.phases(),
                timeline=[asdict(segment) for segment in follower.timeline()],
                total_seconds=follower.total_seconds,
                image=follower.image,
                built_now=follower.built_now,
                buffered=bool(arrivals.evidence),
                buffered_evidence=arrivals.evidence,
                server_url=_server_url(follower.ready),
            )
        return follower

    def _token_is_refused(self, follower: PhaseFollower) -> bool:
        """Whether BinderHub does not know a token that nobody gave, and that only spares its limit of requests."""
        own = self._build_token and not self._request.build_token
        return bool(own and follower.failure and failed_launch(self._url, follower).kind == "build_token")

    def _check_stream(self, stream: Stream) -> None:
        if stream.status == 200 and stream.headers.get("content-type", "").startswith("text/event-stream"):
            return
        try:
            page = stream.read(REQUEST_SECONDS).decode("utf-8", "replace")
        except HttpFailure:
            page = ""
        raise self._account.explain(refused(self._url, stream.status, stream.headers, page))

    def _read(self, stream: Stream, follower: PhaseFollower, arrivals: Arrivals) -> None:
        parser = EventStreamParser()
        deadline = follower.started + self._request.timeout_seconds
        while not follower.ended or self._lingers(follower):
            limit = min(self._request.silence_seconds, deadline - self._clock.now())
            if follower.failure:
                limit = min(limit, follower.failed_at + LINGER_SECONDS - self._clock.now())
            try:
                if limit <= 0:
                    raise HttpFailure("silence", "the time was up")
                chunk = stream.read(limit)
                items = parser.feed(chunk)
            except (HttpFailure, EventStreamError) as error:
                if follower.ended:
                    return
                raise self._broken(follower, arrivals, error, deadline) from error
            if not chunk:
                if follower.ended:
                    return
                raise self._broken(follower, arrivals, HttpFailure("closed", "the stream ended"), deadline)
            arrivals.note(self._clock.now(), items, parser.pending)
            for item in items:
                follower.apply(item)
            if follower.hopeless:
                raise hopeless_launch(self._url, follower)

    def _lingers(self, follower: PhaseFollower) -> bool:
        """Whether to wait for the reason of a failure.

        Never past `built`: hanging up there keeps an old BinderHub from starting a server.
        """
        failure = follower.failure
        return bool(
            failure
            and not failure.message
            and not follower.contradictions
            and self._clock.now() - follower.failed_at < LINGER_SECONDS
        )

    def _broken(
        self, follower: PhaseFollower, arrivals: Arrivals, error: Exception, deadline: float
    ) -> VerifyError:
        late = isinstance(error, HttpFailure) and self._clock.now() >= deadline
        limit = self._request.timeout_seconds if late else self._request.silence_seconds
        return broken_stream(self._url, follower, error, late=late, limit=limit, held=arrivals.evidence)

    def _judge(self, follower: PhaseFollower) -> None:
        """Decide whether what was followed is a launch, and open the notebook."""
        if follower.failure:
            raise self._failed(follower)
        server, hub = self._facts["server_url"], self._request.hub_url
        if not server or not self._token:
            raise VerifyError(
                "launch",
                "BinderHub says ready but names no server",
                where=self._url,
                observed=f"the fields {', '.join(sorted(follower.ready))}",
                remedy="see whether this BinderHub only builds (enable_api_only_mode, require_build_only)",
                log=follower.log,
            )
        if hub and not is_under(server, hub):
            raise VerifyError(
                "hub_url",
                "hub_url points to the wrong place",
                where=self._url,
                observed=f"the server is said to be at {server}, people reach the hub at {hub}",
                remedy="set BinderHub.hub_url to the hub's public URL, with its path, and release the hub again",
            )
        self._account.check_owner(server)
        if self._request.check_api:
            started = self._clock.now()
            notebook = self._notebook()
            self._facts["api"] = notebook.open()
            self._facts["api_seconds"] = round(self._clock.now() - started, 3)
            self._facts["websocket"] = notebook.websocket()
            if self._request.check_kernel:
                self._prove_kernel(follower)
        if self._facts["buffered"]:
            told = f"the build log is held back on its way: {self._facts['buffered_evidence']}"
            remedy = "set proxy_buffering off (and no gzip) where the proxy passes BinderHub's path"
            if self._request.fail_when_buffered:
                what = "the launch works, but people see no progress"
                raise VerifyError("buffered", what, where=self._url, observed=told, remedy=remedy)
            self._facts["warnings"].append(f"{told}: {remedy}")

    def _prove_kernel(self, follower: PhaseFollower) -> None:
        """Let the notebook compute, as a phase of its own after the launch."""
        limit, clock = self._request.kernel_timeout_seconds, self._clock
        door = KernelDoor(self._transport, self._facts["server_url"], self._token, clock, limit_seconds=limit)
        proof = KernelProof(door, Expected.of(self._request.expect), clock)
        proof.measure(self._facts, follower.started, follower.log)

    def _failed(self, follower: PhaseFollower) -> VerifyError:
        if asks_for_registry(follower):
            base = self._request.url.rstrip("/") + "/"
            trouble = registry_trouble(base, self._request.registry_url, self._transport)
            if trouble:
                return registry_failure(self._url, follower, trouble)
        return failed_launch(self._url, follower)

    def _notebook(self) -> Notebook:
        return Notebook(self._transport, self._facts["server_url"], self._token, self._clock)

    def _stop(self) -> None:
        """Stop the server if there is one, even after a failure, and see it go."""
        server, warnings = self._facts["server_url"], self._facts["warnings"]
        if not server or not self._token:
            return
        self._facts["server_stopped"] = False
        if self._request.keep_server:
            warnings.append(f"the server at {server} was kept, as asked: the hub's culler stops it when idle")
            return
        trouble = self._account.stop(server) if self._request.hub_token else self._notebook().stop()
        self._facts["server_stopped"] = not trouble
        if trouble:
            warnings.append(
                f"the server at {server} was asked to stop and is not known to have done so ({trouble}): "
                "the hub's culler stops it when idle"
            )


def _server_url(ready: Mapping[str, Any]) -> str:
    """Return the server's URL with a slash at its end, without a query, which may hold the token."""
    url = str(ready.get("url") or "").partition("?")[0].partition("#")[0]
    return url.rstrip("/") + "/" if url else ""
