# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Asks a BinderHub how it is: `health` and `versions`, or the main page of one too old to have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    Reply,
    Transport,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import (
    VerifyError,
    refused,
    unreachable,
)

__all__ = ["Health", "check_health"]

# BinderHub checks its registry three times, a second apart, before it says that it is not well.
REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class Health:
    """What a BinderHub says of itself.

    `supported` tells whether it has a health page. `checks` are BinderHub's own, [{service, ok, ...}];
    without a health page there is one, of the main page. `versions` is {} where it tells none.
    """

    ok: bool
    supported: bool
    checks: Sequence[Mapping[str, Any]]
    versions: Mapping[str, Any]

    @property
    def failing(self) -> list[str]:
        """Names of the services that make this BinderHub ill; the pod quota never does."""
        return [str(check.get("service")) for check in self.checks if not check.get("ok")]


def check_health(url: str, transport: Transport, hub_token: str = "") -> Health:
    """Ask the BinderHub at `url`. The main page of one that asks people to sign in opens with `hub_token`.

    Raises:
        VerifyError: nothing answers there, or something that is not a BinderHub.
    """
    base = url.rstrip("/") + "/"
    reply = _get(base + "health", transport)
    body = reply.json()
    if reply.status in (200, 503) and isinstance(body, dict) and isinstance(body.get("ok"), bool):
        checks = [check for check in body.get("checks") or [] if isinstance(check, dict)]
        return Health(body["ok"], True, checks, _versions(base, transport))
    # A BinderHub without a health page says 404; so does a proxy that leads nowhere.
    if reply.status not in (200, 404):
        raise refused(base + "health", reply.status, reply.headers, reply.text)
    page = _get(base, transport, {"Authorization": f"token {hub_token}"} if hub_token else {})
    if page.status != 200:
        raise refused(base, page.status, page.headers, page.text)
    if "binder" not in page.text.lower():
        raise VerifyError(
            "not_binderhub",
            "another page answers where BinderHub should be",
            where=base,
            observed=f"HTTP 200, {page.headers.get('content-type', 'no content type')}, without the word binder",
            remedy="check that the proxy's location leads to the binder service's NodePort",
        )
    return Health(True, False, [{"service": "BinderHub page", "ok": True}], _versions(base, transport))


def _get(url: str, transport: Transport, headers: Mapping[str, str] = MappingProxyType({})) -> Reply:
    try:
        return transport.request("GET", url, {"Accept": "*/*", **headers}, REQUEST_SECONDS)
    except HttpFailure as error:
        raise unreachable(url, error) from error


def _versions(base: str, transport: Transport) -> Mapping[str, Any]:
    reply = _get(base + "versions", transport)
    body = reply.json() if reply.status == 200 else None
    return body if isinstance(body, dict) else {}
