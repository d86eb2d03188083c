# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What each place may reach, and the verdict: green, escaped, unmet, without proof."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    FENCED,
    KINDS,
    Origin,
    Target,
    expected,
    opened,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report, judge

SESSION = Origin("session", "binder", "worker1")
BUILD = Origin("build", "binder", "worker1")
RUN = Origin("run", "", "worker1")
OTHER = Origin("other", "", "worker1")
UNKNOWN = Origin("unknown", "binder", "worker1")
CORE = Origin("core", "binder", "worker1")
CONTROL = Origin("control", "", "worker1")
NODE = Origin("node", "", "worker1")
PROXY = Origin("proxy")
NONE: dict[str, Any] = {}


def target(kind: str, **more: Any) -> Target:
    """One target of the hub `binder`."""
    return Target(
        **{"name": kind, "kind": kind, "address": "172.30.77.11", "port": 443, "hub": "binder", **more}
    )


# Who has to reach what: session, build, run, other, unknown. A hyphen is not judged.
PROMISE = {
    "api": "nnnnn",
    "kubelet": "nnnnn",
    "etcd": "nnnnn",
    "node_service": "nnnnn",
    "gateway": "nnnnn",
    "ssh": "nnnnn",
    "node_port": "nnnnn",
    "other_node_port": "nnnnn",
    "hub_address": "ynnnn",
    "floating": "nnnnn",
    "public_url": "yyyyn",
    "hub_api": "ynnnn",
    "hub_api_pod": "-nnnn",
    "proxy_api": "nnnnn",
    "hub_service": "nnnnn",
    "session_port": "nnnnn",
    "session_other": "nnnnn",
    "cluster_service": "nnnnn",
    "dns": "yynyn",
    "resolver": "yyyyn",
    "name_server": "nnynn",
    "registry": "nnnnn",
    "mirror": "nyynn",
    "unassigned": "nnnnn",
    "host_network": "--n--",
    "internet": "yyyyn",
    "mail": "nnnnn",
    "metadata": "nnnnn",
    "private": "nnnnn",
    "ipv6": "nnnnn",
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_promised(kind: str) -> None:
    places = (SESSION, BUILD, RUN, OTHER, UNKNOWN)
    assert [place.role for place in places] == list(FENCED)
    letters = {True: "y", False: "n", None: "-"}
    assert "".join(letters[expected(target(kind), place, NONE, NONE)] for place in places) == PROMISE[kind]


def test_a_session_of_another_hub_is_a_stranger() -> None:
    theirs = replace(SESSION, hub="second")
    for kind in ("hub_api", "hub_api_pod", "hub_address"):
        assert expected(target(kind), theirs, NONE, NONE) is False
    assert expected(target("public_url"), theirs, NONE, NONE) is True


@pytest.mark.parametrize(
    ("networks", "found"),
    [
        ([], False),
        (["10.20.0.0/16"], True),
        (["10.20.0.5"], True),
        (["10.21.0.0/16"], False),
        ([{"network": "10.20.0.0/16", "ports": [443, "2000-2050"]}], True),
        ([{"network": "10.20.0.0/16", "ports": [443, "2050-3000"]}], False),
        ([{"network": "10.20.0.5", "ports": ["2049"], "protocol": "tcp"}], True),
        ([{"network": "10.20.0.5", "protocol": "udp"}], False),
        ([{"host": "files.example.org", "ports": [2049]}], True),
        ([{"host": "other.example.org"}], False),
    ],
)
def test_what_a_site_opens(networks: list[Any], found: bool) -> None:
    files = Target("files", "private", "10.20.0.5", 2049)
    names = {"files.example.org": ["10.20.0.5"]}
    assert opened(networks, files, names) is found
    assert expected(files, SESSION, {"session": networks}, names) is found
    assert expected(files, RUN, {"build": networks}, names) is found
    assert expected(files, BUILD, {"session": networks}, names) is False
    assert expected(files, UNKNOWN, {"session": networks, "build": networks}, names) is False


def test_a_target_may_say_otherwise() -> None:
    assert expected(target("private", expect={"run": True}), RUN, NONE, NONE) is True


TARGETS = [
    target("api"),
    target("ssh"),
    target("dns", address="10.96.0.10", port=53, protocol="dns"),
    target("internet", address="203.0.113.10"),
    target("gateway", address="gateway", port=10250),
    target("unassigned", address="10.99.0.10"),
]
ALIVE = {one.name: ("answered", "") for one in TARGETS}
FENCED_WELL = {
    "api": ("unreachable", ""),
    "ssh": ("silent", ""),
    "dns": ("answered", ""),
    "internet": ("answered", ""),
    "gateway": ("refused", ""),
    "unassigned": ("unreachable", ""),
}
CONTROLS = [Report(CONTROL, {**ALIVE, "unassigned": ("unreachable", "")})]


def verdict(*reports: Report, targets: list[Target] = TARGETS) -> Any:
    """Judge reports with nothing opened."""
    return judge(targets, list(reports), NONE)


def test_fences_that_hold() -> None:
    found = verdict(Report(SESSION, FENCED_WELL), *CONTROLS)
    assert found.ok
    assert found.summary == "fences verified: 6 targets, 6 connections judged, 0 escapes, 0 needs unmet"
    assert found.table.splitlines()[0].split() == ["target", "session"]
    assert found.table.splitlines()[3].split() == ["dns", "open"]
    assert found.table.splitlines()[1].split() == ["api", "closed"]


@pytest.mark.parametrize("outcome", ["answered", "connected"])
@pytest.mark.parametrize("name", ["api", "unassigned", "gateway"])
def test_one_rule_left_out(name: str, outcome: str) -> None:
    """A handshake is enough: the packets have left."""
    found = verdict(Report(SESSION, {**FENCED_WELL, name: (outcome, "b'SSH'")}), *CONTROLS)
    assert not found.ok
    [problem] = found.problems
    assert f"session binder on worker1 reaches {name}" in problem
    assert f"expected closed, found {outcome}" in problem
    assert "nft list table inet ironbinder_guard" in problem
    assert "ESCAPE" in found.table


def test_nothing_fences() -> None:
    found = verdict(Report(SESSION, ALIVE), *CONTROLS)
    [problem] = [line for line in found.problems if "unassigned" not in line]
    assert "reaches all 3 targets that it must not" in problem
    assert "systemctl restart ironbinder-guard.service" in problem


def test_the_plugin_was_not_called() -> None:
    denied = {one.name: ("unreachable", "") for one in TARGETS}
    found = verdict(Report(SESSION, denied), *CONTROLS)
    [problem] = found.problems
    assert "the guard does not know this pod" in problem
    assert "/etc/cni/net.d calls ironbinder-guard" in problem
    assert "2 needs unmet" in found.summary


def test_a_need_that_is_not_met() -> None:
    found = verdict(Report(SESSION, {**FENCED_WELL, "internet": ("silent", "")}), *CONTROLS)
    [problem] = found.problems
    assert "session binder on worker1 does not reach internet (203.0.113.10 port 443, tcp)" in problem
    assert "it answers elsewhere" in problem


def test_a_dead_target_is_no_proof() -> None:
    dead = Report(CONTROL, {**ALIVE, "ssh": ("refused", "")})
    found = verdict(Report(SESSION, FENCED_WELL), dead)
    [problem] = found.problems
    assert "ssh (172.30.77.11 port 443) is no proof" in problem
    assert "site_fence_probe_skipped" in problem
    assert "1 without proof" in found.summary
    assert "NO PROOF" in found.table
    # A handshake with whoever stands on the way proves as little.
    assert not verdict(Report(SESSION, FENCED_WELL), Report(CONTROL, {**ALIVE, "ssh": ("connected", "")})).ok


def test_what_another_fenced_place_reaches_proves_nothing() -> None:
    targets = [target("hub_address")]
    found = judge(
        targets,
        [Report(SESSION, {"hub_address": ("answered", "")}), Report(BUILD, {"hub_address": ("silent", "")})],
        NONE,
    )
    assert [cell.verdict for cell in found.cells] == ["open", "unproven"]


def test_each_node_proves_its_own_gateway() -> None:
    there = replace(SESSION, node="worker2")
    found = verdict(Report(there, FENCED_WELL), *CONTROLS)
    assert [cell.target for cell in found.cells if cell.verdict == "unproven"] == ["gateway"]
    assert verdict(Report(there, FENCED_WELL), *CONTROLS, Report(Origin("node", "", "worker2"), ALIVE)).ok


def test_the_worst_node_is_shown() -> None:
    there = replace(SESSION, node="worker2")
    bad = Report(there, {**FENCED_WELL, "ssh": ("answered", "")})
    found = verdict(
        Report(SESSION, FENCED_WELL), bad, *CONTROLS, Report(replace(CONTROL, node="worker2"), ALIVE)
    )
    assert found.table.splitlines()[2].split() == ["ssh", "ESCAPE"]
    assert ["worker2" in line for line in found.problems] == [True]


def test_a_node_port_is_proved_by_the_proxy() -> None:
    port = target("node_port", port=30585)
    closed = Report(SESSION, {port.name: ("silent", "")})
    assert not judge([port], [closed], NONE).ok
    assert judge([port], [closed, Report(PROXY, {port.name: ("answered", "")})], NONE).ok
    # And the proxy needs it.
    assert not judge([port], [Report(PROXY, {port.name: ("refused", "")})], NONE).ok


def test_an_unassigned_address_that_answers_is_proved_by_the_proxy() -> None:
    """The lab has one; what is chosen out of the services' range has nobody."""
    closed_to_all = {"control": False, "node": False}
    given = target(
        "unassigned", address="10.99.0.10", port=80, says="10.99.0.10 80 tcp", expect=closed_to_all
    )
    silent = {given.name: ("silent", "")}
    reports = [Report(SESSION, silent), Report(CONTROL, silent), Report(NODE, silent)]
    assert {cell.verdict for cell in judge([given], reports, NONE).cells} == {"unproven"}
    proxy = Report(PROXY, {given.name: ("answered", "")})
    found = judge([given], [*reports, proxy], NONE)
    assert found.ok
    assert [cell.origin for cell in found.cells] == ["session binder", "control", "node"]
    assert judge([replace(given, says="")], reports, NONE).ok


@pytest.mark.parametrize("origin", [CONTROL, NODE])
def test_a_place_without_a_fence_that_reaches_what_nobody_may(origin: Origin) -> None:
    one = target("unassigned", address="10.99.0.10", expect={"control": False, "node": False})
    [problem] = judge([one], [Report(origin, {one.name: ("answered", "")})], NONE).problems
    assert problem.startswith(f"{origin.role} on worker1 reaches unassigned")


def test_a_pod_of_no_hub_that_asks_binderhub() -> None:
    port = target("node_port", port=30585, expect={"control": False, "control@head1": None})
    proxy = Report(PROXY, {port.name: ("answered", "")})
    reached = {port.name: ("answered", "")}
    [problem] = judge([port], [Report(CONTROL, reached), proxy], NONE).problems
    assert problem.startswith("control on worker1 reaches node_port")
    assert "lets only the proxy in" in problem
    assert judge([port], [Report(replace(CONTROL, node="head1"), reached), proxy], NONE).ok


@pytest.mark.parametrize(
    ("kind", "proved"),
    [
        *(("hub_service", True), ("cluster_service", True), ("proxy_api", True), ("floating", True)),
        *(("other_node_port", True), ("ssh", False), ("private", False)),
    ],
)
def test_a_handshake_with_a_pod_of_the_cluster_is_proof(kind: str, proved: bool) -> None:
    """No gateway on the way may shake hands for it; of a session's it is an escape all the same."""
    one = target(kind)
    shaken = {one.name: ("connected", "and then nothing")}
    assert (
        judge([one], [Report(SESSION, {one.name: ("silent", "")}), Report(CONTROL, shaken)], NONE).ok
        is proved
    )
    assert [cell.verdict for cell in judge([one], [Report(SESSION, shaken)], NONE).cells] == ["escape"]


def test_core_pods_are_asked_for_their_needs_only() -> None:
    found = verdict(Report(CORE, {**ALIVE, "api": ("silent", "")}), *CONTROLS)
    assert [(cell.target, cell.verdict) for cell in found.cells] == [("api", "unmet"), ("dns", "open")]


def test_ipv6_that_is_off() -> None:
    far = target("ipv6", address="2001:db8::1")
    off = {far.name: ("no_ipv6", "")}
    assert judge([far], [Report(SESSION, off), Report(CONTROL, off)], NONE).ok
    # Without a control nobody knows whether it is off or fenced by chance, and a place that has it must not have it alone.
    assert not judge([far], [Report(SESSION, off)], NONE).ok
    assert not judge([far], [Report(SESSION, {far.name: ("silent", "")}), Report(CONTROL, off)], NONE).ok
    near = target("session_port")
    assert not judge(
        [near],
        [Report(SESSION, {near.name: ("no_ipv6", "")}), Report(CONTROL, {near.name: ("no_ipv6", "")})],
        NONE,
    ).ok


def test_a_place_without_a_report() -> None:
    found = verdict(Report(BUILD, trouble="ImagePullBackOff: no such image"), *CONTROLS)
    assert not found.ok
    assert "build binder on worker1: nothing was found out: ImagePullBackOff" in found.problems[0]
    assert {cell.verdict for cell in found.cells} == {"missing"}


def test_a_control_without_a_report() -> None:
    assert not verdict(
        Report(SESSION, FENCED_WELL), *CONTROLS, Report(PROXY, trouble="python3 ended with 127")
    ).ok


def test_a_report_that_lacks_a_target() -> None:
    cut = {name: found for name, found in FENCED_WELL.items() if name != "ssh"}
    found = verdict(Report(SESSION, cut), *CONTROLS)
    assert found.problems == ["session binder on worker1: its report lacks ssh"]


def test_two_hubs_have_columns_of_their_own() -> None:
    found = verdict(
        Report(SESSION, FENCED_WELL), Report(replace(SESSION, hub="second"), FENCED_WELL), *CONTROLS
    )
    assert found.table.splitlines()[0].split("  ")[-2:] == ["session binder", "session second"]


def test_the_report_is_plain_data() -> None:
    told = judge(TARGETS, [Report(SESSION, FENCED_WELL), *CONTROLS], NONE, skipped={"x": "why"}).as_dict()
    assert told["ok"] is True
    assert told["skipped"] == {"x": "why"}
    assert told["cells"][0] == {
        "target": "api",
        "origin": "session binder",
        "node": "worker1",
        "expected": "closed",
        "found": "unreachable",
        "verdict": "closed",
        "detail": "",
    }
