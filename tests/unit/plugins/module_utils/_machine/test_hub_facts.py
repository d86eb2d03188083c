# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which hubs run on a cluster, from what kubectl prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.hub_facts import hub_facts

KUBECTL = ["kubectl", "--kubeconfig", "/x"]


def namespace(name: str, **labels: str) -> dict[str, Any]:
    notes = {
        "ironbinder.platform/binder-base-url": f"/{name}/binderhub/",
        "ironbinder.platform/hub-base-url": f"/{name}/jupyterhub/",
    }
    metadata = {"name": name, **({"labels": labels, "annotations": notes} if labels else {})}
    return {"kind": "Namespace", "metadata": metadata}


def service(place: str, name: str, spec: dict[str, Any], ip: str = "") -> dict[str, Any]:
    status = {"loadBalancer": {"ingress": [{"ip": ip}]} if ip else {}}
    # Helm notes its release on all that it makes.
    notes = (
        {"annotations": {"meta.helm.sh/release-name": f"{place}-release"}} if name == "proxy-public" else {}
    )
    metadata = {"namespace": place, "name": name, **notes}
    return {"kind": "Service", "metadata": metadata, "spec": spec, "status": status}


BALANCED = {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.101"}
CLUSTER = [
    namespace("default"),
    namespace("binder", **{"ironbinder.platform/hub": "binder"}),
    namespace("elsewhere"),
    namespace("empty", **{"ironbinder.platform/hub": "gone"}),
    service("default", "kubernetes", {"type": "ClusterIP"}),
    service("binder", "proxy-public", BALANCED, "192.0.2.102"),
    service("binder", "binder", {"type": "NodePort", "ports": [{"nodePort": 30585}]}),
    service("elsewhere", "proxy-public", BALANCED),
    service("elsewhere", "other", {"type": "LoadBalancer"}),
]


def test_hubs_are_told_apart() -> None:
    def ask(argv: Sequence[str]) -> str:
        assert list(argv[:4]) == [*KUBECTL, "get"]
        return json.dumps({"items": CLUSTER})

    assert hub_facts(KUBECTL, ask) == [
        {
            "namespace": "binder",
            "name": "binder",
            "release": "binder-release",
            "binder_base_url": "/binder/binderhub/",
            "hub_base_url": "/binder/jupyterhub/",
            "floating_ip": "192.0.2.102",
            "node_port": 30585,
        },
        {
            "namespace": "elsewhere",
            "name": "",
            "release": "elsewhere-release",
            "binder_base_url": "",
            "hub_base_url": "",
            "floating_ip": "192.0.2.101",
            "node_port": 0,
        },
        {
            "namespace": "empty",
            "name": "gone",
            "release": "",
            "binder_base_url": "/empty/binderhub/",
            "hub_base_url": "/empty/jupyterhub/",
            "floating_ip": "",
            "node_port": 0,
        },
    ]


@pytest.mark.parametrize(
    "answer", ["", "x", "[]", "{}", '{"items": [7]}', '{"items": [{"kind": "Namespace"}]}']
)
def test_what_cannot_be_read_is_nothing(answer: str) -> None:
    assert hub_facts(KUBECTL, lambda argv: answer) == []
