# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an upgrade has to know of a cluster, as its API tells it, and the mark of a node whose turn has begun."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import read_node
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.placement import (
    belongs_to_node,
    claims_in,
    has_volume,
    would_take,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Cluster,
    Load,
    Machine,
    Movable,
    RemovedApi,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.volumes import bound_volumes
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["CORDONED", "TURN", "read_cluster", "read_machines", "read_removed"]

# Annotation of a node whose turn has begun; its value says what the node was before, schedulable or cordoned.
TURN = "ironbinder/upgrade-turn"
CORDONED = "cordoned"
# What Kubernetes itself adds to a node that is cordoned or down, and takes away again.
_PASSING = {f"node.kubernetes.io/{state}" for state in ("unschedulable", "not-ready", "unreachable")}
# https://kubernetes.io/docs/reference/instrumentation/metrics/, a gauge that is 1 from the first request on.
_DEPRECATED = re.compile(r"^apiserver_requested_deprecated_apis\{(.*)\} 1(?:\.0+)?$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_VERSION = re.compile(r"^kubernetesVersion: *[\"']?v?([^\s\"']+)", re.M)
# Labels of the chart's pods.
_SESSION, _BUILD = "singleuser-server", "binderhub-build"
_PARTS = ("hub", "proxy", "binder")


def read_removed(metrics: str) -> list[RemovedApi]:
    """Read which APIs that a release will remove were asked for.

    Args:
        metrics: the API server's metrics in Prometheus' text format.
    """
    found = set()
    for match in _DEPRECATED.finditer(metrics):
        labels = dict(_LABEL.findall(match.group(1)))
        release = labels.get("removed_release", "")
        if release:
            parts = (labels.get("group"), labels.get("version"), labels.get("resource"))
            found.add(RemovedApi("/".join(part for part in parts if part), release))
    return sorted(found, key=lambda api: (api.release, api.name))


def read_cluster(api: KubeApi) -> Cluster:
    """Ask the API about the control plane. Raises KubeError."""
    version = str((api.get("/version") or {}).get("gitVersion") or "").removeprefix("v")
    config = api.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config") or {}
    text = str((config.get("data") or {}).get("ClusterConfiguration") or "")
    proxy = api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy") or {}
    configured = _VERSION.search(text)
    return Cluster(
        api=version,
        configured=configured.group(1) if configured else "",
        proxy=next(_images(proxy), ""),
        removed=read_removed(api.text("/metrics")),
    )


def _images(workload: Mapping[str, Any]) -> Iterator[str]:
    """Give the versions in the tags of a workload's images."""
    template = (workload.get("spec") or {}).get("template") or {}
    for container in (template.get("spec") or {}).get("containers") or []:
        yield str(container.get("image") or "").partition("@")[0].rpartition(":")[2].removeprefix("v")


def _live(pods: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Give node, component and pod of each pod that is on a node and has not ended."""
    for pod in pods:
        node = str((pod.get("spec") or {}).get("nodeName") or "")
        if node and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            labels = pod["metadata"].get("labels") or {}
            yield node, str(labels.get("component") or labels.get("app") or ""), pod


def _after_turn(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a node as it is when the turn that has begun there has ended well: open again, unless an admin had cordoned it."""
    mark = (item["metadata"].get("annotations") or {}).get(TURN)
    if mark is None:
        return item
    spec = item.get("spec") or {}
    taints = [taint for taint in spec.get("taints") or [] if taint["key"] not in _PASSING]
    return {**item, "spec": {**spec, "taints": taints, "unschedulable": mark == CORDONED}}


def _load(node: str, pods: Sequence[Mapping[str, Any]]) -> Load:
    """Count on a node what somebody notices."""
    here = [(component, pod) for place, component, pod in _live(pods) if place == node]
    kinds = [component for component, _pod in here]
    parts = {
        f"{component} in {pod['metadata'].get('namespace')}" for component, pod in here if component in _PARTS
    }
    return Load(kinds.count(_SESSION), kinds.count(_BUILD), tuple(sorted(parts)))


def _movables(
    node: str,
    pods: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    volumes: Mapping[str, Mapping[str, Any]],
) -> Iterator[Movable]:
    """Give the pods that would go elsewhere. Sessions and builds end instead."""
    others = [item for item in nodes if item["metadata"]["name"] != node]
    for place, component, pod in _live(pods):
        if place == node and component not in (_SESSION, _BUILD) and not belongs_to_node(pod):
            own = {claim: volumes[claim] for claim in claims_in(pod) if claim in volumes}
            homes = frozenset(
                item["metadata"]["name"]
                for item in others
                if would_take(item, pod) and all(has_volume(item, volume) for volume in own.values())
            )
            about = pod["metadata"]
            here = [
                claim.partition("/")[2]
                for claim, volume in own.items()
                if not any(has_volume(item, volume) for item in others)
            ]
            why = f" (its volume {' and '.join(here)} is on {node} alone)" if here else ""
            yield Movable(f"{component or about['name']} in {about.get('namespace')}{why}", homes)


def read_machines(api: KubeApi, given: Sequence[Mapping[str, Any]]) -> list[Machine]:
    """Ask the API about all nodes.

    Args:
        api: the cluster.
        given: the site's machines in their order, each {name, is_head, docker, is_asked}. Nodes that the site does not
            name come last and are left alone; only their kubelets count.

    Raises:
        KubeError: the API does not answer, or refuses.
    """
    items = [_after_turn(item) for item in (api.get("/api/v1/nodes") or {}).get("items") or []]
    pods = (api.get("/api/v1/pods") or {}).get("items") or []
    volumes = bound_volumes(api)
    known = {item["metadata"]["name"]: item for item in items}
    names = [str(entry["name"]) for entry in given]
    others = [{"name": name, "is_asked": False} for name in known if name not in names]
    return [
        _machine(entry, known.get(str(entry["name"])) or {}, pods, items, volumes)
        for entry in [*given, *others]
    ]


def _machine(
    given: Mapping[str, Any],
    item: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    volumes: Mapping[str, Mapping[str, Any]],
) -> Machine:
    name, docker = str(given["name"]), str(given.get("docker") or "")
    labels = (item.get("metadata") or {}).get("labels") or {}
    # The API knows it of nodes that the run leaves out.
    is_head = bool(given.get("is_head", "node-role.kubernetes.io/control-plane" in labels))
    is_asked = bool(given.get("is_asked", True))
    if not item:
        return Machine(name, is_head=is_head, docker=docker, ready=False, takes_pods=False, is_asked=is_asked)
    node = read_node(item)
    about = (item.get("status") or {}).get("nodeInfo") or {}
    runtime, _, version = str(about.get("containerRuntimeVersion") or "").partition("://")
    return Machine(
        name=name,
        is_head=is_head,
        kubelet=str(about.get("kubeletVersion") or "").removeprefix("v"),
        containerd=version.removeprefix("v") if runtime == "containerd" else "",
        docker=docker,
        ready=node.ready,
        reason=node.reason,
        turn=TURN in (item["metadata"].get("annotations") or {}),
        takes_pods=not (item.get("spec") or {}).get("unschedulable")
        and not any(
            taint["key"] == "node-role.kubernetes.io/control-plane"
            and taint.get("effect") != "PreferNoSchedule"
            for taint in node.taints
        ),
        is_asked=is_asked,
        load=_load(name, pods),
        pods=tuple(_movables(name, pods, nodes, volumes)),
    )
