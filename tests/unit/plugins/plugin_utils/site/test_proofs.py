# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which launches a site is proved by, and where each is written."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proofs import proofs

COMMON = {"site_verify_provider": "gh", "site_verify_spec": "a/b/HEAD"}


def told(**values: Any) -> list[tuple[str, str, str, str]]:
    """Where each proof's spec and provider stand, and what is launched."""
    found = proofs(Site.from_data({"values": {**COMMON, **values}}))
    return [(entry.variable, entry.provider_variable, entry.provider, entry.sent) for entry in found]


SITE = ("site_verify_spec", "site_verify_provider", "gh", "a/b/HEAD")


def test_hubs_that_have_a_proof_of_their_own() -> None:
    hubs = {
        "same": {"verify": {"spec": "a/b/HEAD", "timeout_seconds": 60}},
        "none": {},
        "spec": {"verify": {"spec": "a/c/HEAD"}},
        "both": {"verify": {"provider": "git", "spec": "https://h/x.git/main"}},
        "odd": {"verify": [7]},
    }
    assert told(site_hubs=hubs) == [
        SITE,
        ("site_hubs.spec.verify.spec", "site_verify_provider", "gh", "a/c/HEAD"),
        (
            "site_hubs.both.verify.spec",
            "site_hubs.both.verify.provider",
            "git",
            "https%3A%2F%2Fh%2Fx.git/main",
        ),
    ]


def test_the_corpus() -> None:
    entry = {"name": "x", "provider": "gl", "spec": "a%2Fb/main", "outcome": "ready"}
    corpus = [entry | {"skip": "later"}, entry, 7, {"name": "y"}, entry | {"spec": 7}]
    assert told(site_verify_corpus=corpus) == [
        SITE,
        ("site_verify_corpus[1]", "site_verify_corpus[1]", "gl", "a%2Fb/main"),
    ]


@pytest.mark.parametrize("odd", [None, 7, "x", {"a": 1}, [None]])
def test_values_that_are_none(odd: Any) -> None:
    assert told(site_hubs=odd, site_verify_corpus=odd, site_verify_expect=odd) == [SITE]
