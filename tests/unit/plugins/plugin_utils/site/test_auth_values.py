# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What signing in adds to a hub's values, kind by kind, and that it adds nothing where nobody signs in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.auth_values import (
    VERIFIER,
    SignIn,
    SignInError,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import KINDS

SECRETS = {"client_secret": "cl13nt-s3cr3t", "password": "w0rksh0p-pass", "admin_password": "4dm1n" * 8}
ENDPOINTS = {
    name: f"https://iam.example.org/{name}" for name in ("authorize_url", "token_url", "userdata_url")
}
SIGN_IN = SignIn(SECRETS, "e" * 64, ENDPOINTS)
AUTHS: dict[str, dict[str, Any]] = {
    "oidc": {
        "kind": "oidc",
        "issuer": "https://iam.example.org/",
        "client_id": "binder",
        "groups_claim": "groups",
        "allowed_groups": ["escape/binder"],
        "admin_groups": ["escape/admins"],
        "logout_redirect_url": "https://iam.example.org/logout",
    },
    "native": {"kind": "native", "admin_users": ["ada"]},
    "shared_password": {"kind": "shared_password", "allow_all": True, "admin_users": ["ada"]},
    "github": {"kind": "github", "client_id": "x", "allowed_organizations": ["ironbinder"]},
    "gitlab": {
        "kind": "gitlab",
        "client_id": "x",
        "issuer": "https://git.example.org/",
        "allowed_groups": ["a"],
    },
    "cilogon": {
        "kind": "cilogon",
        "client_id": "x",
        "allowed_idps": ["https://idp.example.org"],
        "allow_all": True,
    },
}


def values(auth: Any, sign_in: SignIn | None = SIGN_IN, **settings: Any) -> dict[str, Any]:
    """Values of a hub with this `auth`."""
    given = {} if auth is None else {"auth": auth}
    own = {"values": settings.pop("own", {})}
    hub = resolve_hubs({"binder": {**given, **own}}, "https://binder.example.org", "192.0.2.10")["binder"]
    wish = Settings(registry_host="r.example.org", registry_prefix="b/x-", **settings)
    return hub_values(hub, wish, "a" * 64, "b" * 64, "c" * 64, sign_in=sign_in)


def at(mapping: Any, path: str) -> Any:
    for key in path.split("."):
        mapping = mapping[key]
    return mapping


def traits(kind: str, auth: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the authenticator of a kind is told and may be shown."""
    told: dict[str, Any] = at(
        values(auth or AUTHS[kind])["config"], f"jupyterhub.hub.config.{KINDS[kind].section}"
    )
    return told


@pytest.mark.parametrize("auth", [{"kind": "none"}, {"kind": "none", "acknowledged": True}, {}])
def test_where_nobody_signs_in_nothing_changes(auth: dict[str, Any]) -> None:
    """To the byte: another value would restart the pods of every hub that there is."""
    assert json.dumps(values(auth)) == json.dumps(values(None, None))


def test_every_kind_has_a_case() -> None:
    assert set(AUTHS) | {"none"} == set(KINDS)


@pytest.mark.parametrize("kind", AUTHS)
def test_binderhub_stands_behind_the_login(kind: str) -> None:
    told = values(AUTHS[kind])["config"]
    hub = told["jupyterhub"]["hub"]
    assert told["config"]["BinderHub"]["auth_enabled"] is True
    assert hub["config"]["BinderSpawner"]["auth_enabled"] is True
    assert hub["config"]["JupyterHub"]["authenticator_class"] == KINDS[kind].authenticator
    assert hub["redirectToServer"] is False
    assert hub["services"]["binder"] == {
        "oauth_client_id": "service-binder",
        "oauth_redirect_uri": "https://binder.example.org/binderhub/oauth_callback",
        "oauth_no_confirm": True,
    }
    assert hub["loadRoles"]["user"] == {"scopes": ["self", "access:services!service=binder"]}
    assert told["jupyterhub"]["singleuser"]["cmd"] == "jupyterhub-singleuser"
    assert told["jupyterhub"]["cull"]["users"] is False


@pytest.mark.parametrize("kind", AUTHS)
def test_the_verifier_may_do_as_little_as_it_can(kind: str) -> None:
    told = values(AUTHS[kind])
    roles = at(told["config"], "jupyterhub.hub.loadRoles")
    assert roles[VERIFIER] == {
        "services": [VERIFIER],
        "scopes": [
            "access:services!service=binder",
            f"access:servers!user={VERIFIER}",
            f"delete:servers!user={VERIFIER}",
        ],
    }
    # By which the hub makes the account, which may do nothing more than any other.
    assert roles[f"{VERIFIER}-account"] == {"users": [VERIFIER], "scopes": []}
    assert at(told["secrets"], f"jupyterhub.hub.services.{VERIFIER}") == {"apiToken": "e" * 64}


@pytest.mark.parametrize("kind", AUTHS)
def test_secrets_are_apart(kind: str) -> None:
    told = values(AUTHS[kind])
    shown = json.dumps(told["config"])
    assert not [secret for secret in (*SECRETS.values(), "e" * 64) if secret in shown]
    hidden = at(told["secrets"], "jupyterhub.hub").get("config", {}).get(KINDS[kind].section, {})
    expected = {
        "native": {},
        "shared_password": {
            "user_password": SECRETS["password"],
            "admin_password": SECRETS["admin_password"],
        },
    }.get(kind, {"client_secret": SECRETS["client_secret"]})
    assert hidden == expected


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.has_provider])
def test_the_callback_is_the_one_that_is_shown(kind: str) -> None:
    assert traits(kind)["oauth_callback_url"] == "https://binder.example.org/jupyterhub/hub/oauth_callback"


@pytest.mark.parametrize("kind", AUTHS)
def test_who_was_allowed_once_is_not_for_ever(kind: str) -> None:
    assert traits(kind)["allow_existing_users"] is False
    assert traits(kind)["blocked_users"] == [VERIFIER]


def test_oidc() -> None:
    told = traits("oidc")
    assert {name: told[name] for name in ENDPOINTS} == ENDPOINTS
    assert told["scope"] == ["openid", "profile", "email"]
    assert told["username_claim"] == "preferred_username"
    assert told["login_service"] == "iam.example.org"
    assert (told["manage_groups"], told["auth_state_groups_key"]) == (True, "oauth_user.groups")
    assert (told["allowed_groups"], told["admin_groups"]) == (["escape/binder"], ["escape/admins"])
    assert told["logout_redirect_url"] == "https://iam.example.org/logout"
    bare = at(
        values({**AUTHS["oidc"], "groups_claim": ""})["config"], "jupyterhub.hub.config.GenericOAuthenticator"
    )
    assert not {"manage_groups", "auth_state_groups_key", "allowed_groups"} & set(bare)


def test_an_odd_secret_is_written_as_a_header_has_to_have_it() -> None:
    """The hub writes it as it is told. A provider that is sent it in a form gets it as it is."""
    odd = SignIn({"client_secret": "a+b c%"}, "e" * 64, ENDPOINTS)
    for kind, expected in (("oidc", "a%2Bb+c%25"), ("github", "a+b c%")):
        told = at(values(AUTHS[kind], odd)["secrets"], f"jupyterhub.hub.config.{KINDS[kind].section}")
        assert told == {"client_secret": expected}


def test_addresses_of_the_site_win_over_what_the_provider_says() -> None:
    own = {name: f"https://inside.example.org/{name}" for name in ENDPOINTS}
    told = values({**AUTHS["oidc"], "endpoints": own}, SignIn(SECRETS, "e" * 64))
    assert at(told["config"], "jupyterhub.hub.config.GenericOAuthenticator.token_url") == own["token_url"]


def test_other_kinds() -> None:
    assert traits("native")["allow_all"] is True and traits("native")["open_signup"] is False
    assert traits("github")["scope"] == ["read:org"]
    assert (traits("gitlab")["gitlab_url"], traits("gitlab")["allowed_gitlab_groups"]) == (
        "https://git.example.org",
        ["a"],
    )
    assert traits("gitlab")["scope"] == ["read_api"]
    everybody = {**AUTHS["gitlab"], "allowed_groups": [], "allow_all": True}
    assert traits("gitlab", everybody)["scope"] == ["read_user"]
    assert traits("cilogon")["allowed_idps"] == {
        "https://idp.example.org": {"username_derivation": {"username_claim": "eppn"}}
    }


def test_several_sessions_share_the_persons_volume() -> None:
    told = values(AUTHS["oidc"])["config"]
    assert at(told, "config.Launcher.named_server_limit_per_user") == 5
    assert at(told, "jupyterhub.hub.allowNamedServers") is True
    assert at(told, "jupyterhub.hub.namedServerLimitPerUser") == 0
    assert at(told, "jupyterhub.singleuser.storage.dynamic.pvcNameTemplate") == "claim-{username}"
    one = values({**AUTHS["oidc"], "named_servers": 0})["config"]
    assert "allowNamedServers" not in one["jupyterhub"]["hub"] and "Launcher" not in one["config"]


def test_lifetimes() -> None:
    told = at(
        values({**AUTHS["oidc"], "cookie_max_age_days": 0.5, "token_max_age_seconds": 60})["config"],
        "jupyterhub.hub.config.JupyterHub",
    )
    assert (told["cookie_max_age_days"], told["token_expires_in_max_seconds"]) == (0.5, 60)


def test_the_hub_asks_the_provider_by_the_sites_proxy() -> None:
    """And its own proxy, whose name has no dot, without."""
    environment = {"http_proxy": "http://p:1", "https_proxy": "http://p:1", "no_proxy": "x"}
    told = values(AUTHS["oidc"], proxy_environment=environment)["config"]
    assert at(told, "jupyterhub.hub.extraEnv") == {"https_proxy": "http://p:1", "no_proxy": "x"}
    assert (
        "extraEnv"
        not in values(AUTHS["native"], proxy_environment=environment)["config"]["jupyterhub"]["hub"]
    )


def test_own_values_win() -> None:
    own = {"jupyterhub": {"hub": {"config": {"GenericOAuthenticator": {"login_service": "ESCAPE"}}}}}
    told = values(AUTHS["oidc"], own=own)["config"]
    assert at(told, "jupyterhub.hub.config.GenericOAuthenticator.login_service") == "ESCAPE"


@pytest.mark.parametrize(
    ("kind", "sign_in", "words"),
    [
        ("oidc", SignIn({}, "e" * 64, ENDPOINTS), "site_hub_auth_secrets.binder.client_secret is missing"),
        ("shared_password", SignIn({}, "e" * 64), "site_hub_auth_secrets.binder.password is missing"),
        ("oidc", SignIn(SECRETS, "", ENDPOINTS), "site_hub_verify_tokens.binder is missing"),
        ("oidc", SignIn(SECRETS, "e" * 64), "gave no authorize_url, token_url, userdata_url"),
    ],
)
def test_what_is_missing_is_named(kind: str, sign_in: SignIn, words: str) -> None:
    with pytest.raises(SignInError, match=words):
        values(AUTHS[kind], sign_in)


def test_a_kind_that_is_none() -> None:
    with pytest.raises(SignInError, match="use none, oidc"):
        values({"kind": "oicd"})
