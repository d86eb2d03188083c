# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Asks whether the registry is why a BinderHub does not begin: BinderHub's own check first, then the registry."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Transport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_token import challenge_fields
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown

__all__ = ["registry_trouble"]

# BinderHub asks its registry three times, a second apart, before it says that it is not well.
HEALTH_SECONDS = 30.0
REGISTRY_SECONDS = 10.0
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support : 401 is an answer too.
ANSWERS = frozenset({200, 401, 403})


def registry_trouble(base: str, registry_url: str, transport: Transport) -> str:
    """Return what is wrong with the registry of the BinderHub at `base`, "" where nothing is known to be.

    Args:
        base: BinderHub's public URL, with a slash at its end.
        registry_url: scheme and host of the registry; empty where it cannot be asked from here.
        transport: the network.
    """
    found = [_by_binderhub(base, transport), _by_itself(registry_url, transport)]
    return "; ".join(filter(None, found))


def _by_binderhub(base: str, transport: Transport) -> str:
    try:
        body = transport.request("GET", f"{base}health", {"Accept": "*/*"}, HEALTH_SECONDS).json()
    except HttpFailure:
        return ""
    checks = body.get("checks") if isinstance(body, dict) else None
    for check in checks if isinstance(checks, list) else []:
        if isinstance(check, dict) and check.get("service") == "Docker registry" and check.get("ok") is False:
            return "BinderHub's own health check says that 'Docker registry' is failing"
    return ""


def _by_itself(registry_url: str, transport: Transport) -> str:
    if not registry_url:
        return ""
    url = f"{registry_url.rstrip('/')}/v2/"
    try:
        reply = transport.request("GET", url, {"Accept": "*/*"}, REGISTRY_SECONDS)
    except HttpFailure as error:
        return f"the registry does not answer at {url}: {error}"
    if reply.status not in ANSWERS:
        return f"the registry answers HTTP {reply.status} at {url}"
    challenge = reply.headers.get("www-authenticate", "")
    asks_for_token = reply.status == 401 and challenge.lower().startswith("bearer")
    return (
        _by_token_service(challenge_fields(challenge).get("realm", ""), transport) if asks_for_token else ""
    )


def _by_token_service(realm: str, transport: Transport) -> str:
    """Ask whom the registry sends everybody to, without an account: who answers, whatever it is, is there."""
    try:
        status = transport.request("GET", realm, {"Accept": "*/*"}, REGISTRY_SECONDS).status
    except HttpFailure as error:
        return f"the registry's token service does not answer at {shown(realm)}: {error}"
    return f"the registry's token service answers HTTP {status} at {shown(realm)}" if status >= 500 else ""
