# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How a site stands: the data that programs read, and the table that people do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import WARNING, Finding
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.status import Look, as_data, render
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.upkeep import judge

NOW, DAY, HOUR = 1_800_000_000.0, 86_400, 3_600
NODE = {
    "name": "head1",
    "ready": True,
    "reason": "",
    "schedulable": False,
    "roles": ["control-plane"],
    "address": "192.0.2.11",
    "kubelet": "v1.36.3",
    "runtime": "containerd://2.4.2",
    "system": "Debian GNU/Linux 12 (bookworm)",
    "kernel": "6.1.0",
}
HUB: dict[str, Any] = {
    "namespace": "binder",
    "chart": "binderhub-1.0.0",
    "revision": 3,
    "state": "deployed",
    "sessions": 7,
    "workloads": [{"name": "hub", "ready": False, "told": "0 of 1 ready"}],
}
HEAD: dict[str, Any] = {
    "certificates": [
        {
            "name": "apiserver",
            "kind": "kubeadm",
            "file": "/x.crt",
            "not_after": NOW + 200 * DAY,
            "port": 6443,
            "served": "same",
        },
        {"name": "ca", "kind": "authority", "file": "/ca.crt", "not_after": NOW + 3000 * DAY},
        {"name": "broken", "kind": "kubeadm", "not_after": None, "error": "it holds no certificate"},
    ],
    "etcd": {"version": "3.6.8", "bytes": 512 << 20, "quota_bytes": 2048 << 20},
    "snapshots": {
        "directory": "/srv/etcd",
        "began": NOW,
        "ended": NOW,
        "error": "",
        "snapshots": [
            {
                "file": "a.db",
                "bytes": 9,
                "found_bytes": 7,
                "taken_at": NOW - 20 * HOUR,
                "restored": True,
                "damage": "",
            },
            {
                "file": "b.db",
                "bytes": 5 << 20,
                "found_bytes": 5 << 20,
                "taken_at": NOW - 8 * HOUR,
                "revision": 12,
                "restored": True,
                "damage": "",
            },
        ],
    },
}
LOOK = Look(
    name="stfc",
    now=NOW,
    machines={"head1": HEAD, "worker1": {}},
    cluster={
        "version": "v1.36.3",
        "nodes": [NODE],
        "floating": [
            {"namespace": "binder", "name": "proxy-public", "addresses": ["192.0.2.101"], "wanted": ""}
        ],
        "hubs": {"binder": HUB},
    },
    urls={"binder": "https://binder.example.org/binderhub/"},
    sign_in={
        "binder": {
            "kind": "oidc",
            "callback_url": "https://binder.example.org/jupyterhub/hub/oauth_callback",
        },
        "course": {"kind": "native", "callback_url": ""},
    },
    pool="192.0.2.101-192.0.2.103",
    others={"binder.example.org:443": judge("public URL", NOW + 15 * DAY, NOW, served="same", port=443)},
    lost=["worker1: no route to host"],
)


def lines(look: Look) -> list[str]:
    """The table with one space between words."""
    return [" ".join(line.split()) for line in render(look).splitlines()]


def test_the_table_has_all_that_was_asked_for() -> None:
    table = lines(LOOK)
    for line in (
        "stfc: Kubernetes v1.36.3, 2027-01-15 08:00 UTC",
        "NOT ASKED: worker1: no route to host",
        "head1 ready, cordoned control-plane 192.0.2.11 v1.36.3 containerd://2.4.2 Debian GNU/Linux 12 (bookworm)",
        "192.0.2.101 binder/proxy-public",
        "binder https://binder.example.org/binderhub/ binderhub-1.0.0 deployed, revision 3 hub 0 of 1 ready 7",
        "binder oidc https://binder.example.org/jupyterhub/hub/oauth_callback",
        "course native -",
        "head1 3.6.8 512 MiB 2048 MiB 25 %",
        "head1 1 b.db 8 h 5 MiB restored",
        "Nothing needs attention.",
    ):
        assert line in table


def test_a_hub_that_the_site_does_not_have_is_named() -> None:
    assert not any("DOES NOT HAVE" in line for line in lines(LOOK))
    table = lines(replace(LOOK, cluster={**LOOK.cluster, "unlisted_hubs": {"private": "old"}}))
    begin = table.index("HUB THAT site_hubs DOES NOT HAVE NAMESPACE")
    assert table[begin + 1] == "private old"


def test_what_ends_first_comes_first() -> None:
    table = lines(LOOK)
    begin = table.index("CERTIFICATE OF DAYS LEFT IN USE")
    assert table[begin + 1 : begin + 5] == [
        "public URL binder.example.org:443 15 port 443 serves it",
        "apiserver head1 200 port 6443 serves it",
        "ca head1 3000",
        "",
    ]


def test_data_are_json_with_the_promised_keys() -> None:
    data = json.loads(json.dumps(as_data(LOOK)))
    assert list(data) == [
        "site",
        "asked_at",
        "kubernetes",
        "nodes",
        "floating_pool",
        "floating_addresses",
        "hubs",
        "unlisted_hubs",
        "etcd",
        "snapshots",
        "certificates",
        "not_asked",
        "findings",
    ]
    assert data["hubs"]["binder"]["sign_in"]["kind"] == "oidc"
    assert data["certificates"][0]["state"] == "soon"
    assert data["etcd"]["head1"]["fill_percent"] == 25
    assert data["snapshots"]["head1"] == {
        "directory": "/srv/etcd",
        "kept": 1,
        "damaged": ["a.db"],
        "dated_ahead": [],
        "newest": "b.db",
        "age_hours": 8,
        "restored": True,
        "revision": 12,
        "bytes": 5 << 20,
        "error": "",
    }


def test_a_snapshot_from_the_future_is_not_the_newest() -> None:
    """Its clock was ahead, so its time says nothing, wherever the head puts it."""
    entry = {**HEAD["snapshots"]["snapshots"][1], "file": "c.db", "taken_at": NOW + 2 * HOUR}
    entries = [*HEAD["snapshots"]["snapshots"], entry]
    look = replace(
        LOOK, machines={"head1": {**HEAD, "snapshots": {**HEAD["snapshots"], "snapshots": entries}}}
    )
    shown = as_data(look)["snapshots"]["head1"]
    assert (shown["kept"], shown["newest"], shown["age_hours"], shown["dated_ahead"]) == (
        2,
        "b.db",
        8,
        ["c.db"],
    )
    assert "head1 2 b.db 8 h, 1 dated ahead 5 MiB restored" in lines(look)
    alone = replace(
        LOOK, machines={"head1": {**HEAD, "snapshots": {**HEAD["snapshots"], "snapshots": [entry]}}}
    )
    assert "head1 1 c.db unknown, 1 dated ahead 5 MiB restored" in lines(alone)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "1e999", "1" * 400, "null", '"text"'])
def test_an_odd_record_stops_nothing(odd: str) -> None:
    """JSON stays JSON, for whoever reads it."""
    entry = {**HEAD["snapshots"]["snapshots"][1], **dict.fromkeys(("taken_at", "revision"), "ODD")}
    told = json.loads(json.dumps({**HEAD["snapshots"], "snapshots": [entry]}).replace('"ODD"', odd))
    look = replace(LOOK, machines={"head1": {**HEAD, "snapshots": told}})
    shown = as_data(look)["snapshots"]["head1"]
    assert (shown["kept"], shown["newest"], shown["age_hours"]) == (1, "b.db", None)
    assert "NaN" not in json.dumps(as_data(look)) and "Infinity" not in json.dumps(as_data(look))
    assert "head1 1 b.db unknown 5 MiB restored" in lines(look)


def test_a_cluster_that_does_not_answer_is_said() -> None:
    """Certificates are told all the same: they may be why."""
    table = lines(replace(LOOK, cluster={}, lost=["the API: connection refused"]))
    assert table[0].startswith("stfc: Kubernetes did not answer")
    assert "NOT ASKED: the API: connection refused" in table
    assert "apiserver head1 200 port 6443 serves it" in table


def test_findings_are_shown_as_preflight_shows_them() -> None:
    finding = Finding(
        "snapshot-late", WARNING, "", "head1", "the newest snapshot is 40 hours old", "start the timer"
    )
    table = lines(replace(LOOK, findings=[finding]))
    assert "warning snapshot-late head1" in table
    assert "-> start the timer" in table
    assert "Nothing needs attention." not in table
