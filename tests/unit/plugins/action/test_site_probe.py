# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the action reads on the controller before it sends the probe."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.action.site_probe import _read_cas


@pytest.mark.parametrize("odd", ["~nobody-of-this-name/ca.pem", "/a\0b", "/no/such/file", "/" + "x" * 300, 5])
def test_a_file_that_cannot_be_stops_no_probe(tmp_path: Path, odd: object) -> None:
    """A rule reports it; the others are read."""
    (tmp_path / "ca.pem").write_text("a CA")
    assert _read_cas([odd, str(tmp_path / "ca.pem")]) == "a CA"
