# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Nodes, addresses and Calico's manifest in the words of the modules that take them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter.metallb_addresses import metallb_addresses
from ansible_collections.ironbinder.platform.plugins.filter.pod_network_objects import pod_network_objects
from ansible_collections.ironbinder.platform.plugins.filter.purpose_affinity import purpose_affinity
from ansible_collections.ironbinder.platform.plugins.filter.wanted_nodes import wanted_nodes
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    CONTROL_PLANE,
    PURPOSE_LABEL,
)

Answer = list[tuple[str, Any, list[str]]]


def wanted(groups: dict[str, list[str]], **purposes: Any) -> Answer:
    hosts = {name for members in groups.values() for name in members}
    hostvars = {name: {"site_node_purposes": purposes[name]} if name in purposes else {} for name in hosts}
    return [
        (
            node["name"],
            node["labels"][PURPOSE_LABEL],
            [taint["state"] for taint in node["taints"] if taint["key"] == CONTROL_PLANE],
        )
        for node in wanted_nodes(groups, hostvars)
    ]


@pytest.mark.parametrize(
    ("groups", "purposes", "answer"),
    [
        ({"head": ["h"], "workers": ["w"]}, {}, [("h", "core", ["present"]), ("w", "user", [])]),
        ({"head": ["h"], "proxy": ["p"]}, {}, [("h", "user", ["absent"])]),
        ({"head": ["h"], "workers": []}, {}, [("h", "user", ["absent"])]),
        (
            {"head": ["h"], "workers": ["w"]},
            {"h": ["core", "user"], "w": ["core"]},
            [("h", "user", ["absent"]), ("w", "core", [])],
        ),
        ({"head": ["h"], "workers": ["w"]}, {"w": []}, [("h", "core", ["present"]), ("w", None, [])]),
    ],
)
def test_nodes_by_purpose(groups: dict[str, list[str]], purposes: dict[str, Any], answer: Answer) -> None:
    assert wanted(groups, **purposes) == answer


@pytest.mark.parametrize(
    ("purposes", "tainted", "answer"),
    [
        ({}, True, {"w": "present", "v": "present"}),
        ({}, False, {"w": "absent", "v": "absent"}),
        # A node for both has pods of the core, which do not tolerate this taint.
        ({"w": ["core", "user"]}, True, {"w": "absent", "v": "present"}),
        # What somebody put on a node that is not for users is not ours to judge.
        ({"w": ["core"]}, True, {"v": "present"}),
        ({"w": []}, False, {"v": "absent"}),
    ],
)
def test_user_nodes_are_kept_to_users(
    purposes: dict[str, Any], tainted: bool, answer: dict[str, str]
) -> None:
    hostvars = {
        name: {"site_node_purposes": purposes[name]} if name in purposes else {} for name in ("h", "w", "v")
    }
    nodes = wanted_nodes({"head": ["h"], "workers": ["w", "v"]}, hostvars, tainted)
    found = {
        node["name"]: taint["state"]
        for node in nodes
        for taint in node["taints"]
        if (taint["key"], taint.get("value")) == ("hub.jupyter.org/dedicated", "user")
    }
    assert found == answer


@pytest.mark.parametrize(
    ("groups", "purposes", "answer"),
    [
        ({"head": ["h"], "workers": ["w"]}, {}, "require"),
        ({"head": ["h"]}, {}, "prefer"),
        ({"head": ["h"], "workers": ["w"]}, {"h": ["core", "user"]}, "prefer"),
        ({"head": ["h"], "workers": ["w", "v"]}, {"h": ["core", "user"], "v": ["core"]}, "require"),
        ({"head": ["h"], "workers": ["w"]}, {"w": ["core"]}, "prefer"),
        ({"head": ["h"], "workers": ["w"]}, {"w": []}, "prefer"),
        ({}, {}, "prefer"),
    ],
)
def test_purposes_are_required_where_each_has_nodes_of_its_own(
    groups: dict[str, list[str]], purposes: dict[str, Any], answer: str
) -> None:
    hosts = {name for members in groups.values() for name in members}
    hostvars = {name: {"site_node_purposes": purposes[name]} if name in purposes else {} for name in hosts}
    assert purpose_affinity(groups, hostvars) == answer


def test_a_pool_in_metallbs_words() -> None:
    pool = ["192.0.2.10", "192.0.2.16/30", " 192.0.2.20 - 192.0.2.22 ", "2001:db8::1"]
    assert metallb_addresses(pool) == [
        "192.0.2.10-192.0.2.10",
        "192.0.2.16/30",
        "192.0.2.20-192.0.2.22",
        "2001:db8::1-2001:db8::1",
    ]


@pytest.mark.parametrize("pool", [[], [""], ["192.0.2.9-192.0.2.1"], ["somewhere"]])
def test_a_pool_that_is_none(pool: list[str]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"metallb_address_pool: .*Set site_floating_pool"):
        metallb_addresses(pool)


CALICO = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: calico-node, namespace: kube-system}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
        - name: calico-node
          env:
            - name: IP
              value: autodetect
            # - name: CALICO_IPV4POOL_CIDR
            #   value: "192.168.0.0/16"
        - name: other
"""
SUBNET = "10.244.0.0/16"


def environment(text: str) -> dict[str, str]:
    spec = pod_network_objects(text, "m", SUBNET)[1]["spec"]["template"]["spec"]
    assert spec["containers"][1] == {"name": "other"}
    return {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]}


def test_calico_gets_the_range_of_pods() -> None:
    """Where upstream has a comment, and where somebody has set it already."""
    answer = {"IP": "autodetect", "CALICO_IPV4POOL_CIDR": SUBNET}
    assert environment(CALICO) == answer
    assert environment(CALICO.replace("# ", "").replace("192.168.0.0/16", SUBNET)) == answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CALICO.replace("# ", ""), "to '192.168.0.0/16', and site_pod_subnet is 10.244.0.0/16"),
        (CALICO.replace("DaemonSet", "Deployment"), "no DaemonSet calico-node.*site_pod_network_manifest"),
        ("<html>", "no list of Kubernetes objects.*site_pod_network_manifest"),
    ],
)
def test_what_is_not_calico(text: str, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        pod_network_objects(text, "m", SUBNET)


def test_a_manifest_is_the_one_that_was_pinned() -> None:
    """By its whole text; an upper case digest is one, too."""
    digest = f"sha256:{sha256(CALICO.encode()).hexdigest()}"
    assert pod_network_objects(CALICO, "m", digest=digest) == pod_network_objects(CALICO, "m")
    assert pod_network_objects(CALICO, "m", digest=digest.upper().replace("SHA", "sha"))
    with pytest.raises(
        AnsibleFilterError,
        match=f"m has the digest .*, and {digest} was asked for.*site_pod_network_manifest_digest",
    ):
        pod_network_objects(f"{CALICO}\n", "m", digest=digest)


def test_any_other_manifest_stays_as_it_is() -> None:
    assert "10.244" not in str(pod_network_objects(CALICO, "m"))
    with pytest.raises(
        AnsibleFilterError, match=r"https://x/m.yaml has no object.*site_pod_network_manifest"
    ):
        pod_network_objects("", "https://x/m.yaml")
