# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Specs as people write them, and as a Binder link has them."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.binder_link import link_spec


@pytest.mark.parametrize(
    ("provider", "spec", "sent"),
    [
        ("gh", "/a/b/feature%2Fx/", "a/b/feature%2Fx"),
        ("gh", "a/b/ü#?", "a/b/%C3%BC%23%3F"),
        ("git", "https://h/x.git/main", "https%3A%2F%2Fh%2Fx.git/main"),
        ("git", "https%3A%2F%2Fh%2Fx.git/main", "https%3A%2F%2Fh%2Fx.git/main"),
        ("zenodo", "10.5281/zenodo.3242074", "10.5281/zenodo.3242074"),
        ("gh", "", ""),
    ],
)
def test_link_spec(provider: str, spec: str, sent: str) -> None:
    """What is a link's spec already stays as it is."""
    assert link_spec(provider, spec) == sent
    assert link_spec(provider, sent) == sent
