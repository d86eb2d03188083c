# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs that run, and an inventory that has others, or the same in another order."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_cases import change, cluster_site, found, rules_of, texts
from site_cases import hubs

FIRST = {
    "namespace": "binder",
    "name": "binder",
    "release": "binder",
    "binder_base_url": "/binderhub/",
    "hub_base_url": "/jupyterhub/",
    "floating_ip": "192.0.2.101",
    "node_port": 30585,
}
SECOND = {
    **FIRST,
    "namespace": "a",
    "name": "a",
    "release": "a",
    "binder_base_url": "/a/binderhub/",
    "hub_base_url": "/a/jupyterhub/",
    "floating_ip": "192.0.2.102",
    "node_port": 30586,
}
# Ironbinder did not release this one.
STRANGE = {
    "namespace": "elsewhere",
    "name": "",
    "release": "binderhub",
    "floating_ip": "192.0.2.103",
    "node_port": 30600,
}
KEPT = {key: SECOND[key] for key in ("binder_base_url", "hub_base_url", "floating_ip", "node_port")}
MOVED = {("hub-would-move", "site_hubs.a", "head1")}
GONE = {("hub-not-in-inventory", "site_hubs.a", "head1")}
TAKEN = {("hub-namespace-taken", "site_hubs.a.namespace", "head1")}
CASES: dict[str, tuple[list[Any], dict[str, Any], set[tuple[str, str, str]]]] = {
    "as it runs": ([FIRST, SECOND, STRANGE], hubs(binder={}, a={}), set()),
    "the first one is gone": (
        [FIRST, SECOND],
        hubs(a={}),
        MOVED | {("hub-not-in-inventory", "site_hubs.binder", "head1")},
    ),
    "the first one was removed": ([SECOND], hubs(a={}), MOVED),
    "one before it": ([FIRST, SECOND], hubs(binder={}, b={}, a={}), MOVED),
    "one behind it": ([FIRST, SECOND], hubs(binder={}, a={}, b={}), set()),
    "what it has is written down": ([SECOND], hubs(a=KEPT), set()),
    "another address is asked for": (
        [FIRST, SECOND],
        hubs(binder={}, a={"floating_ip": "192.0.2.103"}),
        set(),
    ),
    "the pool is another one": (
        [FIRST],
        {"values/site_floating_pool": "192.0.2.102-192.0.2.103"},
        set(),
    ),
    "the last one is gone": ([FIRST, SECOND], hubs(binder={}), GONE),
    "another namespace": (
        [FIRST, SECOND],
        hubs(binder={}, a={"namespace": "b"}),
        GONE | {("hub-takes-what-runs", "site_hubs.a", "head1")},
    ),
    # Nothing but its release, of which roles of the whole cluster have the name.
    "another namespace, address and port": (
        [FIRST, SECOND],
        hubs(binder={}, a={"namespace": "b", "floating_ip": "192.0.2.103", "node_port": 30600}),
        GONE | {("hub-takes-what-runs", "site_hubs.a", "head1")},
    ),
    "another hub in its place": (
        [FIRST],
        hubs(a={}),
        {
            ("hub-takes-what-runs", "site_hubs.a", "head1"),
            ("hub-not-in-inventory", "site_hubs.binder", "head1"),
        },
    ),
    "its place is another site's": (
        [FIRST, {**STRANGE, "floating_ip": "192.0.2.102"}],
        hubs(binder={}, a={}),
        {("hub-takes-what-runs", "site_hubs.a", "head1")},
    ),
    "its port, as text, is another site's": (
        [FIRST, STRANGE],
        hubs(binder={}, a={"node_port": " 30600"}),
        {("hub-takes-what-runs", "site_hubs.a", "head1")},
    ),
    "another name": ([FIRST], hubs(a={"namespace": "binder"}), TAKEN),
    "another name of the same release": (
        [FIRST],
        hubs(a={"namespace": "binder", "release": "binder"}),
        set(),
    ),
    "another name, and nothing runs": (
        [{**FIRST, "release": "", "floating_ip": "", "node_port": 0}],
        hubs(a={"namespace": "binder"}),
        TAKEN,
    ),
    "another release": (
        [FIRST],
        hubs(binder={"release": "b"}),
        {("hub-namespace-taken", "site_hubs.binder.release", "head1")},
    ),
    "another release of one that nobody marked": (
        [{**FIRST, "name": ""}],
        hubs(binder={"release": "b"}),
        {("hub-namespace-taken", "site_hubs.binder.release", "head1")},
    ),
    "addresses change hands": (
        [FIRST, SECOND],
        hubs(binder={"floating_ip": "192.0.2.102"}, a={"floating_ip": "192.0.2.101"}),
        set(),
    ),
    # The one that is released first would ask for a port that the other still has.
    "ports change hands": (
        [FIRST, SECOND],
        hubs(binder={"node_port": 30586}, a={"node_port": 30585}),
        {("hub-takes-what-runs", "site_hubs.binder", "head1")},
    ),
    "a port that is free by then": (
        [FIRST, SECOND],
        hubs(binder={"node_port": 30600}, a={"node_port": 30585}),
        set(),
    ),
    "two want what one has": (
        [FIRST],
        hubs(binder={}, a={"floating_ip": "192.0.2.101"}),
        {("hubs-share-address", "site_hubs.a.floating_ip", "")},
    ),
    # Of one released before this was written down there is no path; address and port are its services'.
    "one that nobody marked": (
        [{**SECOND, "name": "", "binder_base_url": "", "hub_base_url": ""}],
        hubs(a={}),
        MOVED,
    ),
    "one that is not there yet": ([FIRST], hubs(binder={}, a={}), set()),
}


def site(running: Any, changes: dict[str, Any]) -> dict[str, Any]:
    return change(cluster_site(), {**changes, "hosts/head1/probe/cluster/hubs": running})


@pytest.mark.parametrize("name", CASES)
def test_running_hubs(name: str) -> None:
    running, changes, expected = CASES[name]
    assert found(site(running, changes)) == expected


def test_what_to_write_is_said() -> None:
    told = texts(site([SECOND], hubs(a={})), "hub-would-move")
    assert (
        "write below it what it has: floating_ip: 192.0.2.102, node_port: 30586, binder_base_url: /a/binderhub/"
        in told
    )
    told = texts(site([FIRST, SECOND], hubs(binder={})), "hub-not-in-inventory")
    assert "the hub a runs in the namespace a, and holds 192.0.2.102" in told
    assert "playbooks/remove_hub.yml -e hub=a" in told


def test_whose_it_is_is_said() -> None:
    told = texts(site([FIRST], hubs(a={})), "hub-takes-what-runs")
    assert (
        "would get floating_ip: 192.0.2.101, node_port: 30585, which the hub binder (namespace binder) has"
        in told
    )
    assert "playbooks/remove_hub.yml -e hub=binder" in told
    told = texts(site([FIRST], hubs(binder={"namespace": "b"})), "hub-takes-what-runs")
    assert "write namespace: binder, where it runs" in told
    swapped = hubs(binder={"node_port": 30586}, a={"node_port": 30585})
    told = texts(site([FIRST, SECOND], swapped), "hub-takes-what-runs")
    assert (
        "node_port: 30586, which the hub a (namespace a) has" in told and "those of a alone, run once" in told
    )
    told = texts(site([{**STRANGE, "floating_ip": "192.0.2.101"}], hubs(a={})), "hub-takes-what-runs")
    assert "floating_ip: 192.0.2.101, which somebody else's hub (namespace elsewhere) has" in told
    told = texts(site([FIRST], hubs(a={"namespace": "binder"})), "hub-namespace-taken")
    assert "has the hub binder, as release binder, and this one would be the release a beside it" in told


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "x",
        [7],
        [{}],
        [{"namespace": 7}],
        [{"namespace": "a", "name": []}],
        [{"namespace": "b", "release": {}}],
    ],
)
def test_odd_answers(odd: Any) -> None:
    assert found(site(odd, hubs(binder={}, a={}))) == set()


def test_every_rule_is_broken_above() -> None:
    """A rule that no site breaks is a rule that nobody knows to work."""
    assert rules_of("running_hubs") <= {rule for _, _, expected in CASES.values() for rule, _, _ in expected}
