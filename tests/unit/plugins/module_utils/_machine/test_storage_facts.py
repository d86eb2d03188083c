# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a head is told of classes and of databases that are bound to a node."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.storage_facts import (
    CLASSES,
    VOLUMES,
    storage_facts,
)

CLASS = {
    "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "rancher.io/local-path",
}


def volume(namespace: str, claim: str, *nodes: str, phase: str = "Bound") -> dict[str, Any]:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {
        "spec": {
            "claimRef": {"namespace": namespace, "name": claim},
            **({"nodeAffinity": {"required": terms}} if nodes else {}),
        },
        "status": {"phase": phase},
    }


def test_databases_of_one_node() -> None:
    volumes = [
        volume("binder", "hub-db-dir", "worker1"),
        volume("private", "hub-db-dir"),
        volume("wiki", "hub-db-dir", "worker1", "worker2"),
        volume("old", "hub-db-dir", "worker2", phase="Released"),
        volume("binder", "claim-ana", "worker2"),
    ]
    answers = {CLASSES: [CLASS, {"metadata": {"name": "slow"}}], VOLUMES: volumes}
    assert storage_facts(lambda path: json.dumps({"items": answers[path]})) == {
        "classes": [
            {"name": "fast", "default": True, "provisioner": "rancher.io/local-path"},
            {"name": "slow", "default": False, "provisioner": ""},
        ],
        "databases": {"binder": "worker1"},
        "bound": ["binder", "private", "wiki"],
    }


def test_a_database_needs_no_class() -> None:
    """Somebody may have made its volume by hand."""
    answers = {CLASSES: [], VOLUMES: [volume("binder", "hub-db-dir")]}
    told = storage_facts(lambda path: json.dumps({"items": answers[path]}))
    assert told == {"classes": [], "databases": {}, "bound": ["binder"]}


@pytest.mark.parametrize(
    "answer", ["", "no JSON", "[]", "7", '{"items": 7}', '{"items": [7]}', '{"items": [{}]}']
)
def test_an_api_that_tells_nothing_of_use(answer: str) -> None:
    assert storage_facts(lambda path: answer) == {}
