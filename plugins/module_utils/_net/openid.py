# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an OpenID provider says of itself: https://openid.net/specs/openid-connect-discovery-1_0.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpTransport,
    Reply,
)

__all__ = [
    "ENDPOINTS",
    "DiscoveryError",
    "discover",
    "discovery_fault",
    "discovery_url",
    "issuer_fault",
    "read_discovery",
]

# What JupyterHub calls a provider's addresses, and what the provider does.
ENDPOINTS = {
    "authorize_url": "authorization_endpoint",
    "token_url": "token_endpoint",
    "userdata_url": "userinfo_endpoint",
}

ASK_SECONDS = 10.0


class DiscoveryError(Exception):
    """A provider that says nothing of use. Its text says what it was."""


def discover(issuer: str, transport: HttpTransport) -> dict[str, Any]:
    """Ask a provider, see `read_discovery`.

    Raises:
        HttpFailure: it does not answer.
        DiscoveryError: it is none, calls itself otherwise, or lacks an endpoint.
    """
    url = discovery_url(issuer)
    told = read_discovery(
        transport.request("GET", url, {"Accept": "application/json"}, ASK_SECONDS, redirects=3)
    )
    fault = told.get("error") or issuer_fault(issuer, told["issuer"]) or discovery_fault(told)
    if fault:
        raise DiscoveryError(f"{url}: {fault}")
    return told


def discovery_url(issuer: str) -> str:
    """Give the address of a provider's document."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_discovery(reply: Reply) -> dict[str, Any]:
    """Read a provider's document.

    Returns:
        `issuer`, `endpoints` {authorize_url, token_url, userdata_url: URL, those that it names}, `claims` and `scopes` that it
        knows, empty where it does not say; or `error`, why this is no such document.
    """
    if reply.status != 200:
        return {"error": f"answers {reply.status}"}
    told = reply.json()
    if not isinstance(told, Mapping) or not isinstance(told.get("issuer"), str):
        return {"error": "is no document of an OpenID provider"}
    endpoints = {name: told[key] for name, key in ENDPOINTS.items() if _is_url(told.get(key))}
    return {
        "issuer": told["issuer"],
        "endpoints": endpoints,
        "claims": _names(told.get("claims_supported")),
        "scopes": _names(told.get("scopes_supported")),
    }


def discovery_fault(told: Mapping[str, Any]) -> str:
    """Say which endpoints a document lacks, or nothing."""
    missing = [key for name, key in ENDPOINTS.items() if name not in told.get("endpoints", {})]
    return f"names no {', '.join(missing)}" if missing else ""


def issuer_fault(given: str, told: str) -> str:
    """Say in which way an issuer is another than the provider's own word for itself, or nothing.

    They have to be the same, byte for byte: tokens are refused otherwise.
    """
    if given == told:
        return ""
    if given.rstrip("/") == told.rstrip("/"):
        return f"the provider calls itself {told}, {'with' if told.endswith('/') else 'without'} a slash at the end"
    return f"the provider calls itself {told[:200]}"


def _is_url(value: Any) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        return bool(parts and parts.scheme in ("http", "https") and parts.hostname)
    except ValueError:
        return False


def _names(value: Any) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
