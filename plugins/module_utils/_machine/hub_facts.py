# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which hubs run on the cluster of a head, and where. Runs on targets, reads only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.hub_marks import (
    BINDER_BASE_URL,
    HUB_BASE_URL,
    HUB_LABEL,
)

__all__ = ["hub_facts"]

PATHS = {"binder_base_url": BINDER_BASE_URL, "hub_base_url": HUB_BASE_URL}
# Helm's own note on all that it makes.
RELEASE = "meta.helm.sh/release-name"
QUESTION = ("get", "namespaces,services", "--all-namespaces", "--output", "json")

Ask = Callable[[Sequence[str]], str]


def hub_facts(kubectl: Sequence[str], ask: Ask) -> list[dict[str, Any]]:
    """Tell what runs as a hub: namespaces that role binderhub marked, and those with a service proxy-public that has an address.

    Args:
        kubectl: the program with what it needs to reach the API.
        ask: runs a command and gives what it prints, nothing where it failed.

    Returns:
        Each with `namespace`; `name` and its paths, `binder_base_url` and `hub_base_url`, as they were when it was last released,
        `` of one that nobody marked; `release`, `` where none of its services is Helm's; `floating_ip`, `` for none; and
        `node_port`, 0 for none.
    """
    try:
        items = json.loads(ask([*kubectl, *QUESTION]))["items"]
        marks = {item["metadata"]["name"]: item["metadata"] for item in items if item["kind"] == "Namespace"}
        services = [item for item in items if item["kind"] == "Service"]
        found = [_hub(namespace, mark, services) for namespace, mark in sorted(marks.items())]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return []
    return [hub for hub in found if hub["name"] or hub["floating_ip"]]


def _hub(namespace: str, mark: Mapping[str, Any], services: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    notes = mark.get("annotations") or {}
    own = {item["metadata"]["name"]: item for item in services if item["metadata"]["namespace"] == namespace}
    proxy, binder = own.get("proxy-public", {}), own.get("binder", {})
    ports = binder.get("spec", {}).get("ports") or [{}]
    return {
        "namespace": namespace,
        "name": (mark.get("labels") or {}).get(HUB_LABEL, ""),
        "release": next(filter(None, map(_release, (proxy, binder))), ""),
        **{key: notes.get(annotation, "") for key, annotation in PATHS.items()},
        "floating_ip": _address(proxy),
        "node_port": ports[0].get("nodePort", 0),
    }


def _release(service: Mapping[str, Any]) -> str:
    return str((service.get("metadata", {}).get("annotations") or {}).get(RELEASE, ""))


def _address(service: Mapping[str, Any]) -> str:
    """Give the address that a service holds, else the one that it asks for."""
    spec = service.get("spec", {})
    if spec.get("type") != "LoadBalancer":
        return ""
    held = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return str(held[0].get("ip") or spec.get("loadBalancerIP") or "")
