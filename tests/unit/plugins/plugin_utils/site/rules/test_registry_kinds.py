# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/registry_kinds.py by a bad site of its own, and each kind of registry by a good one."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, rules_in, texts

USER, PULLER, PREFIX = "site_registry_username", "site_registry_pull_username", "site_registry_prefix"
PASSWORD, PULL_PASSWORD = "site_registry_password", "site_registry_pull_password"
TOKEN_URL = "site_registry_token_url"
KEY = {"form": "base64", "missing": [], "type": "service_account", "project": "my-project"}
TEXT_KEY = {**KEY, "form": "text"}
LOGIN, PUSH, TOKEN = (f"hosts/head1/probe/urls/registry_{what}" for what in ("login", "push", "token"))
THEIRS: dict[str, list[object]] = {"groups/registry": []}


def at(host: str, prefix: str, user: str, puller: str, **keys: Any) -> dict[str, Any]:
    """Changes after which the site has somebody else's registry, with these accounts."""
    return {
        **THEIRS,
        **{
            f"hosts/{name}/probe/urls": {
                "registry": {"url": f"https://{host}/v2/", "status": 401, "challenge": 'Bearer realm="x"'},
                "packages": {"url": "x", "status": 200},
            }
            for name in ("head1", "worker1", "worker2")
        },
        "values/site_registry_host": host,
        f"values/{PREFIX}": prefix,
        f"values/{USER}": user,
        f"values/{PULLER}": puller,
        "secrets/keys": {
            name: {"form": "", "missing": [], "type": "", "project": ""} | keys.get(name, {})
            for name in (PASSWORD, PULL_PASSWORD)
        },
    }


HUB = at("docker.io", "an-org/stfc-", "account", "account")
GCR = at(
    "eu.gcr.io",
    "my-project/stfc-",
    "_json_key_base64",
    "_json_key",
    **{PASSWORD: KEY, PULL_PASSWORD: TEXT_KEY},
)
PKG = at(
    "europe-west1-docker.pkg.dev",
    "my-project/binder/stfc-",
    "_json_key_base64",
    "_json_key_base64",
    **{PASSWORD: KEY, PULL_PASSWORD: KEY},
)
HARBOR = at("harbor.example.org", "people/stfc-", "robot$people+builder", "robot$people+puller") | {
    f"values/{TOKEN_URL}": "https://harbor.example.org/service/token?service=harbor-registry"
}
GITLAB = at("registry.gitlab.example.org", "group/project/stfc-", "builder", "puller") | {
    f"values/{TOKEN_URL}": "https://gitlab.example.org/jwt/auth?service=container_registry"
}
NO_LOGIN = {"url": "x", "status": 200}


def key(**changes: Any) -> dict[str, Any]:
    """Changes to the key of the account that pushes."""
    return {f"secrets/keys/{PASSWORD}/{name}": content for name, content in changes.items()}


CASES = [
    case("Docker Hub", HUB),
    case("gcr.io, with a key in each form", GCR),
    case("Artifact Registry", PKG),
    case("Harbor", HARBOR),
    case("GitLab", GITLAB),
    case(
        "a project of a domain",
        {
            **GCR,
            **key(project="example.org:p"),
            f"values/{PREFIX}": "example.org/p/x-",
            f"secrets/keys/{PULL_PASSWORD}/project": "",
        },
    ),
    case(
        "a token service that nobody names",
        {**HARBOR, f"values/{TOKEN_URL}": ""},
        ("registry-token-service-unnamed", TOKEN_URL, ""),
    ),
    case(
        "a registry that takes the account itself",
        {
            **HARBOR,
            f"values/{TOKEN_URL}": "",
            **{
                f"hosts/{name}/probe/urls/registry/challenge": 'Basic realm="x"'
                for name in ("head1", "worker1", "worker2")
            },
        },
    ),
    case(
        "a wrong password at a token service that nobody names",
        {**HARBOR, f"values/{TOKEN_URL}": "", LOGIN: {"url": "x", "status": 401}},
        ("registry-login-refused", PASSWORD, "head1"),
    ),
    case("a robot of all of Harbor", {**HARBOR, f"values/{USER}": "robot$builder"}),
    case(
        "Docker Hub with two levels",
        {**HUB, f"values/{PREFIX}": "an-org/binder/stfc-"},
        ("registry-prefix-levels", PREFIX, ""),
    ),
    case(
        "Artifact Registry without a repository",
        {**PKG, f"values/{PREFIX}": "my-project/stfc-"},
        ("registry-prefix-levels", PREFIX, ""),
    ),
    case(
        "Docker Hub without an account",
        {
            **HUB,
            f"values/{USER}": "",
            f"values/{PULLER}": "",
            f"secrets/values/{PASSWORD}/empty": True,
            f"secrets/values/{PULL_PASSWORD}/empty": True,
        },
        ("registry-account-missing", USER, ""),
    ),
    case(
        "Docker Hub with a password alone",
        {**HUB, f"values/{USER}": ""},
        ("registry-account-incomplete", USER, ""),
    ),
    *(
        case(
            f"token service {url}",
            {**GITLAB, f"values/{TOKEN_URL}": url},
            ("registry-token-url-unusable", TOKEN_URL, ""),
        )
        for url in (
            "gitlab.example.org/jwt/auth",
            "ftp://gitlab.example.org/",
            "http://gitlab.example.org/jwt/auth",
            "https://me:secret@gitlab.example.org/jwt/auth",
            "https://gitlab.example.org:99999/",
            "https://[gitlab/",
        )
    ),
    case(
        "a token service of the site's own registry",
        {f"values/{TOKEN_URL}": "https://gitlab.example.org/jwt/auth"},
        ("registry-token-url-unusable", TOKEN_URL, ""),
    ),
    *(
        case(
            f"a token service that {name}",
            {**GITLAB, LOGIN: NO_LOGIN, TOKEN: {"url": "https://gitlab.example.org/jwt/auth", **answer}},
            ("registry-token-refused", TOKEN_URL, "head1"),
        )
        for name, answer in (
            ("is not there", {"error": "other", "detail": "timed out"}),
            ("refuses", {"status": 403, "token": False}),
            ("has no token", {"status": 200, "token": False}),
        )
    ),
    case(
        "a wrong password is found once",
        {
            **GITLAB,
            LOGIN: {"url": "x", "status": 401},
            TOKEN: {"url": "x", "status": 401, "token": False},
            PUSH: {"url": "x", "status": 401},
        },
        ("registry-login-refused", PASSWORD, "head1"),
    ),
    *(
        case(
            f"no right to push, {status}",
            {**HARBOR, LOGIN: NO_LOGIN, PUSH: {"url": "x", "status": status}},
            ("registry-push-refused", USER, "head1"),
        )
        for status in (401, 403, 404, 405)
    ),
    case("a registry that is busy", {**HARBOR, LOGIN: NO_LOGIN, PUSH: {"url": "x", "status": 429}}),
    case("a registry that lets it push", {**HARBOR, LOGIN: NO_LOGIN, PUSH: {"url": "x", "status": 202}}),
    case(
        "a token that lasts an hour",
        {**GCR, f"values/{USER}": "oauth2accesstoken"},
        ("registry-key-account", USER, ""),
    ),
    case("a key in the other form", {**GCR, **key(form="text")}, ("registry-key-account", USER, "")),
    case("a key that is none", {**GCR, **key(form="", project="")}, ("registry-key-malformed", PASSWORD, "")),
    case(
        "a key without its key",
        {**GCR, **key(missing=["private_key"])},
        ("registry-key-malformed", PASSWORD, ""),
    ),
    case("a person's key", {**GCR, **key(type="authorized_user")}, ("registry-key-malformed", PASSWORD, "")),
    case(
        "a key of another project",
        {**GCR, **key(project="my-project-2")},
        ("registry-key-other-project", PASSWORD, ""),
    ),
    case(
        "a robot of another project",
        {**HARBOR, f"values/{PULLER}": "robot$library+puller"},
        ("registry-robot-other-project", PULLER, ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("registry_kinds") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_an_account_in_a_url_is_not_shown() -> None:
    site = case("x", {**GITLAB, f"values/{TOKEN_URL}": "https://me:secret@gitlab.example.org/"}).site()
    [text] = texts(site, "registry-token-url-unusable")
    assert "secret" not in text and "me:" not in text


@pytest.mark.parametrize(
    ("challenge", "told"),
    [
        (
            'Bearer realm="https://harbor.example.org/service/token",service="harbor-registry"',
            "set it to https://harbor.example.org/service/token?service=harbor-registry",
        ),
        (
            'bearer realm="https://git.example.org/jwt/auth?client=docker",service="container registry"',
            "set it to https://git.example.org/jwt/auth?client=docker&service=container%20registry",
        ),
        ('Bearer realm="https://git.example.org/jwt/auth"', "set it to https://git.example.org/jwt/auth"),
        # What preflight would refuse is not proposed.
        ('Bearer realm="/token",service="x"', "set it, such as https://"),
        ('Bearer realm="https://me:secret@git.example.org/"', "set it, such as https://"),
        ("Bearer", "set it, such as https://"),
    ],
)
def test_the_service_is_proposed_as_the_registry_names_it(challenge: str, told: str) -> None:
    answers = {
        f"hosts/{name}/probe/urls/registry/challenge": challenge for name in ("head1", "worker1", "worker2")
    }
    site = case("x", {**HARBOR, f"values/{TOKEN_URL}": "", **answers}).site()
    [text] = texts(site, "registry-token-service-unnamed")
    assert told in text and "secret" not in text


@pytest.mark.parametrize(
    ("host", "common", "account"),
    [
        ("registry-1.docker.io", "docker.io", HUB),
        ("docker.io:443", "docker.io", HUB),
        ("Docker.io", "docker.io", HUB),
        ("hub.docker.com", "docker.io", HUB),
        ("gcr.io:443", "gcr.io", GCR),
        ("GCR.io", "gcr.io", GCR),
    ],
)
def test_another_spelling_is_one_finding(host: str, common: str, account: dict[str, Any]) -> None:
    """Not one that the rules of these registries pass over."""
    site = case("spelling", {**account, "values/site_registry_host": host}).site()
    assert found(site) == {("registry-host-malformed", "site_registry_host", "")}
    [text] = texts(site, "registry-host-malformed")
    assert text.endswith(f"-> write {common}")
