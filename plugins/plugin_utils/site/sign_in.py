# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How people sign in to a hub: the kinds there are, what each is told, and the one place of the callback's URL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, look_up

__all__ = [
    "AUTH_DEFAULTS",
    "BINDER_CALLBACK_WAY",
    "CALLBACK_WAYS",
    "KINDS",
    "MISPLACED_SECRETS",
    "NONE",
    "OWN_WAYS",
    "Kind",
    "auth_of",
    "binder_callback_url",
    "callback_url",
    "has_provider",
    "issuers",
    "own_traits",
    "probed_name",
    "signs_in",
]

NONE = "none"
# Of every kind but `none`.
COMMON = (
    "kind",
    "allow_all",
    "allowed_users",
    "admin_users",
    "named_servers",
    "token_max_age_seconds",
    "cookie_max_age_days",
)
CLIENT = (*COMMON, "client_id", "scopes", "logout_redirect_url")


@dataclass(frozen=True)
class Kind:
    """One kind of sign-in.

    `authenticator` is what JupyterHub calls it, `section` the class whose traits it sets. `keys` are those of `auth` that it
    reads, `needed` those without a default. `secret` is the key of `site_hub_auth_secrets.<hub>` that it needs, if any.
    """

    authenticator: str
    section: str
    keys: tuple[str, ...]
    needed: tuple[str, ...] = ()
    secret: str = ""

    @property
    def has_provider(self) -> bool:
        """Whether people sign in elsewhere, and come back by the callback."""
        return "client_id" in self.keys


KINDS = {
    NONE: Kind("", "", ("kind", "acknowledged")),
    "oidc": Kind(
        "generic-oauth",
        "GenericOAuthenticator",
        (*CLIENT, "issuer", "endpoints", "username_claim", "groups_claim", "allowed_groups", "admin_groups"),
        ("issuer", "client_id"),
        "client_secret",
    ),
    "native": Kind("native", "NativeAuthenticator", COMMON),
    "shared_password": Kind("shared-password", "SharedPasswordAuthenticator", COMMON, (), "password"),
    "github": Kind(
        "github", "GitHubOAuthenticator", (*CLIENT, "allowed_organizations"), ("client_id",), "client_secret"
    ),
    "gitlab": Kind(
        "gitlab",
        "GitLabOAuthenticator",
        (*CLIENT, "issuer", "allowed_groups"),
        ("client_id",),
        "client_secret",
    ),
    "cilogon": Kind(
        "cilogon",
        "CILogonOAuthenticator",
        (*CLIENT, "username_claim", "allowed_idps"),
        ("client_id", "allowed_idps"),
        "client_secret",
    ),
}
# Where a hub's own values can name the callback, by which BinderHub itself is called back, and people by their provider.
BINDER_CALLBACK_WAY = "jupyterhub.hub.services.binder.oauth_redirect_uri"
CALLBACK_WAYS = (
    BINDER_CALLBACK_WAY,
    *(
        f"jupyterhub.hub.config.{kind.section}.oauth_callback_url"
        for kind in KINDS.values()
        if kind.has_provider
    ),
)
# Ways in a hub's values that say by themselves whether, and how, people sign in.
OWN_WAYS = (
    "config.BinderHub.auth_enabled",
    "jupyterhub.hub.config.BinderSpawner.auth_enabled",
    "jupyterhub.hub.config.JupyterHub.authenticator_class",
)
# Sections below `jupyterhub.hub.config` that every authenticator reads beside its own, and traits in any of them that say who may
# come in, and by which provider.
COMMON_SECTIONS = ("Authenticator", "OAuthenticator")
OWN_TRAIT = re.compile(
    r"(allow|allowed|admin)_[a-z_]+|any_allow_config|idps|client_id|client_secret|user_password|open_signup|username_claim"
    r"|manage_groups|auth_state_groups_key|(authorize|token|userdata|gitlab|logout_redirect)_url"
)
# A day: who leaves a group at the provider keeps what a cookie opens for no longer. Tokens that people make for their own
# programs: a week.
AUTH_DEFAULTS: dict[str, Any] = {
    "kind": NONE,
    "acknowledged": False,
    "issuer": "",
    "client_id": "",
    "scopes": [],
    "username_claim": "",
    "groups_claim": "",
    "allowed_users": [],
    "allowed_groups": [],
    "allow_all": False,
    "admin_users": [],
    "admin_groups": [],
    "logout_redirect_url": "",
    "allowed_organizations": [],
    "allowed_idps": [],
    "endpoints": {},
    "named_servers": 5,
    "token_max_age_seconds": 604800,
    "cookie_max_age_days": 1,
}
KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "oidc": {"scopes": ["openid", "profile", "email"], "username_claim": "preferred_username"},
    # What an institution calls its person, see https://www.cilogon.org/oidc
    "cilogon": {"username_claim": "eppn"},
}
# What people write into `auth`, and where it belongs: a key of `site_hub_auth_secrets.<hub>`.
MISPLACED_SECRETS = {
    "client_secret": "client_secret",
    "password": "password",
    "admin_password": "admin_password",
}


def auth_of(given: Any) -> dict[str, Any]:
    """Fill in the defaults of a hub's `auth`. Nothing has to be right; a key without a value counts as not given."""
    told = (
        {key: value for key, value in given.items() if value is not None}
        if isinstance(given, Mapping)
        else {}
    )
    kind = told.get("kind")
    defaults = KIND_DEFAULTS.get(kind, {}) if isinstance(kind, str) else {}
    return {**AUTH_DEFAULTS, **defaults, **told}


def own_traits(values: Any, kinds: Iterable[Kind]) -> Iterator[tuple[str, Any]]:
    """Give the ways in a hub's own values that say once more what `auth` of one of these kinds says, each with its value."""
    for section in dict.fromkeys((*COMMON_SECTIONS, *(kind.section for kind in kinds if kind.section))):
        place = f"jupyterhub.hub.config.{section}"
        for trait, value in as_mapping(look_up(values, place)).items():
            if OWN_TRAIT.fullmatch(trait):
                yield f"{place}.{trait}", value


def signs_in(hub: Mapping[str, Any]) -> bool:
    """Whether a hub of `site_hubs` asks people to sign in, by a kind of ours."""
    kind = auth_of(hub.get("auth"))["kind"]
    return isinstance(kind, str) and kind != NONE and kind in KINDS


def has_provider(hub: Mapping[str, Any]) -> bool:
    """Whether people sign in to a hub of `site_hubs` elsewhere, and come back."""
    return signs_in(hub) and KINDS[auth_of(hub.get("auth"))["kind"]].has_provider


def callback_url(hub_url: str) -> str:
    """Give the address to which a provider sends people back, as its registration form asks for it."""
    return f"{hub_url}hub/oauth_callback"


def binder_callback_url(binder_url: str) -> str:
    """Give the address to which the hub sends people back, who is BinderHub's own provider."""
    return f"{binder_url}oauth_callback"


def issuers(hubs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Give the issuer of each hub whose provider is to be asked for its endpoints."""
    told = {name: auth_of(hub.get("auth")) for name, hub in hubs.items()}
    return {
        name: auth["issuer"]
        for name, auth in told.items()
        if auth["kind"] == "oidc"
        and isinstance(auth["issuer"], str)
        and auth["issuer"]
        and not auth["endpoints"]
    }


def probed_name(hub: str) -> str:
    """Name a hub's provider among the URLs that a node is to ask."""
    return f"provider_{hub}"
