# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/verify.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, good_site, rules_in, texts, value

EXPECT, ENABLED = "site_verify_expect", "site_verify_kernel_enabled"
SECONDS = "site_verify_kernel_timeout_seconds"

CORPUS, UNKNOWN = "site_verify_corpus", "verify-provider-unknown"
ENTRY = {"name": "a", "provider": "gh", "spec": "a/b/HEAD", "outcome": "ready"}


def expects(name: str, told: dict[Any, Any], *keys: str) -> Case:
    """A case of one malformed expectation, with the keys that are named."""
    return value(name, EXPECT, told, *(("verify-expect-malformed", f"{EXPECT}.{key}", "") for key in keys))


CASES = [
    expects("unknown key", {"file": ["a.txt"]}, "file"),
    expects("one file as text", {"files": "README.md"}, "files"),
    expects("files that are numbers", {"files": [1]}, "files"),
    expects("absolute", {"files": ["ok", "/home/jovyan/a"]}, "files"),
    expects("upwards", {"files": ["data/../../x"]}, "files"),
    expects("here", {"files": ["./a"]}, "files"),
    expects("nothing", {"files": [""]}, "files"),
    expects("hidden", {"files": [".binder/environment.yml"]}, "files"),
    expects("two faults of one list", {"files": ["/a", "/b"]}, "files"),
    expects("package with a version", {"packages": ["numpy==2.0"]}, "packages"),
    expects("package of nothing", {"packages": [""]}, "packages"),
    expects("package that is a cell", {"packages": ["os; print(1)"]}, "packages"),
    expects("packages as a mapping", {"packages": {"numpy": "2.0"}}, "packages"),
    expects("cell as a list", {"code": ["a = 1", "a"]}, "code"),
    expects("output without a cell", {"output": "2"}, "output"),
    expects("kernel as a mapping", {"kernel": {"name": "ir"}}, "kernel"),
    expects("several", {"files": "a", "packages": "b", "what": 1}, "files", "packages", "what"),
    case(
        "expected of no kernel",
        {f"values/{EXPECT}": {"files": ["README.md"]}, f"values/{ENABLED}": False},
        ("verify-expect-without-kernel", ENABLED, ""),
    ),
    expects("a key that is a number", {1: 2}, "1"),
    case(
        "a repository of the corpus expected of no kernel",
        {f"values/{CORPUS}": [ENTRY | {"expect": {"packages": ["numpy"]}}], f"values/{ENABLED}": False},
        ("verify-expect-without-kernel", ENABLED, ""),
    ),
    case(
        "one that is to fail for what nobody looks for",
        {
            f"values/{CORPUS}": [ENTRY | {"outcome": "failed", "cause": "expect_package"}],
            f"values/{ENABLED}": False,
        },
        ("verify-expect-without-kernel", ENABLED, ""),
    ),
    case(
        "one that is to fail for its build",
        {
            f"values/{CORPUS}": [ENTRY | {"outcome": "failed", "cause": "build", "expect": {"files": []}}],
            f"values/{ENABLED}": False,
        },
    ),
    value("a provider's name", "site_verify_provider", "github", (UNKNOWN, "site_verify_provider", "")),
    value(
        "a provider's name of a hub",
        "site_hubs",
        {"binder": {"verify": {"provider": "github", "spec": "a/b/HEAD"}}},
        (UNKNOWN, "site_hubs.binder.verify.provider", ""),
    ),
    case(
        "a provider's name of the site, and a hub's own repository there",
        {
            "values/site_verify_provider": "github",
            "values/site_hubs": {"binder": {"verify": {"spec": "a/b/HEAD"}}},
        },
        (UNKNOWN, "site_verify_provider", ""),
    ),
    value(
        "a provider's name in the corpus",
        CORPUS,
        [ENTRY, ENTRY | {"name": "b", "provider": "github"}],
        (UNKNOWN, f"{CORPUS}[1]", ""),
    ),
    value(
        "a provider that is to be refused",
        CORPUS,
        [ENTRY | {"provider": "github", "outcome": "failed", "cause": "provider"}],
    ),
    value("no time", SECONDS, 0, ("verify-kernel-timeout-malformed", SECONDS, "")),
    value("less than none", SECONDS, -5, ("verify-kernel-timeout-malformed", SECONDS, "")),
    value("more than an hour", SECONDS, 3601, ("verify-kernel-timeout-malformed", SECONDS, "")),
    value("more than a clock has", SECONDS, 10**11, ("verify-kernel-timeout-malformed", SECONDS, "")),
    value("as text", SECONDS, "1" * 30, ("verify-kernel-timeout-malformed", SECONDS, "")),
    value("below nothing as text", SECONDS, "-1", ("verify-kernel-timeout-malformed", SECONDS, "")),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


@pytest.mark.parametrize(
    "told",
    [
        {},
        {
            "files": ["README.md", "data/a b/ü.csv", "data/"],
            "packages": ["numpy", "scikit-learn", "a.b_c", "R"],
        },
        {"files": None, "packages": []},
        {"code": "1 + 1"},
        {"code": "1 + 1", "output": 2, "kernel": "python3"},
        {"code": "print()", "output": ""},
    ],
)
def test_what_can_be_asked_for(told: dict[str, Any]) -> None:
    assert found(value("good", EXPECT, told).site()) == found(good_site())


@pytest.mark.parametrize("seconds", [1, 3600, "120"])
def test_times_that_can_be_given(seconds: Any) -> None:
    assert found(value("good", SECONDS, seconds).site()) == found(good_site())


def test_nothing_is_expected_of_no_kernel() -> None:
    changes = {f"values/{ENABLED}": False, f"values/{EXPECT}": {"files": [], "code": ""}}
    assert found(case("good", changes).site()) == found(good_site())


def test_the_words_help() -> None:
    said = texts(value("hidden", EXPECT, {"files": [".binder"]}).site(), "verify-expect-malformed")
    assert said == [
        "'.binder' is hidden, and notebooks show no hidden files -> ask for it by a cell: site_verify_expect.code, with "
        "os.path.exists"
    ]


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("verify") <= {rule for entry in CASES for rule, _, _ in entry.expected}
