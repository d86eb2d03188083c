# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Repositories as people bring them become what the site says of them.

In short the last two that are to be ready and the last that is to fail; with `--long` all of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site

from playbooks import play


@pytest.fixture(scope="module")
def corpus(site: Site, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Return what is launched here."""
    entries: list[dict[str, Any]] = site.contract["site_verify_corpus"]
    if not entries:
        pytest.skip("site_verify_corpus names no repository")
    if request.config.getoption("--long"):
        return entries
    ready = [entry for entry in entries if entry.get("outcome") == "ready"]
    failing = [entry for entry in entries if entry.get("outcome") == "failed"]
    return [*ready[-2:], *failing[-1:]]


def test_each_becomes_what_the_site_says(site: Site, corpus: list[dict[str, Any]], tmp_path: Path) -> None:
    report, log = tmp_path / "corpus.json", tmp_path / "log"
    given = {"site_verify_corpus": corpus, "corpus_report_file": str(report)}
    code = play(site.inventory, ROOT / "playbooks/corpus.yml", "-e", json.dumps(given), log=log)
    assert code == 0, log.read_text(errors="replace")[-6000:]
    told = json.loads(report.read_text())
    print("\n".join([told["summary"], *told["table"]]))
    assert [launch["name"] for launch in told["launches"]] == [entry["name"] for entry in corpus]
    for entry, launch in zip(corpus, told["launches"], strict=True):
        cause = f": {entry['cause']}" if "cause" in entry else ""
        wanted = "skipped" if "skip" in entry else entry["outcome"] + cause
        assert launch["outcome"] == wanted, launch
        # Nothing is ready, or fails to build, in no time.
        assert ("skip" in entry) == (launch["total_seconds"] == 0), launch
