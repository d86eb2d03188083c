# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why an upgrade must not begin: what Kubernetes does not support, and what would be taken for its doing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import is_exact, numbers
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.upgrade_model import (
    Cluster,
    Machine,
    Targets,
    differs,
    minor,
)

__all__ = ["NODES", "problems_of"]

# How many minor versions a kubelet may be behind the API, https://kubernetes.io/releases/version-skew-policy/#kubelet.
KUBELET_SKEW = 3
CONTROL_PLANE, NODES = "site_kubernetes_version", "site_kubernetes_nodes_version"
CONTAINERD, DOCKER = "site_containerd_version", "site_docker_version"


def _jumps(cluster: Cluster, targets: Targets) -> Iterable[str]:
    """Versions of the control plane that kubeadm cannot reach."""
    has, wanted = cluster.api, targets.control_plane
    if not numbers(has):
        yield f"the API tells no version ({has!r}): look at `kubectl get --raw /version`"
    elif numbers(wanted) < numbers(has):
        yield f"{CONTROL_PLANE} is {wanted} and the control plane {has}: Kubernetes never goes back. Set it to {has} or more"
    elif minor(wanted)[0] != minor(has)[0]:
        yield f"{CONTROL_PLANE} is {wanted} and the control plane runs {has}: no upgrade leads from one major version to another"
    elif minor(wanted)[1] > minor(has)[1] + 1:
        yield (
            f"{CONTROL_PLANE} is {wanted} and the control plane runs {has}: kubeadm takes one minor version at a time. "
            f"Set it to a {numbers(has)[0]}.{numbers(has)[1] + 1}, run this again, and then go on"
        )


def _skew(cluster: Cluster, machines: Sequence[Machine], targets: Targets) -> Iterable[str]:
    """Kubelets that would not go with the API, during the upgrade or after it."""
    wanted = targets.control_plane
    if numbers(targets.nodes) > numbers(wanted):
        yield f"{NODES} is {targets.nodes} and {CONTROL_PLANE} is {wanted}: nodes must not be newer than the API"
    elif minor(wanted)[1] - minor(targets.nodes)[1] > KUBELET_SKEW:
        yield (
            f"{NODES} is {targets.nodes} and {CONTROL_PLANE} is {wanted}: nodes may be {KUBELET_SKEW} minor versions behind the "
            f"API. Raise {NODES}, or drop it"
        )
    # While versions differ site.yml refuses, so that a new worker joins after an upgrade without it.
    new = ":".join(f"!{one.name}" for one in machines if not numbers(one.kubelet) and not one.is_head)
    ways = {True: "run site.yml,", False: f"run this with --limit '{new}', and site.yml afterwards;"}
    for machine in machines:
        has = machine.kubelet
        if not numbers(has):
            yield f"{machine.name} is no node of the cluster: {ways[machine.is_head]} or remove it from the inventory"
        elif minor(has) > minor(cluster.api):
            yield f"the kubelet of {machine.name} is {has} and the API {cluster.api}: put the older kubelet back"
        elif minor(wanted)[1] - minor(has)[1] > KUBELET_SKEW:
            yield (
                f"the kubelet of {machine.name} is {has}, and an API of {wanted} takes none more than {KUBELET_SKEW} minor "
                f"versions behind: set {CONTROL_PLANE} to {cluster.api}, run this for the nodes, and then go on"
            )


def _downgrades(cluster: Cluster, machines: Sequence[Machine], targets: Targets) -> Iterable[str]:
    control_plane_goes_back = numbers(targets.control_plane) < numbers(cluster.api)
    for machine in machines:
        for what, has, wanted, variable in (
            (
                "kubelet",
                machine.kubelet,
                targets.kubelet(machine),
                CONTROL_PLANE if machine.is_head else NODES,
            ),
            ("containerd", machine.containerd, targets.containerd, CONTAINERD),
            ("Docker", machine.docker, targets.docker, DOCKER),
        ):
            # Of the control plane itself it is said already, and of kubelets that are newer than the API.
            told = what == "kubelet" and (
                (machine.is_head and control_plane_goes_back) or minor(has) > minor(cluster.api)
            )
            if machine.is_asked and differs(has, wanted) and numbers(wanted) < numbers(has) and not told:
                yield f"{variable} is {wanted} and {machine.name} runs {what} {has}: nothing goes back. Set it to {has} or higher"


def _removed(cluster: Cluster, targets: Targets, accepted: Sequence[str]) -> Iterable[str]:
    for api in cluster.removed:
        if (
            minor(cluster.api) < minor(api.release) <= minor(targets.control_plane)
            and api.name not in accepted
        ):
            yield (
                f"somebody asks the API for {api.name}, which Kubernetes {api.release} no longer has: find who does in the API's "
                "audit log, or by `kubectl get --raw /metrics | grep apiserver_requested_deprecated_apis`, and change it; or, "
                "where that is over, add it to site_upgrade_accepted_apis. The API remembers it until it is restarted"
            )


def _unhealthy(machines: Sequence[Machine]) -> Iterable[str]:
    """A node that is down before an upgrade would be taken for one that the upgrade broke."""
    for machine in machines:
        if numbers(machine.kubelet) and not machine.ready and not machine.turn:
            yield f"{machine.name} is not Ready ({machine.reason}): repair it first, or remove it from the site"


def problems_of(
    cluster: Cluster, machines: Sequence[Machine], targets: Targets, accepted: Sequence[str] = ()
) -> list[str]:
    """Say why an upgrade must not begin, each with its remedy; nothing where it may.

    Args:
        cluster: what runs.
        machines: all nodes.
        targets: what is wanted.
        accepted: removed APIs of which an admin says that nobody asks for them any more.
    """
    for text in (targets.control_plane, targets.nodes):
        if not is_exact(text):
            return [f"{text!r} is not exactly one version of Kubernetes: write three numbers"]
    return [
        *_jumps(cluster, targets),
        *_skew(cluster, machines, targets),
        *_downgrades(cluster, machines, targets),
        *_removed(cluster, targets, accepted),
        *_unhealthy(machines),
    ]
