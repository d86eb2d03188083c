# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/sign_in.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.facts import reduce_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import AUTH_DEFAULTS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in_forms import AUTH_FORMS
from site_cases import GONE, Case, Found, case, found, good_site, rules_in, secret, texts

AUTH = "site_hubs.binder.auth"
SECRETS = "site_hub_auth_secrets.binder"
OIDC = {
    "kind": "oidc",
    "issuer": "https://iam.example.org/",
    "client_id": "binder",
    "groups_claim": "groups",
    "allowed_groups": ["escape/binder"],
}
# What the secrets of each kind are known to be, by their key.
GIVEN = {key: secret(length=40, hex=False) for key in ("client_secret", "password", "admin_password")}


def auth(name: str, given: Any, *expected: Found, told: dict[str, Any] | None = None, **values: Any) -> Case:
    """A hub with this `auth`, its token, and these secrets."""
    described = {
        f"secrets/values/{SECRETS}.{key}": entry for key, entry in (GIVEN if told is None else told).items()
    }
    return case(
        name,
        {
            "values/site_hubs": {"binder": {"auth": given, **values}},
            "secrets/values/site_hub_verify_tokens.binder": secret(),
            **described,
        },
        *expected,
    )


def without(*keys: str, **changes: Any) -> dict[str, Any]:
    """The good sign-in with changes."""
    return {**{key: value for key, value in OIDC.items() if key not in keys}, **changes}


def at(rule: str, key: str = "") -> Found:
    return rule, f"{AUTH}.{key}".rstrip("."), ""


NATIVE = {"kind": "native", "admin_users": ["ada"]}
SHARED = {"kind": "shared_password", "allow_all": True}
CILOGON = {
    "kind": "cilogon",
    "client_id": "x",
    "allowed_idps": ["https://idp.example.org"],
    "allow_all": True,
}
GOOD = [
    auth("nobody signs in", {"kind": "none", "acknowledged": True}),
    auth("a provider", OIDC),
    auth("names by hand", without("groups_claim", "allowed_groups", allowed_users=["ada"])),
    auth("one password for all", SHARED),
    auth("GitHub", {"kind": "github", "client_id": "x", "allowed_organizations": ["ironbinder"]}),
    auth(
        "a GitLab",
        {"kind": "gitlab", "client_id": "x", "issuer": "https://git.example.org", "allowed_groups": ["a"]},
    ),
    auth("CILogon", CILOGON),
    auth("institutions by other names", {**CILOGON, "allowed_idps": ["urn:mace:example.org", "HTTP://x"]}),
    auth("one text of scopes", without(scopes=["openid profile"])),
    auth("GitHub without scopes", {"kind": "github", "client_id": "x", "allow_all": True, "scopes": []}),
    auth("everybody, and an admin", without("allowed_groups", allow_all=True, admin_users=["ada"])),
]
CASES = [
    auth("a kind that is none", without(kind="oicd"), at("sign-in-kind-unknown", "kind")),
    auth("a kind that is a list", {"kind": ["oidc"]}, at("sign-in-kind-unknown", "kind")),
    auth("a word", "oidc", at("sign-in-kind-unknown")),
    auth("a misspelt key", without(client="x"), at("sign-in-key-unknown", "client")),
    auth(
        "a secret to be seen",
        without(client_secret="str"),
        at("sign-in-secret-misplaced", "client_secret"),
        told={},
    ),
    auth(
        "a kind that was forgotten",
        {"issuer": "https://iam.example.org/", "acknowledged": True},
        at("sign-in-kind-unknown", "kind"),
    ),
    auth("all but the kind", without("kind"), at("sign-in-kind-unknown", "kind")),
    auth("a kind that is nothing", without(kind=None), at("sign-in-kind-unknown", "kind")),
    auth("a kind in capitals", {**without("kind"), "Kind": "oidc"}, at("sign-in-kind-unknown", "kind")),
    auth(
        "people of another kind",
        {"kind": "github", "client_id": "x", "allowed_groups": ["a"]},
        at("sign-in-key-idle", "allowed_groups"),
    ),
    case(
        "a secret that cannot be computed",
        {
            **auth("", OIDC, told={}).changes,
            "errors": [{"variable": "site_hub_auth_secrets", "host": "", "message": "x"}],
        },
        ("value-not-computable", "site_hub_auth_secrets", ""),
    ),
    case(
        "a hub that is misspelt",
        {
            **auth("", OIDC).changes,
            "values/site_hubs": {"Binder": {"auth": OIDC}},
        },
        ("hub-malformed", "site_hubs.Binder", ""),
    ),
    auth(
        "a key of another kind",
        without(allowed_organizations=["x"]),
        at("sign-in-key-idle", "allowed_organizations"),
    ),
    auth("one name", without(allowed_users="ada"), at("sign-in-value-malformed", "allowed_users")),
    auth("no URL", without(issuer="iam.example.org"), at("sign-in-value-malformed", "issuer")),
    auth(
        "an account in the issuer",
        without(issuer="https://u:s3cr3t@iam.example.org/"),
        at("sign-in-value-malformed", "issuer"),
    ),
    auth(
        "a query in the issuer",
        without(issuer="https://iam.example.org/?key=s3cr3t"),
        at("sign-in-value-malformed", "issuer"),
    ),
    auth(
        "an account in an address",
        without(endpoints=dict.fromkeys(ENDPOINTS, "https://u:s3cr3t@iam.example.org/x")),
        at("sign-in-value-malformed", "endpoints"),
    ),
    auth(
        "a secret among the addresses",
        without(endpoints={"client_secret": "s3cr3t"}),
        at("sign-in-value-malformed", "endpoints"),
    ),
    auth("a list of secrets", without(issuer=["s3cr3t"]), at("sign-in-value-malformed", "issuer")),
    auth("yes", without(allow_all="yes"), at("sign-in-value-malformed", "allow_all")),
    auth(
        "a cookie for no time",
        without(cookie_max_age_days=0),
        at("sign-in-value-malformed", "cookie_max_age_days"),
    ),
    auth("fewer than no servers", without(named_servers=-1), at("sign-in-value-malformed", "named_servers")),
    auth(
        "half of the addresses",
        without(endpoints={"token_url": "https://x/t"}),
        at("sign-in-value-malformed", "endpoints"),
    ),
    auth("no issuer", without("issuer"), at("sign-in-value-missing", "issuer")),
    auth("no client", without("client_id"), at("sign-in-value-missing", "client_id")),
    auth("no secret", OIDC, ("sign-in-secret-missing", f"{SECRETS}.client_secret", ""), told={}),
    auth(
        "an empty secret",
        OIDC,
        ("sign-in-secret-missing", f"{SECRETS}.client_secret", ""),
        told={"client_secret": secret(empty=True, length=0)},
    ),
    auth("no password", SHARED, ("sign-in-secret-missing", f"{SECRETS}.password", ""), told={}),
    auth(
        "an admin without a password",
        {**SHARED, "admin_users": ["ada"]},
        ("sign-in-secret-missing", f"{SECRETS}.admin_password", ""),
        told={"password": secret(length=12)},
    ),
    auth(
        "a short password",
        SHARED,
        ("sign-in-password-short", f"{SECRETS}.password", ""),
        told={"password": secret(length=7)},
    ),
    auth(
        "a short password of admins",
        {**SHARED, "admin_users": ["ada"]},
        ("sign-in-password-short", f"{SECRETS}.admin_password", ""),
        told={"password": secret(length=12), "admin_password": secret(length=31)},
    ),
    auth("no scope", without(scopes=[]), at("sign-in-scope-missing", "scopes")),
    auth("another scope", without(scopes=["profile", "email"]), at("sign-in-scope-missing", "scopes")),
    auth("no list of scopes", without(scopes="profile"), at("sign-in-value-malformed", "scopes")),
    auth("nobody's name", without(username_claim=" "), at("sign-in-value-missing", "username_claim")),
    auth(
        "nobody's name at an institution",
        {**CILOGON, "username_claim": ""},
        at("sign-in-value-missing", "username_claim"),
    ),
    auth(
        "an institution's domain",
        {**CILOGON, "allowed_idps": ["https://idp.example.org", "cern.ch"]},
        at("sign-in-value-malformed", "allowed_idps"),
    ),
    auth("everybody and some", without(allow_all=True), at("sign-in-lists-open", "allow_all")),
    auth(
        "everybody and some in two lists",
        without(allow_all=True, allowed_users=["ada"]),
        at("sign-in-lists-open", "allow_all"),
    ),
    auth("nobody", without("allowed_groups"), at("sign-in-nobody-allowed")),
    auth(
        "everybody of nowhere",
        {"kind": "cilogon", "client_id": "x", "allowed_idps": ["https://x"]},
        at("sign-in-nobody-allowed"),
    ),
    auth(
        "groups out of nothing", without("groups_claim"), at("sign-in-groups-without-claim", "groups_claim")
    ),
    auth(
        "a provider by plain HTTP",
        without(issuer="http://iam.example.org/"),
        at("sign-in-plain-http", "issuer"),
    ),
    case(
        "a callback by plain HTTP",
        {
            **auth("", OIDC).changes,
            "values/site_public_url": "http://binder.example.org",
            "values/site_proxy_tls_certificate_file": "",
            "values/site_proxy_tls_key_file": "",
            "controller/tls/proxy": {},
        },
        ("sign-in-plain-http", "site_public_url", ""),
    ),
    case(
        "accounts that are forgotten",
        {**auth("", NATIVE).changes, "values/site_hub_database": "sqlite-memory"},
        ("sign-in-accounts-not-kept", "site_hub_database", ""),
    ),
]


@pytest.mark.parametrize("good", GOOD, ids=[entry.name for entry in GOOD])
def test_good_site(good: Case) -> None:
    """Every kind can be said without a finding."""
    assert found(good.site()) == set()


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("sign_in") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_every_key_has_a_form() -> None:
    assert set(AUTH_FORMS) | {"kind"} == set(AUTH_DEFAULTS)


def test_the_callback_is_shown_to_who_has_yet_to_register() -> None:
    [told] = texts(auth("", without("client_id")).site(), "sign-in-value-missing")
    assert "https://binder.example.org/jupyterhub/hub/oauth_callback" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (without("kind"), "issuer, client_id, groups_claim, allowed_groups are there -> write kind: oidc"),
        ({"issuer": "https://x/"}, "issuer is there -> write kind: oidc or gitlab"),
        ({**without("kind"), "Kind": "oidc"}, "is missing, and Kind is there -> write kind:"),
    ],
)
def test_a_kind_is_proposed(given: dict[str, Any], told: str) -> None:
    [text] = texts(auth("", given).site(), "sign-in-kind-unknown")
    assert told in text


def test_what_may_be_secret_is_not_shown() -> None:
    for entry in CASES:
        report = check_site(entry.site()).as_data()
        assert "s3cr3t" not in str(report), entry.name
    [told] = texts(auth("", without(endpoints={"a": "x"})).site(), "sign-in-value-malformed")
    assert told.startswith("is a mapping of a ->")


def test_a_secret_in_the_wrong_place_is_never_said() -> None:
    """Nor does it get as far as the rules."""
    hubs = reduce_hubs({"binder": {"auth": {**OIDC, "client_secret": "s3cr3t"}}})
    assert "s3cr3t" not in str(hubs)
    site = {**good_site()}
    site["values"]["site_hubs"] = hubs
    assert [entry for entry in texts(site, "sign-in-secret-misplaced") if "secrets.yml" in entry]


def test_a_hub_that_signs_in_needs_a_token_for_the_verifier() -> None:
    bad = auth("", OIDC)
    site = Case(
        "", {**bad.changes, "secrets/values/site_hub_verify_tokens.binder": GONE}, frozenset()
    ).changed(bad.site())
    assert found(site) == {("token-missing", "site_hub_verify_tokens.binder", "")}
