# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/upgrade.py by a bad site of its own, and what an upgrade settles."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from site_cases import Case, case, found, good_site, rules_in, running_site, texts

NODES = "site_kubernetes_nodes_version"
OLDER = {f"hosts/{name}/probe/kubernetes/kubelet_version": "1.35.4" for name in ("worker1", "worker2")}

CASES = [
    case("two numbers", {f"values/{NODES}": "1.36"}, ("nodes-version-malformed", NODES, "")),
    case("newer nodes", {f"values/{NODES}": "1.36.4"}, ("nodes-version-out-of-step", NODES, "")),
    case(
        "nodes too far behind",
        {f"values/{NODES}": "1.32.9"},
        ("nodes-version-out-of-step", NODES, ""),
        ("worker-joins-late-version", NODES, "worker1 and 1 more"),
    ),
    case(
        "a worker joins behind",
        {f"values/{NODES}": "1.35.4", **OLDER, "hosts/worker2/probe/kubernetes": {"joined": False}},
        ("worker-joins-late-version", NODES, "worker2"),
        running=True,
    ),
    case("no batch", {"values/site_upgrade_batch": 0}, ("upgrade-batch-empty", "site_upgrade_batch", "")),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """The expected findings of these rules, each at its variable and host."""
    own = {entry for entry in found(bad.site()) if entry[0] in rules_in("upgrade")}
    assert own == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("upgrade") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_all_workers_that_join_are_left_out() -> None:
    """One that is not would be refused as no node."""
    changes = {f"hosts/{name}/probe/kubernetes": {"joined": False} for name in ("worker1", "worker2")}
    site = case("", {f"values/{NODES}": "1.35.4", **changes}).changed(running_site())
    assert "--limit '!worker1:!worker2'" in texts(site, "worker-joins-late-version")[0]


@pytest.mark.parametrize("version", ["", None, 7, "1.36.3", "1.36.1"])
def test_good_sites(version: Any) -> None:
    """The control plane's own version, none, and a patch version behind, with which workers may join."""
    site = case("", {f"values/{NODES}": version}).changed(good_site())
    assert not {entry for entry in found(site) if entry[0] in rules_in("upgrade")}


def test_what_a_playbook_settles_is_no_finding() -> None:
    """And an acceptance of it is not one of nothing."""
    site = case(
        "", {"values/site_kubernetes_version": "1.36.4", "values/site_kubernetes_nodes_version": "1.36.4"}
    )
    running = site.changed(running_site())
    assert {entry[0] for entry in found(running)} == {"kubernetes-version-changed"}
    assert check_site({**running, "settled": ["kubernetes-version-changed"]}).findings == ()
    running["values"]["site_accepted_findings"] = {"docker-version-changed": "nodes differ on purpose"}
    settled = ["kubernetes-version-changed", "docker-version-changed"]
    assert check_site({**running, "settled": settled}).findings == ()
