# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The probe matrix sees a fence that is down, a rule that is missing and a pod that nobody knows; and Docker restarts do nothing.

`verify` has seen it green before. Here the guard is broken on purpose, for the seconds in which probes run, and brought back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import testinfra  # type: ignore[import-untyped]
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import connect
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import Facts
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import LABEL
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_run import Fences, Wish
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Cell, Verdict
from live_site import Site

testinfra_hosts = ["ansible://head"]

UNIT = "ironbinder-guard.service"
TABLE = "inet ironbinder_guard"
# In which the test breaks what it breaks; the probes wait for so long.
DELAY = 12


class Matrix:
    """Starts probes on two nodes, and judges what they and a RUN step found."""

    def __init__(self, site: Site) -> None:
        """Read what the site has."""
        told = site.contract
        self.api = connect(told["site_kubeconfig_file"])
        self.fences = Fences(self.api, SystemClock())
        self.facts = Facts(
            hubs=site.hubs,
            api_address=told["site_api_address"],
            api_port=told["site_api_port"],
            public_url=told["site_public_url"],
            service_subnet=told["site_service_subnet"],
            guard_enabled=told["site_guard_enabled"],
            node_port_clients=told["site_guard_node_port_clients"],
        )
        self.told = told

    def start(self, nodes: list[str], roles: list[str], delay: float = 0) -> dict[str, Any]:
        """Start the probes of these roles; those that need one place only stand on the last node."""
        wish = Wish(
            facts=self.facts,
            image=self.told["site_fence_probe_image"],
            roles=roles,
            nodes=nodes,
            build_node=nodes[-1],
            targets=self.told["site_fence_probe_targets"],
            networks={
                "session": self.told["site_session_allowed_networks"],
                "build": self.told["site_build_allowed_networks"],
            },
            delay=delay,
        )
        return self.fences.start(wish)

    def addresses(self, run: Mapping[str, Any]) -> dict[str, str]:
        """Return the addresses of the probes that have one, by name."""
        found = {}
        for namespace in {place["namespace"] for place in run["places"]}:
            path = f"/api/v1/namespaces/{namespace}/pods"
            answer = self.api.get(path, labelSelector=f"{LABEL}={run['id']}") or {}
            for pod in answer.get("items") or []:
                if pod["status"].get("phase") == "Running":
                    found[pod["metadata"]["name"]] = pod["status"]["podIP"]
        return found


@pytest.fixture(scope="module")
def matrix(site: Site) -> Matrix:
    """Return the matrix of the site under test."""
    return Matrix(site)


@pytest.fixture
def nodes(request: pytest.FixtureRequest, site: Site) -> Iterator[dict[str, Any]]:
    """Return two nodes that run sessions, by name, with a guard that may be broken; it is whole again afterwards."""
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: fences are down for some seconds")
    if not site.contract["site_guard_enabled"]:
        pytest.skip("this site has no guard")
    names = site.hosts("workers")[:2]
    if len(names) < 2:
        pytest.skip("needs two workers")
    inventory = request.config.option.ansible_inventory
    hosts = {name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory) for name in names}
    yield hosts
    for host in hosts.values():
        host.run_expect([0], f"systemctl restart {UNIT}")


def cells(verdict: Verdict, origin: str, node: str) -> dict[str, Cell]:
    """Return what one place found, by target."""
    return {
        cell.target: cell for cell in verdict.cells if cell.origin.split()[0] == origin and cell.node == node
    }


def kinds(run: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of each target."""
    return {entry["name"]: entry["kind"] for entry in run["targets"]}


def test_what_is_broken_is_seen(
    matrix: Matrix, nodes: Mapping[str, Any], eventually: Callable[..., Any]
) -> None:
    """On one node the guard is flushed; on the other a rule is left out, and a build pod is nobody's."""
    flushed, cut = nodes
    # The agent would mend it within a second.
    for host in nodes.values():
        host.run_expect([0], f"systemctl stop {UNIT}")
    run = matrix.start(list(nodes), ["session", "build"], DELAY)
    wanted = {place["name"] for place in run["places"]}
    assert not eventually(lambda: wanted - set(matrix.addresses(run)), seconds=DELAY, pause=0.3)

    nodes[flushed].run_expect([0], f"nft 'delete table {TABLE}; delete table bridge ironbinder_guard'")
    rules = nodes[cut].check_output(f"nft -a list chain {TABLE} internet")
    mail = re.findall(r"tcp dport .*reject.* # handle (\d+)", rules)
    assert mail
    builds = [address for name, address in matrix.addresses(run).items() if name.startswith("build-")]
    assert len(builds) == len(matrix.facts.hubs)
    deleted = "; ".join(f"delete rule {TABLE} internet handle {handle}" for handle in mail)
    nodes[cut].run_expect([0], f"nft '{deleted}; delete element {TABLE} pods {{ {', '.join(builds)} }}'")

    verdict = matrix.fences.finish(run, [], 60)
    assert not verdict.ok
    of_kind = kinds(run)
    # Other nodes keep their own NodePorts, a listener on another bridge is nobody's neighbour, and pods have no route of IPv6.
    elsewhere = {"node_port", "session_other"}
    there = cells(verdict, "session", flushed)
    escapes = {name for name, cell in there.items() if cell.verdict == "escape"}
    closed = {
        name
        for name, cell in there.items()
        if cell.expected == "closed" and of_kind[name] not in elsewhere and cell.found != "no_ipv6"
    } - {"unassigned service address"}
    assert len(closed) >= 10
    assert closed <= escapes, f"flushed, and yet not reached: {closed - escapes}"
    assert any(f"on {flushed}" in problem for problem in verdict.problems)
    # A pod of no hub is held by two rules only, and both are gone there.
    outsider = {name for name, cell in cells(verdict, "control", flushed).items() if cell.verdict == "escape"}
    assert f"NodePort of {next(iter(matrix.facts.hubs))} on {flushed}" in outsider
    answering = {entry["name"] for entry in run["targets"] if entry["kind"] == "unassigned" and entry["says"]}
    assert answering <= outsider
    # The other node's own NodePort keeps its rule.
    held = {name for name, cell in cells(verdict, "control", cut).items() if cell.verdict == "escape"}
    assert held == {f"NodePort of {hub} on {flushed}" for hub in matrix.facts.hubs}

    escaped = {
        of_kind[name] for name, cell in cells(verdict, "session", cut).items() if cell.verdict == "escape"
    }
    mailboxes = {"mail"} & set(of_kind.values())
    assert escaped == mailboxes, "the rule that was left out lets exactly this through"

    nobody = cells(verdict, "build", cut)
    assert {cell.verdict for cell in nobody.values() if cell.expected == "open"} == {"unmet"}
    assert any("the guard does not know this pod" in problem for problem in verdict.problems)


def test_docker_may_restart(matrix: Matrix, nodes: Mapping[str, Any], site: Site) -> None:
    """And what the test before broke is whole."""
    name, host = list(nodes.items())[-1]
    host.run_expect([0], "systemctl restart docker.service")
    run = matrix.start(list(nodes), ["session", "build", "run", "unknown"])
    try:
        arguments = {
            "run": run,
            "role": "node",
            "node": name,
            "image": site.contract["site_fence_probe_docker_image"],
        }
        told = host.ansible("ironbinder.platform.fence_probe_local", json.dumps(arguments), check=False)
        assert "reports" in told, told
    except BaseException:
        matrix.fences.remove(run)
        raise
    verdict = matrix.fences.finish(run, told["reports"], 60)
    of_kind = kinds(run)
    # Nobody asks from the proxy here, which alone can show that these are alive.
    proved_by_proxy = {"node_port", "unassigned"}
    bad = [
        cell
        for cell in verdict.cells
        if not cell.ok and not (cell.verdict == "unproven" and of_kind[cell.target] in proved_by_proxy)
    ]
    assert bad == []
    assert {cell.origin.split()[0] for cell in verdict.cells} >= {"session", "build", "run", "unknown"}
