# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/launches.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, good_site, rules_in, secret, texts, value

CORPUS = "site_verify_corpus"
BANNED, HIGH, NETWORKS = "site_banned_specs", "site_high_quota_specs", "site_ban_networks"
RANGE, PATTERN, NETWORK = "launch-value-out-of-range", "spec-pattern-malformed", "ban-network-malformed"
GITHUB, GITLAB = "site_github_access_token", "site_gitlab_access_token"


def token(**changes: Any) -> dict[str, Any]:
    """What is known of a token of GitHub's."""
    return secret(**{"length": 40, "hex": False, "spaced": False, **changes})


BANS_PROOF = ("verify-spec-banned", BANNED, "")
COURSE = {"name": "course", "provider": "gh", "spec": "acme/course/HEAD", "outcome": "ready"}
PASTED = {
    "values/site_verify_provider": "git",
    "values/site_verify_spec": "https://git.example.org/course.git/main",
}
CASES = [
    value(
        "no time at all",
        "site_launch_timeout_seconds",
        -1,
        (RANGE, "site_launch_timeout_seconds", ""),
    ),
    value("a time in minutes", "site_launch_timeout_seconds", 10, (RANGE, "site_launch_timeout_seconds", "")),
    value("BinderHub's own time", "site_launch_timeout_seconds", 0),
    value("a slow network", "site_launch_timeout_seconds", 1800),
    value(
        "fewer than no sessions",
        "site_per_repo_quota_higher",
        -3,
        (RANGE, "site_per_repo_quota_higher", ""),
    ),
    value("fewer than no requests", "site_rate_limit", -1, (RANGE, "site_rate_limit", "")),
    value(
        "a week of requests",
        "site_rate_limit_period_seconds",
        604800,
        (RANGE, "site_rate_limit_period_seconds", ""),
    ),
    value("a class of one address", "site_rate_limit", 200),
    value("class names", BANNED, {"GitHubRepoProvider": ["^x/"]}, ("spec-provider-unknown", BANNED, "")),
    value("a provider's host", HIGH, {"github.com": ["^x/"]}, ("spec-provider-unknown", HIGH, "")),
    value("brackets without end", BANNED, {"gh": ["^ok/", "^x/(.*"]}, (PATTERN, BANNED, "")),
    value("a shell's pattern", HIGH, {"git": ["*mining*"]}, (PATTERN, HIGH, "")),
    value("an empty pattern", BANNED, {"gh": [""]}, (PATTERN, BANNED, "")),
    value("a number", BANNED, {"gh": [7]}, (PATTERN, BANNED, "")),
    value("one pattern and no list", BANNED, {"gh": "^x/"}, (PATTERN, BANNED, "")),
    case(
        "a pattern that takes for ever for the proof",
        {
            f"values/{BANNED}": {"git": ["^(.+)+spam$"]},
            "values/site_verify_provider": "git",
            "values/site_verify_spec": "https%3A%2F%2Fgit.example.org%2Fcourse.git/main",
        },
        (PATTERN, BANNED, ""),
    ),
    value("one for other specs", HIGH, {"gh": ["^uni/([a-z]+)*$"]}, (PATTERN, HIGH, "")),
    value("patterns of two providers", BANNED, {"gh": ["^spam/.*"], "git": [".*mining.*"], "gl": []}),
    case(
        "the proof itself, in other letters",
        {
            f"values/{BANNED}": {"gh": ["^Binder-Examples/"]},
            "values/site_verify_provider": "gh",
            "values/site_verify_spec": "binder-examples/requirements/HEAD",
        },
        ("verify-spec-banned", BANNED, ""),
    ),
    case(
        "a hub's own proof",
        {
            f"values/{BANNED}": {"gh": ["^acme/.*"]},
            "values/site_hubs": {"binder": {"verify": {"spec": "acme/course/HEAD"}}},
        },
        BANS_PROOF,
    ),
    case(
        "a repository of the corpus",
        {f"values/{BANNED}": {"gh": ["^acme/.*"]}, f"values/{CORPUS}": [COURSE]},
        BANS_PROOF,
    ),
    case(
        "a repository of the corpus that is to be refused",
        {
            f"values/{BANNED}": {"gh": ["^acme/.*"]},
            f"values/{CORPUS}": [COURSE | {"outcome": "failed", "cause": "banned"}],
        },
    ),
    case(
        "a repository of the corpus that is left out",
        {f"values/{BANNED}": {"gh": ["^acme/.*"]}, f"values/{CORPUS}": [COURSE | {"skip": "later"}]},
    ),
    case("a URL as it is pasted", {f"values/{BANNED}": {"git": ["^https%3A%2F%2F"]}, **PASTED}, BANS_PROOF),
    case("what no link has", {f"values/{BANNED}": {"git": ["^https://git.example.org/"]}, **PASTED}),
    case(
        "another provider's",
        {
            f"values/{BANNED}": {"gl": ["^binder-examples/"]},
            "values/site_verify_provider": "gh",
            "values/site_verify_spec": "binder-examples/requirements/HEAD",
        },
    ),
    case(
        "a course with fewer than others",
        {
            f"values/{HIGH}": {"gh": ["^uni/course"]},
            "values/site_per_repo_quota": 20,
            "values/site_per_repo_quota_higher": 10,
        },
        ("high-quota-below-quota", "site_per_repo_quota_higher", ""),
    ),
    case(
        "a course without a quota",
        {f"values/{HIGH}": {"gh": ["^uni/course"]}, "values/site_per_repo_quota": 20},
    ),
    value("an address of a host's network", NETWORKS, {"192.0.2.7/24": "a crawler"}, (NETWORK, NETWORKS, "")),
    value("a name", NETWORKS, {"crawler.example.org": "a crawler"}, (NETWORK, NETWORKS, "")),
    value("a number for an address", NETWORKS, {3221225991: "a crawler"}, (NETWORK, NETWORKS, "")),
    value("no reason", NETWORKS, {"192.0.2.0/24": ""}, (NETWORK, NETWORKS, "")),
    value(
        "networks of both kinds",
        NETWORKS,
        {"192.0.2.0/24": "a crawler", "2001:db8::/32": "x", "192.0.2.9": "y"},
    ),
    case(
        "a token with a line break",
        {f"secrets/values/{GITHUB}": token(spaced=True)},
        ("git-token-malformed", GITHUB, ""),
    ),
    case("half a token", {f"secrets/values/{GITLAB}": token(length=6)}, ("git-token-malformed", GITLAB, "")),
    case(
        "a token that is a number",
        {f"secrets/values/{GITHUB}": token(text=False, length=0)},
        ("secret-not-text", GITHUB, ""),
    ),
    case(
        "a token out of an example",
        {f"secrets/values/{GITHUB}": token(default=True, length=8)},
        ("secret-default", GITHUB, ""),
    ),
    *(
        case(
            f"a token in {section}",
            {f"values/site_hubs/binder/values/config/{section}": {key: "str"}},
            ("git-token-misplaced", f"site_hubs.binder.values.config.{section}.{key}", ""),
        )
        for section, key in (
            ("GitHubRepoProvider", "access_token"),
            ("GitLabRepoProvider", "access_token"),
            ("GitLabRepoProvider", "private_token"),
        )
    ),
    case(
        "no token in values",
        {"values/site_hubs/binder/values/config/GitHubRepoProvider": {"access_token": ""}},
    ),
    case("no token", {f"secrets/values/{GITHUB}": token(empty=True, length=0)}),
    case("a token", {f"secrets/values/{GITHUB}": token()}),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("launches") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_an_entry_is_named_and_no_other() -> None:
    site = good_site()
    site["values"][BANNED] = {"gh": ["^ok/", "^x/(.*"]}
    [text] = texts(site, PATTERN)
    assert "entry 2, '^x/(.*'" in text
    assert "^ok/" not in text


def test_a_slow_pattern_is_called_so() -> None:
    site = good_site()
    site["values"][BANNED] = {"gh": ["^uni/([a-z]+)*$"]}
    [text] = texts(site, PATTERN)
    assert "takes too long" in text
    assert "no repetition in a repetition" in text


def test_a_pattern_names_the_proofs_that_it_fits() -> None:
    site = good_site()
    site["values"] |= {
        BANNED: {"gh": ["^acme/"]},
        CORPUS: [COURSE | {"name": str(number)} for number in range(9)],
        "site_verify_spec": "acme/other/HEAD",
    }
    [text] = texts(site, "verify-spec-banned")
    assert "fits site_verify_spec, site_verify_corpus[0], site_verify_corpus[1], acme/other/HEAD" in text
