# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Signing in, as values of the official BinderHub chart.

BinderHub stands behind JupyterHub's own login: https://binderhub.readthedocs.io/en/latest/authentication.html
Traits: https://oauthenticator.readthedocs.io and https://jupyterhub.readthedocs.io/en/stable/reference/rbac/roles.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    KINDS,
    NONE,
    Kind,
    auth_of,
    binder_callback_url,
)

__all__ = ["VERIFIER", "SignIn", "SignInError", "auth_values"]

# The service that proves launches, and the account whose servers it starts: BinderHub launches for who asks, by name.
VERIFIER = "ironbinder-verify"
_BINDER = "access:services!service=binder"


class SignInError(ValueError):
    """A sign-in that cannot be computed. Its text names the variable and the remedy."""


@dataclass(frozen=True)
class SignIn:
    """What signing in takes beyond the hub's `auth`.

    `secrets` are the hub's of `site_hub_auth_secrets`, `verify_token` is 32 bytes in hex, `endpoints` those of the provider:
    `authorize_url`, `token_url`, `userdata_url`.
    """

    secrets: Mapping[str, str] = field(default_factory=dict)
    verify_token: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)


def auth_values(hub: Mapping[str, Any], sign_in: SignIn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compute what signing in adds to a hub's values.

    Args:
        hub: the fields of `hubs.Hub`.
        sign_in: what it takes beyond them.

    Returns:
        (values that may be shown, values that may not); both empty where nobody signs in.

    Raises:
        SignInError: something is missing.
    """
    auth = auth_of(hub.get("auth"))
    if auth["kind"] == NONE:
        return {}, {}
    kind = KINDS.get(auth["kind"])
    where = f"site_hubs.{hub['name']}.auth"
    if kind is None:
        raise SignInError(f"{where}.kind is {auth['kind']!r}: use {', '.join(KINDS)}")
    traits, secret_traits = _traits(hub, auth, kind, sign_in)
    values = merge(_behind_login(hub), _lifetimes(auth), _verifier(), _servers(auth))
    config = {"JupyterHub": {"authenticator_class": kind.authenticator}, kind.section: traits}
    secrets: dict[str, Any] = {
        "hub": {"services": {VERIFIER: {"apiToken": _needed(sign_in.verify_token, "verify_tokens", hub)}}}
    }
    if secret_traits:
        secrets["hub"]["config"] = {kind.section: secret_traits}
    return merge(values, {"jupyterhub": {"hub": {"config": config}}}), {"jupyterhub": secrets}


def _needed(value: str, what: str, hub: Mapping[str, Any]) -> str:
    if not value:
        raise SignInError(
            f"site_hub_{what}.{hub['name']} is missing: add it to secrets.yml, see docs/sign-in.md"
        )
    return value


def _behind_login(hub: Mapping[str, Any]) -> dict[str, Any]:
    """Put BinderHub, and every session, behind the hub's login."""
    return {
        "config": {"BinderHub": {"auth_enabled": True}},
        "jupyterhub": {
            # People come again; the chart's own default forgets them with their session.
            "cull": {"users": False, "removeNamedServers": True},
            "hub": {
                # To BinderHub's page, and not into whatever session runs already.
                "redirectToServer": False,
                "config": {"BinderSpawner": {"auth_enabled": True}},
                "services": {
                    "binder": {
                        "oauth_client_id": "service-binder",
                        "oauth_redirect_uri": binder_callback_url(hub["binder_url"]),
                        "oauth_no_confirm": True,
                    }
                },
                "loadRoles": {"user": {"scopes": ["self", _BINDER]}},
            },
            # The chart's own starts a server that knows its token and no hub.
            "singleuser": {"cmd": "jupyterhub-singleuser"},
        },
    }


def _lifetimes(auth: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "cookie_max_age_days": auth["cookie_max_age_days"],
        "token_expires_in_max_seconds": int(auth["token_max_age_seconds"]),
    }
    return {"jupyterhub": {"hub": {"config": {"JupyterHub": told}}}}


def _verifier() -> dict[str, Any]:
    """Let the verifier in: a service that may use BinderHub, and open and stop the servers of one account, its own.

    The hub makes the account when it starts, as a role names it. No person can sign in as it.
    """
    own = f"user={VERIFIER}"
    return {
        "jupyterhub": {
            "hub": {
                "services": {VERIFIER: {"display": False}},
                "loadRoles": {
                    VERIFIER: {
                        "services": [VERIFIER],
                        "scopes": [_BINDER, f"access:servers!{own}", f"delete:servers!{own}"],
                    },
                    f"{VERIFIER}-account": {"users": [VERIFIER], "scopes": []},
                },
            }
        }
    }


def _servers(auth: Mapping[str, Any]) -> dict[str, Any]:
    """Let a person have several sessions at a time; without, a second link is refused while the first one runs.

    The hub's own limit counts servers that have stopped too, so that people would be locked out by what they closed. A volume
    stays the person's: by its default each session would get one of its own.
    """
    most = int(auth["named_servers"])
    if not most:
        return {}
    return {
        "config": {"Launcher": {"named_server_limit_per_user": most}},
        "jupyterhub": {
            # None, which is the chart's own, reaches BinderHub as an empty text, and BinderHub does not start.
            "hub": {"allowNamedServers": True, "namedServerLimitPerUser": 0},
            "singleuser": {
                "storage": {
                    "dynamic": {
                        "pvcNameTemplate": "claim-{username}",
                        "volumeNameTemplate": "volume-{username}",
                    }
                }
            },
        },
    }


def _traits(
    hub: Mapping[str, Any], auth: Mapping[str, Any], kind: Kind, sign_in: SignIn
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the authenticator's traits, those that may be shown and those that may not."""
    traits: dict[str, Any] = {
        "allow_all": bool(auth["allow_all"]),
        # The contract says who may come in. By the default whoever was once allowed would be for ever.
        "allow_existing_users": False,
        "allowed_users": list(auth["allowed_users"]),
        "admin_users": list(auth["admin_users"]),
        # Where people choose their names, too.
        "blocked_users": [VERIFIER],
    }
    if kind.has_provider:
        traits |= {"client_id": auth["client_id"], "oauth_callback_url": hub["callback_url"]}
        traits |= {"scope": list(auth["scopes"])} if auth["scopes"] else {}
        traits |= {"logout_redirect_url": auth["logout_redirect_url"]} if auth["logout_redirect_url"] else {}
    traits |= _OF_KIND[auth["kind"]](hub, auth, sign_in)
    if not kind.secret:
        return traits, {}
    what = f"auth_secrets.{hub['name']}.{kind.secret}"
    found = sign_in.secrets.get(kind.secret, "")
    if not found:
        raise SignInError(f"site_hub_{what} is missing: add it to secrets.yml, see docs/sign-in.md")
    if kind.secret != "password":
        # The hub writes it into a header as it is, where it has to stand as in a form.
        return traits, {kind.secret: quote_plus(found) if traits.get("basic_auth") else found}
    more = (
        {"admin_password": sign_in.secrets["admin_password"]} if sign_in.secrets.get("admin_password") else {}
    )
    return traits, {"user_password": found, **more}


def _oidc(hub: Mapping[str, Any], auth: Mapping[str, Any], sign_in: SignIn) -> dict[str, Any]:
    endpoints = {**sign_in.endpoints, **auth["endpoints"]}
    missing = [name for name in ENDPOINTS if not endpoints.get(name)]
    if missing:
        raise SignInError(
            f"site_hubs.{hub['name']}.auth.issuer {auth['issuer']} gave no {', '.join(missing)}: see what "
            f"{auth['issuer'].rstrip('/')}/.well-known/openid-configuration answers, or set auth.endpoints"
        )
    traits: dict[str, Any] = {
        **{name: endpoints[name] for name in ENDPOINTS},
        "login_service": urlsplit(auth["issuer"]).hostname or "OpenID",
        "username_claim": auth["username_claim"],
        # What a client is registered for unless its form says otherwise, and every provider has to know.
        "basic_auth": True,
    }
    if auth["groups_claim"]:
        traits |= {
            "manage_groups": True,
            "auth_state_groups_key": f"oauth_user.{auth['groups_claim']}",
            "allowed_groups": list(auth["allowed_groups"]),
            "admin_groups": list(auth["admin_groups"]),
        }
    return traits


def _native(_hub: Mapping[str, Any], auth: Mapping[str, Any], _sign_in: SignIn) -> dict[str, Any]:
    return {
        # An account is of use once an admin has approved it; which is all that there is to allow.
        "allow_all": True,
        "open_signup": bool(auth["allow_all"]),
        "check_common_password": True,
        "minimum_password_length": 10,
        "allowed_failed_logins": 5,
        "seconds_before_next_try": 600,
    }


def _github(_hub: Mapping[str, Any], auth: Mapping[str, Any], _sign_in: SignIn) -> dict[str, Any]:
    if not auth["allowed_organizations"]:
        return {}
    # Without this scope GitHub tells of public members only.
    return {
        "allowed_organizations": list(auth["allowed_organizations"]),
        "scope": list(auth["scopes"]) or ["read:org"],
    }


def _gitlab(_hub: Mapping[str, Any], auth: Mapping[str, Any], _sign_in: SignIn) -> dict[str, Any]:
    traits: dict[str, Any] = {"gitlab_url": auth["issuer"].rstrip("/")} if auth["issuer"] else {}
    # GitLab tells nothing of a person without a scope, and of groups by the larger one only.
    needed = "read_user"
    if auth["allowed_groups"]:
        traits["allowed_gitlab_groups"] = list(auth["allowed_groups"])
        needed = "read_api"
    return {**traits, "scope": list(auth["scopes"]) or [needed]}


def _cilogon(_hub: Mapping[str, Any], auth: Mapping[str, Any], _sign_in: SignIn) -> dict[str, Any]:
    derivation = {"username_derivation": {"username_claim": auth["username_claim"]}}
    return {"allowed_idps": dict.fromkeys(auth["allowed_idps"], derivation)}


def _nothing(_hub: Mapping[str, Any], _auth: Mapping[str, Any], _sign_in: SignIn) -> dict[str, Any]:
    return {}


_OF_KIND = {
    "oidc": _oidc,
    "native": _native,
    "shared_password": _nothing,
    "github": _github,
    "gitlab": _gitlab,
    "cilogon": _cilogon,
}
