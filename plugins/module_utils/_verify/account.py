# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A launch on a hub where people sign in: by a token of the hub's own, which may start, open and stop one account's servers.

BinderHub asks its hub whose a token is, and launches for that name: https://github.com/jupyterhub/binderhub/blob/main/binderhub/builder.py
Scopes: https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    Reply,
    Transport,
    is_under,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import (
    VerifyError,
    unreachable,
)

__all__ = ["Account"]

REQUEST_SECONDS = 20.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.5
# What a server that is gone, or was never there, is answered with.
_GONE = (204, 404)
_RELEASE = "release the hub again, which gives the verifier its roles (hub.loadRoles)"


class Account:
    """Who launches. Without a token nobody does, and everything here does nothing."""

    def __init__(self, transport: Transport, hub_url: str, token: str, clock: Clock) -> None:
        self._transport = transport
        self._hub_url = hub_url.rstrip("/") + "/"
        self._token = token
        self._clock = clock
        self.name = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a request shows."""
        return {"Authorization": f"token {self._token}"} if self._token else {}

    def prepare(self) -> None:
        """Ask the hub whose the token is and what it may, and stop what an earlier launch may have left.

        Raises:
            VerifyError: the hub does not know the token, or it may too little.
        """
        if not self._token:
            return
        url = self._api("user")
        reply = self._ask("GET", url)
        who = reply.json()
        if reply.status in (401, 403):
            raise VerifyError(
                "hub_token",
                "the hub does not know the verifier's token",
                where=url,
                observed=f"HTTP {reply.status}",
                remedy="compare site_hub_verify_tokens in secrets.yml with what was released, and release the hub again; a token "
                "of a person may have expired",
            )
        if reply.status != 200 or not isinstance(who, dict) or not isinstance(who.get("name"), str):
            raise _no_hub(url, reply)
        self.name = who["name"]
        self._check_scopes(who)
        self._clear()

    def _check_scopes(self, who: Mapping[str, Any]) -> None:
        scopes = [scope for scope in who.get("scopes") or [] if isinstance(scope, str)]
        if not isinstance(
            who.get("scopes"), list
        ):  # a hub before 2.0 has none, and lets a token do what its owner may
            return
        own = f"user={self.name}"
        wanted = (("access:services", "service=binder"), ("access:servers", own), ("delete:servers", own))
        missing = [f"{scope}!{of}" for scope, of in wanted if not _holds(scopes, scope, of)]
        if missing:
            raise VerifyError(
                "hub_scope",
                "the verifier's token may not do what a launch takes",
                where=self._api("user"),
                observed=f"{who.get('kind', 'token')} {self.name} lacks {', '.join(missing)}",
                remedy=_RELEASE,
            )

    def _clear(self) -> None:
        """Stop the server without a name: one person has one, and a launch that was killed may have left it."""
        url = self._server("")
        waited = wait_until(
            lambda _seconds: self._ask("DELETE", url),
            lambda reply: reply.status != 202,
            clock=self._clock,
            timeout_seconds=STOP_SECONDS,
            step_seconds=POLL_SECONDS,
        )
        reply = waited.seen
        if reply.status == 404:
            raise VerifyError(
                "hub_account",
                "the hub has no account for the verifier",
                where=url,
                observed="HTTP 404",
                remedy=f"restart the hub, which makes the account {self.name} when it starts; else {_RELEASE}",
            )
        if reply.status not in (202, 204):
            raise _no_hub(url, reply)

    def check_owner(self, server_url: str) -> None:
        """See to it that BinderHub launched for this account, and not for a guest."""
        if not self._token or not is_under(server_url, self._hub_url):
            return
        owner = _parts(server_url, self._hub_url)[0]
        if owner != self.name:
            raise VerifyError(
                "sign_in_off",
                "BinderHub launches for people who did not sign in",
                where=server_url,
                observed=f"the server is of {owner or 'nobody'}, not of {self.name}",
                remedy="see that config.BinderHub.auth_enabled is true in the release's values, and release the hub again",
            )

    def explain(self, error: VerifyError) -> VerifyError:
        """Say more of a BinderHub that wants people to sign in, which this account did."""
        if not self._token or error.kind != "sign_in":
            return error
        return VerifyError(
            "sign_in",
            f"the hub knows the verifier as {self.name}, and BinderHub does not let it in",
            where=self._hub_url,
            observed=str(error),
            remedy="see whether BinderHub asks this hub (config.BinderHub.hub_url_local), and read BinderHub's log",
        )

    def stop(self, server_url: str) -> str:
        """Stop a server, and forget that there was one; return what is wrong, or ""."""
        _, server = _parts(server_url, self._hub_url)
        url, body = self._server(server), json.dumps({"remove": True}).encode() if server else b""
        try:
            waited = wait_until(
                lambda _seconds: (
                    self._transport.request("DELETE", url, self.headers, REQUEST_SECONDS, body=body).status
                ),
                lambda status: status != 202,
                clock=self._clock,
                timeout_seconds=STOP_SECONDS,
                step_seconds=POLL_SECONDS,
            )
        except HttpFailure as error:
            return str(error)
        return "" if waited.seen in _GONE else f"HTTP {waited.seen} to the hub's request to stop it"

    def _ask(self, method: str, url: str) -> Reply:
        try:
            return self._transport.request(
                method, url, {"Accept": "application/json", **self.headers}, REQUEST_SECONDS
            )
        except HttpFailure as error:
            raise unreachable(url, error) from error

    def _api(self, path: str) -> str:
        return f"{self._hub_url}hub/api/{path}"

    def _server(self, name: str) -> str:
        place = f"servers/{quote(name, safe='')}" if name else "server"
        return self._api(f"users/{quote(self.name, safe='@~')}/{place}")


def _no_hub(url: str, reply: Reply) -> VerifyError:
    return VerifyError(
        "hub",
        "the hub does not answer as one",
        where=url,
        observed=f"HTTP {reply.status}, {reply.headers.get('content-type', 'no content type')}",
        remedy="compare the proxy's location for the hub, hub.baseUrl and the hub's hub_base_url: they must be one path; else "
        "read the hub's log",
    )


def _parts(server_url: str, hub_url: str) -> tuple[str, str]:
    """Give a server's owner and its name, "" where it has none, out of `<hub>user/<owner>/<name>/`."""
    parts = [unquote(part) for part in server_url[len(hub_url) :].split("/") if part]
    return (parts[1] if len(parts) > 1 and parts[0] == "user" else ""), (parts[2] if len(parts) > 2 else "")


def _holds(scopes: Iterable[str], scope: str, of: str) -> bool:
    return any(held in (scope, f"{scope}!{of}") for held in scopes)
