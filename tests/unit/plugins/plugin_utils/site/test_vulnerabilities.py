# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The table of known vulnerabilities, and what is read from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.vulnerabilities import (
    AS_OF,
    CHARTS,
    HUB_IMAGE,
    HUB_IMAGES,
    LAST_CHART,
    NEWEST_HUB_IMAGE,
    VULNERABILITIES,
    hub_image_of_chart,
    hub_programs,
    vulnerabilities_of,
)

ROOT = Path(__file__).parents[5]


def ids(tag: str) -> set[str]:
    """What is known of a release of the hub's image."""
    return {entry.id for entry in vulnerabilities_of(f"{HUB_IMAGE}:{tag}")}


@pytest.mark.parametrize(
    ("older", "newer", "mended"),
    [
        # The changelog of the JupyterHub chart says of each of these what it mends.
        ("4.3.2", "4.3.3", {"CVE-2026-33709", "CVE-2026-33175", "CVE-2026-34052"}),
        ("4.3.3", "4.3.4", {"CVE-2026-40864"}),
        ("4.3.5", "4.4.0", {"CVE-2026-54338"}),
        ("3.3.7", "3.3.8", {"CVE-2024-41942"}),
    ],
)
def test_a_release_mends_what_its_changelog_says(older: str, newer: str, mended: set[str]) -> None:
    assert ids(older) - ids(newer) == mended


@pytest.mark.parametrize(
    ("vulnerability", "version", "expected"),
    [
        # Mended in two lines.
        ("CVE-2024-41942", "4.1.5", True),
        ("CVE-2024-41942", "4.1.6", False),
        ("CVE-2024-41942", "5.0.0", True),
        ("CVE-2024-41942", "5.1.0", False),
        ("GHSA-hx46-2cv3-mh6g", "5.5.3", False),
        ("GHSA-hx46-2cv3-mh6g", "6.0.1", True),
        ("GHSA-hx46-2cv3-mh6g", "6.1.0", False),
        # Not yet there.
        ("CVE-2026-40864", "4.0.2", False),
        ("CVE-2026-40864", "4.1.0", True),
        ("CVE-2026-40864", "", False),
    ],
)
def test_is_in(vulnerability: str, version: str, expected: bool) -> None:
    [entry] = [entry for entry in VULNERABILITIES if entry.id == vulnerability]
    assert entry.is_in(version) is expected


@pytest.mark.parametrize(
    ("chart", "tag"),
    [
        ("1.0.0-0.dev.git.3780.habcdef01", "4.0.0"),
        ("1.0.0-0.dev.git.3781.h16ca1e6f", "4.2.0"),
        ("1.0.0-0.dev.git.3983.h383374de", "4.2.0"),
        # Nobody has looked at it, so nothing is said.
        ("1.0.0-0.dev.git.3984.habcdef01", ""),
        ("1.0.0-0.dev.git.2000.habcdef01", ""),
        ("0.1.0-ironbinder.8", ""),
    ],
)
def test_image_of_a_chart(chart: str, tag: str) -> None:
    assert hub_image_of_chart(chart) == (f"{HUB_IMAGE}:{tag}" if tag else "")


def test_the_pinned_chart_was_looked_at() -> None:
    """Whoever pins another chart looks at what it brings, and says so here."""
    pins = yaml.safe_load((ROOT / "roles/site/defaults/main/versions.yml").read_text())
    assert hub_image_of_chart(pins["site_binderhub_chart_version"])


def test_tables_refer_to_each_other() -> None:
    assert {tag for _, tag in CHARTS} <= set(HUB_IMAGES)
    assert [first for first, _ in CHARTS] == sorted(first for first, _ in CHARTS)
    assert CHARTS[-1][0] <= LAST_CHART
    assert list(HUB_IMAGES)[-1] == NEWEST_HUB_IMAGE
    assert hub_programs(f"{HUB_IMAGE}:{NEWEST_HUB_IMAGE}")["jupyterhub"] == "5.5.0"
    assert hub_programs("registry.example.org/k8s-binderhub:4.2.0") == {}
    assert max(entry.date for entry in VULNERABILITIES) <= AS_OF
    assert len({entry.id for entry in VULNERABILITIES}) == len(VULNERABILITIES)


def test_the_page_on_security_shows_the_table() -> None:
    """Each entry has its row there, and no other has."""
    text = (ROOT / "docs/security.md").read_text()
    rows = [
        f"| [{entry.id}]({entry.source}) | {entry.program} | {', '.join(entry.fixed)} | {entry.date} | {entry.needs} |"
        for entry in VULNERABILITIES
    ]
    assert [line for line in text.splitlines() if re.match(r"\| \[(CVE|GHSA)-", line)] == rows
    assert AS_OF in text
