# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a hub's own values say of how people sign in, beside its `auth`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.facts import reduce_hubs
from site_cases import Case, Found, case, found, rules_in, secret, texts

CONFIG = "jupyterhub.hub.config"
OIDC = {
    "kind": "oidc",
    "issuer": "https://iam.example.org/",
    "client_id": "binder",
    "allowed_users": ["ada"],
}


def auth(name: str, given: Any, *expected: Found, **own: Any) -> Case:
    """A hub with this `auth` and these values of its own, as the rules get to see them."""
    return case(
        name,
        {
            "values/site_hubs": reduce_hubs({"binder": {"auth": given, **own}}),
            "secrets/values/site_hub_verify_tokens.binder": secret(),
            "secrets/values/site_hub_auth_secrets.binder.client_secret": secret(length=40, hex=False),
            "secrets/values/site_hub_auth_secrets.binder.password": secret(length=40, hex=False),
        },
        *expected,
    )


def config(**sections: Any) -> dict[str, Any]:
    return {"jupyterhub": {"hub": {"config": sections}}}


def overruled(*ways: str) -> list[Found]:
    return [("sign-in-overruled", f"site_hubs.binder.{way}", "") for way in ways]


OFF = {"config": {"BinderHub": {"auth_enabled": False}}, **config(JupyterHub={"authenticator_class": "null"})}
GOOD = [
    auth("nobody signs in by auth", {"kind": "none", "acknowledged": True}, values=OFF, secret_values=OFF),
    auth(
        "what auth has no word for",
        OIDC,
        values=config(GenericOAuthenticator={"scope": ["openid"]}, Authenticator={"auto_login": True}),
        secret_values={"jupyterhub": {"hub": {"cookieSecret": "x"}}, "registry": {"password": "x"}},
    ),
    auth("traits of another kind", OIDC, values=config(GitHubOAuthenticator={"allow_all": True})),
    auth(
        "the callback as it is",
        OIDC,
        values=config(
            GenericOAuthenticator={
                "oauth_callback_url": "https://binder.example.org/jupyterhub/hub/oauth_callback"
            }
        ),
    ),
]
CASES = [
    auth(
        "off",
        OIDC,
        *overruled("values.config.BinderHub.auth_enabled", f"values.{CONFIG}.JupyterHub.authenticator_class"),
        values=OFF,
    ),
    auth(
        "off in secret",
        OIDC,
        *overruled(
            "secret_values.config.BinderHub.auth_enabled",
            f"secret_values.{CONFIG}.JupyterHub.authenticator_class",
        ),
        secret_values=OFF,
    ),
    auth(
        "everybody, and a secret",
        OIDC,
        *overruled(
            f"values.{CONFIG}.GenericOAuthenticator.allow_all",
            f"values.{CONFIG}.GenericOAuthenticator.client_secret",
        ),
        values=config(GenericOAuthenticator={"allow_all": True, "client_secret": "s3cr3t"}),
    ),
    auth(
        "everybody of another provider, in secret",
        OIDC,
        *overruled(
            f"secret_values.{CONFIG}.GenericOAuthenticator.userdata_url",
            f"secret_values.{CONFIG}.GenericOAuthenticator.oauth_callback_url",
            f"secret_values.{CONFIG}.Authenticator.admin_users",
        ),
        secret_values=config(
            GenericOAuthenticator={"userdata_url": "https://x", "oauth_callback_url": "https://x"},
            Authenticator={"admin_users": ["s3cr3t"]},
        ),
    ),
    auth(
        "a password to be seen",
        {"kind": "shared_password", "allow_all": True},
        *overruled(f"values.{CONFIG}.SharedPasswordAuthenticator.user_password"),
        values=config(SharedPasswordAuthenticator={"user_password": "s3cr3t"}),
    ),
    auth(
        "back to another name",
        OIDC,
        (
            "sign-in-callback-elsewhere",
            "site_hubs.binder.values.jupyterhub.hub.config.GenericOAuthenticator.oauth_callback_url",
            "",
        ),
        values={
            "jupyterhub": {
                "hub": {
                    "config": {
                        "GenericOAuthenticator": {
                            "oauth_callback_url": "https://old.example.org/jupyterhub/hub/oauth_callback"
                        }
                    }
                }
            }
        },
    ),
    auth(
        "BinderHub back to another path",
        OIDC,
        (
            "sign-in-callback-elsewhere",
            "site_hubs.binder.values.jupyterhub.hub.services.binder.oauth_redirect_uri",
            "",
        ),
        values={
            "jupyterhub": {
                "hub": {"services": {"binder": {"oauth_redirect_uri": "https://binder.example.org/"}}}
            }
        },
    ),
]


@pytest.mark.parametrize("good", GOOD, ids=[entry.name for entry in GOOD])
def test_good_site(good: Case) -> None:
    """What `auth` does not say, and what nobody reads, may stand there."""
    assert found(good.site()) == set()


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable, and no secret gets as far as the rules."""
    site = bad.site()
    assert found(site) == bad.expected
    assert "s3cr3t" not in str(site)


def test_every_rule_has_a_case() -> None:
    assert rules_in("sign_in_values") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_a_secret_in_values_is_sent_where_it_belongs() -> None:
    [told] = texts(CASES[-3].site(), "sign-in-overruled")
    assert "site_hub_auth_secrets.binder" in told
