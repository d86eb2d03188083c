# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A firewall that an admin put on every node: preflight refuses, what it prints opens the site, and nothing else does.

The nodes get it for as long as this takes, and lose it however this ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site

from playbooks import play

testinfra_hosts = ["ansible://head"]

# What an admin who knows of no cluster writes. What is established goes on, as a firewall is seldom loaded without that.
TABLE = """
table inet admin {
    chain incoming {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        tcp dport 22 accept
    }
    chain through {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
    }
}
"""


@pytest.fixture
def nodes(host: Any, site: Site, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return heads and workers by name."""
    inventory = request.config.option.ansible_inventory
    return {
        name: host.get_host(f"ansible://{name}", ansible_inventory=inventory)
        for name in site.hosts("head", "workers")
    }


@pytest.fixture
def walled(nodes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Have every node drop what comes in, and what it forwards, but SSH."""
    try:
        for node in nodes.values():
            node.check_output("printf %s | nft -f -", TABLE)
        yield nodes
    finally:
        left = [name for name, node in nodes.items() if node.run("nft delete table inet admin").rc]
        assert left == [], "the table is still there, or never was"


def preflight(site: Site, folder: Path) -> tuple[int, dict[str, list[dict[str, Any]]], str]:
    """Run preflight. Gives its exit code, what it finds of firewalls by host, and all that it prints."""
    report, log = folder / "findings.json", folder / "log"
    code = play(
        site.inventory, ROOT / "playbooks/preflight.yml", "-e", f"preflight_report_file={report}", log=log
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(report.read_text())["findings"]:
        if finding["id"] == "port-blocked":
            found.setdefault(finding["host"], []).append(finding)
    return code, found, log.read_text(errors="replace")


def test_printed_rules_open_the_site(walled: dict[str, Any], site: Site, tmp_path: Path) -> None:
    code, found, said = preflight(site, tmp_path)
    assert code != 0
    assert set(found) == set(walled), "every node, and nobody else"
    api = f"tcp {site.contract['site_api_port']} "
    for name, findings in found.items():
        [finding] = findings
        assert "inet admin" in finding["observed"]
        if name in site.hosts("head"):
            assert api in finding["observed"]
            assert all(worker in finding["observed"] for worker in site.hosts("workers"))
        lines = said.replace("\\n", "\n").splitlines()
        printed = [line.strip() for line in lines if line.strip() in finding["commands"]]
        assert set(printed) == set(finding["commands"])
        for command in finding["commands"]:
            walled[name].check_output(command)
    code, found, said = preflight(site, tmp_path)
    assert (code, found) == (0, {}), said
    # From a build to a notebook, with drops as they were. Fences and trust have tests of their own.
    log, probes = tmp_path / "verify", "{site_fence_check_enabled: false, site_trust_check_enabled: false}"
    code = play(site.inventory, ROOT / "playbooks/verify.yml", "-e", probes, log=log)
    assert code == 0, log.read_text(errors="replace")[-4000:]
    for node in walled.values():
        assert "policy drop" in node.check_output("nft list chain inet admin incoming")
