"""Roles speak of their own variables, and get names and groups from the playbooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize("role", ["control_plane", "guard", "kubernetes_node", "worker"])
def test_no_role_looks_at_the_site(role: str) -> None:
    """No group, no variable of the site, no private variable of another role."""
    found = []
    for file in sorted((ROLES / role).rglob("*")):
        if file.suffix in (".yml", ".j2"):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                words = re.findall(r"\bgroups[.\[]|\bsite_\w+|\b__(?!" + role + r"_)[a-z]\w+", line)
                found += [f"{file.relative_to(ROLES)}:{number} {word}" for word in words]
    assert found == []
