# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/corpus.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import found, rules_in, texts, value

CORPUS = "site_verify_corpus"
GOOD = {"name": "hello", "provider": "gh", "spec": "a/b/HEAD", "outcome": "ready"}
GIT = {**GOOD, "provider": "git", "spec": "https%3A%2F%2Fgit.example.org%2Fcourse.git/main"}
FAILING = {**GOOD, "name": "broken", "outcome": "failed", "cause": "build"}
SKIPPED = {"name": "conda", "skip": "no Internet"}


def without(key: str) -> dict[str, str]:
    """A good entry that lacks something."""
    return {name: text for name, text in GOOD.items() if name != key}


# What is wrong with an entry, and what is said of it.
FAULTS: list[tuple[Any, str]] = [
    (without("name"), "has no name -> "),
    (without("provider"), "hello has no provider"),
    (without("spec"), "hello has no spec"),
    (without("outcome"), "hello has no outcome"),
    ({**GOOD, "name": 3}, "has a name that is no text"),
    ({**GOOD, "spec": " "}, "hello has a spec that is no text"),
    ({**GOOD, "skipped": "no"}, "hello has 'skipped', which no entry has"),
    ({**GOOD, True: "no"}, "hello has 'True', which no entry has"),
    ({**GOOD, "spec": "a/b"}, "hello has the spec 'a/b' -> write owner/repository/ref"),
    ({**GIT, "spec": "https%3A%2F%2Fgit.example.org%2Fcourse.git"}, "then / and the ref"),
    ({**GOOD, "outcome": "works"}, "hello has the outcome 'works' -> write ready or failed"),
    ({**FAILING, "cause": "bild"}, "broken has the cause 'bild'"),
    ({**GOOD, "outcome": "failed"}, "hello is to fail, and says no cause"),
    ({**GOOD, "cause": "build"}, "hello has a cause, and is to be ready"),
    ({**GOOD, "hub": "other"}, "hello names the hub 'other' -> use one of site_hubs: binder"),
    ({**GOOD, "expect": ["a.csv"]}, "hello expects what is no mapping -> write expect: {"),
    ({**GOOD, "expect": {"files": ["/a.csv"]}}, "hello expects files, which '/a.csv' is no path below"),
    ({**GOOD, "expect": {"output": "2"}}, "hello expects output, which has no cell"),
    ({**SKIPPED, "skip": ""}, "conda has a skip that is no text"),
    ({**SKIPPED, "skip": True}, "conda has a skip that is no text"),
]


@pytest.mark.parametrize(("entry", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_bad_entry(entry: dict[Any, Any], said: str) -> None:
    """One finding, at its place."""
    site = value("bad", CORPUS, [FAILING | {"name": "first"}, entry]).site()
    assert found(site) == {("corpus-malformed", f"{CORPUS}[1]", "")}
    [text] = texts(site, "corpus-malformed")
    assert said in text


def test_two_of_one_name() -> None:
    site = value("bad", CORPUS, [GOOD, GIT]).site()
    assert found(site) == {("corpus-malformed", f"{CORPUS}[1]", "")}


@pytest.mark.parametrize(
    "corpus", [[], [GOOD], [{**GIT, "hub": "binder", "expect": {"files": ["a.csv"]}}, FAILING, SKIPPED]]
)
def test_good_corpus(corpus: list[dict[str, Any]]) -> None:
    assert found(value("good", CORPUS, corpus).site()) == set()


@pytest.mark.parametrize("corpus", [{"name": "hello"}, ["a/b/HEAD"], "a/b/HEAD"])
def test_what_is_no_list_of_mappings_is_one_finding(corpus: Any) -> None:
    """Of another rule, which knows the types."""
    assert found(value("bad", CORPUS, corpus).site()) == {("wrong-type", CORPUS, "")}


def test_every_rule_has_a_bad_site() -> None:
    assert rules_in("corpus") == {"corpus-malformed"}
