# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The forms of what a hub's `auth` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_int,
    as_mapping,
    as_text,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import AUTH_DEFAULTS

__all__ = ["AUTH_FORMS", "is_issuer", "is_web_url", "shown"]

# Behind these a URL has what may be secret.
MARKS = "@?#"


def is_web_url(value: Any) -> bool:
    """Whether a value is a URL of the web, without an account."""
    parts = split_url(value)
    return bool(
        parts and parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    ) and " " not in as_text(value)


def is_issuer(value: Any) -> bool:
    """Whether a value is a URL below which a provider has its addresses: one without account, query and fragment."""
    return is_web_url(value) and not any(mark in as_text(value) for mark in MARKS)


def shown(value: Any) -> str:
    """Say what a value of another form is, for all to read: of a mapping its keys, of a list how long it is."""
    if isinstance(value, Mapping):
        return f"a mapping of {', '.join(map(str, value))[:60] or 'nothing'}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    mark = next((mark for mark in MARKS if mark in str(value)), "")
    return f"a text with {mark} in it" if mark else repr(str(value)[:60])


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name.strip() for name in value)


def _is_entity_ids(value: Any) -> bool:
    # Others the hub takes for names of domains, and does not start.
    return _is_names(value) and all(name.lower().startswith(("https:", "http:", "urn:")) for name in value)


def _is_endpoints(value: Any) -> bool:
    told = as_mapping(value)
    return value == {} or (set(told) == set(ENDPOINTS) and all(is_web_url(url) for url in told.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


NAMES = (_is_names, "write a list of texts, such as [ada, grace]")
TEXT = (lambda value: isinstance(value, str), "write text, in quotes if it looks like a number")
FLAG = (lambda value: isinstance(value, bool), "write true or false")
COUNT = (lambda value: as_int(value, -1) >= 0, "write a whole number, 0 for none")
URL = (
    lambda value: value == "" or is_web_url(value),
    "write a URL that begins with https://, without an account",
)
# Of every key but `kind`: whether a value has the form, and what to write instead.
AUTH_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("allow_all", "acknowledged"), FLAG),
    **dict.fromkeys(("client_id", "username_claim", "groups_claim"), TEXT),
    "issuer": (
        lambda value: value == "" or is_issuer(value),
        "write a URL that begins with https://, without account, ? and #",
    ),
    "logout_redirect_url": URL,
    **dict.fromkeys(("named_servers", "token_max_age_seconds"), COUNT),
    "cookie_max_age_days": (_is_number, "write a number of days, such as 1"),
    "endpoints": (_is_endpoints, f"name {', '.join(ENDPOINTS)}, each with its URL"),
    **{key: NAMES for key, default in AUTH_DEFAULTS.items() if isinstance(default, list)},
    "allowed_idps": (
        _is_entity_ids,
        "write a list of entity ids as https://cilogon.org/idplist has them, each with https:, http: or urn:",
    ),
}
