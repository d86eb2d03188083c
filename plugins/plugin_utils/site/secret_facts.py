# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What can be said about secrets without saying them.

The rules and the module that runs them never see a secret: only whether it is empty, well known, long
enough, or the same as another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = [
    "AUTH_SECRETS",
    "GIT_TOKENS",
    "MISSING",
    "OPTIONAL_TOKENS",
    "PASSWORDS",
    "SECRETS",
    "SIGN_IN_TOKENS",
    "TOKENS",
    "VAULT_HEADER",
    "describe",
    "equal_secrets",
    "flatten",
    "holds_secret",
    "shared_secrets",
    "token_fault",
]

TOKENS = (
    "site_hub_proxy_tokens",
    "site_hub_api_tokens",
    "site_hub_build_token_secrets",
    "site_hub_verify_tokens",
)
# Only hubs need one on which people sign in.
SIGN_IN_TOKENS = ("site_hub_verify_tokens",)
# A hub may go without: chart_values derives one. Sites whose secrets are from before there was one stay right.
OPTIONAL_TOKENS = ("site_hub_build_token_secrets",)
# By hub, like the tokens, but in no form of ours.
BUILD_TOKENS = ("site_verify_build_tokens",)
# By hub and what it is, {hub: {client_secret: ...}}. Who gave it chose its form.
AUTH_SECRETS = "site_hub_auth_secrets"
PASSWORDS = ("site_registry_password", "site_registry_pull_password")
# Of an account somewhere else, which several sites may have; its form is that server's.
GIT_TOKENS = ("site_github_access_token", "site_gitlab_access_token")
# A URL that may hold an account. Two of them are most often one, and most hold none, so no rule about passwords judges them.
URLS = ("site_http_proxy", "site_https_proxy")
SECRETS = (*TOKENS, *BUILD_TOKENS, AUTH_SECRETS, *PASSWORDS, *GIT_TOKENS, *URLS)
# 32 bytes, as `openssl rand -hex 32` writes them; JupyterHub refuses other lengths for its proxy's.
TOKEN_LENGTH = 64
MISSING = "is missing"
VAULT_HEADER = "$ANSIBLE_VAULT;"

WELL_KNOWN = frozenset(
    "12345678 123456 admin binder change-me change_me changeme default example fill-in ironbinder passw0rd "  # noqa: SIM905
    "password registry root secret test todo token xxx".split()
)


def _well_known(text: str) -> bool:
    # What an example has where the secret belongs: `...` and `<client secret>`.
    if re.fullmatch(r"\.{2,}|…|<[^<>]*>", text.strip()):
        return True
    bare = text.strip().strip("<>").lower()
    return bare in WELL_KNOWN or (len(bare) > 3 and len(set(bare)) == 1)


def describe(value: Any) -> dict[str, Any]:
    """Describe one secret: `text`, `empty`, `default`, `length` (in characters), `hex`, and `spaced`, a blank in or around it."""
    text = value if isinstance(value, str) else ""
    return {
        "text": isinstance(value, str) or value is None,
        "empty": value is None or (isinstance(value, str) and not value.strip()),
        "default": _well_known(text),
        "length": len(text),
        "hex": bool(re.fullmatch(r"[0-9a-fA-F]+", text)),
        "spaced": bool(re.search(r"\s", text)),
    }


def token_fault(told: Mapping[str, Any] | None) -> str:
    """Say what is wrong with a hub's token.

    Args:
        told: what `describe` says of it; None where there is no such token.

    Returns:
        `MISSING`, another text such as "is no text", or `` where nothing is wrong.
    """
    if told is None or told.get("empty") is True:
        return MISSING
    if told.get("text") is not True:
        return "is no text"
    length = told.get("length")
    if told.get("hex") is True and length == TOKEN_LENGTH:
        return ""
    kind = "hexadecimal digits" if told.get("hex") is True else "characters, not all of them hexadecimal"
    return f"is {length} {kind}; it has to be {TOKEN_LENGTH} hexadecimal digits"


def holds_secret(variable: str, value: Any) -> bool:
    """Whether a value of one of SECRETS is one. The URL of a proxy is where it holds an account."""
    return bool(value) and (variable not in URLS or "@" in str(value))


def flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give every secret of the contract as (variable, value), tokens as `variable.hub`, and what signing in takes one deeper."""
    for variable in SECRETS:
        value = values.get(variable)
        alone = variable in (*PASSWORDS, *GIT_TOKENS)
        if variable == AUTH_SECRETS and isinstance(value, Mapping):
            for hub, told in value.items():
                inner = told if isinstance(told, Mapping) else {}
                yield from ((f"{variable}.{hub}.{key}", secret) for key, secret in inner.items())
        elif not alone and isinstance(value, Mapping):
            yield from ((f"{variable}.{hub}", token) for hub, token in value.items())
        elif alone and variable in values:
            yield variable, value


def equal_secrets(values: Mapping[str, Any]) -> list[list[str]]:
    """Name pairs of secrets that are one and the same. Two hubs may be one client of a provider."""
    first: dict[str, str] = {}
    pairs = []
    for variable, value in flatten(values):
        if isinstance(value, str) and value and not variable.endswith(".client_secret"):
            other = first.setdefault(value, variable)
            if other != variable:
                pairs.append([other, variable])
    return pairs


def shared_secrets(
    values: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Name secrets that another site has too.

    Args:
        values: this site's variables.
        others: variables of the other sites' files, by the site's name.
    """
    known: dict[str, str] = {}
    for site, theirs in others.items():
        for _, value in flatten(theirs):
            if isinstance(value, str) and value:
                known.setdefault(value, site)
    return [
        {"variable": variable, "site": known[value]}
        for variable, value in flatten(values)
        if isinstance(value, str) and value in known and variable not in GIT_TOKENS
    ]
