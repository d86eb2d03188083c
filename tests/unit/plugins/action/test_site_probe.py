# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the action reads on the controller before it sends the probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.action.site_probe import _read_cas, _urls


@pytest.mark.parametrize("odd", ["~nobody-of-this-name/ca.pem", "/a\0b", "/no/such/file", "/" + "x" * 300, 5])
def test_a_file_that_cannot_be_stops_no_probe(tmp_path: Path, odd: object) -> None:
    """A rule reports it; the others are read."""
    (tmp_path / "ca.pem").write_text("a CA")
    assert _read_cas([odd, str(tmp_path / "ca.pem")]) == "a CA"


@pytest.mark.parametrize(("purposes", "asked"), [(["core"], True), (["user"], False)])
def test_a_node_that_runs_the_hub_asks_its_provider(purposes: list[str], asked: bool) -> None:
    values = {
        "site_node_purposes": purposes,
        "site_hubs": {"private": {"auth": {"kind": "oidc", "issuer": "https://iam.example.org/"}}},
    }

    class Values:
        def find(self, variable: str, _host: str = "", default: Any = "") -> Any:
            return values.get(variable, default)

    expected = {"provider_private": "https://iam.example.org/.well-known/openid-configuration"}
    assert _urls(Values(), "head1") == (expected if asked else {})  # type: ignore[arg-type]
