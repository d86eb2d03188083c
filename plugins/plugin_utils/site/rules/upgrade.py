# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about a control plane and workers of different versions, and about how an upgrade goes about it."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import is_exact, numbers
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import (
    some_hosts,
    without_hosts,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

CONTROL_PLANE, NODES, BATCH = (
    "site_kubernetes_version",
    "site_kubernetes_nodes_version",
    "site_upgrade_batch",
)
# https://kubernetes.io/releases/version-skew-policy/#kubelet
SKEW = 3


def _both(site: Site) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give both versions where they differ and both can be read."""
    wanted, nodes = site.text(CONTROL_PLANE), site.text(NODES)
    if is_exact(wanted) and is_exact(nodes) and wanted != nodes:
        return numbers(wanted), numbers(nodes)
    return (), ()


@rule("nodes-version-malformed", ERROR, "The workers' version of Kubernetes is not exactly one.")
def nodes_version_malformed(site: Site) -> Iterator[Problem]:
    text = site.text(NODES)
    # Left alone it is the control plane's, which has a rule of its own.
    if text and text != site.text(CONTROL_PLANE) and not is_exact(text):
        yield Problem(f"is {text[:40]!r}", 'write three numbers in quotes, such as "1.35.4"', NODES)


@rule(
    "nodes-version-out-of-step",
    ERROR,
    "The workers' Kubernetes is newer than the control plane's, or too old for it.",
    acceptable=False,
)
def nodes_version_out_of_step(site: Site) -> Iterator[Problem]:
    wanted, nodes = _both(site)
    if nodes > wanted:
        yield Problem(
            f"is {site.text(NODES)}, and the control plane is to be {site.text(CONTROL_PLANE)}: nodes must not be newer",
            f"drop {NODES}, or raise {CONTROL_PLANE}",
            NODES,
        )
    elif wanted and (nodes[0] != wanted[0] or wanted[1] - nodes[1] > SKEW):
        yield Problem(
            f"is {site.text(NODES)}, and an API of {site.text(CONTROL_PLANE)} takes none that old",
            f"use one at most {SKEW} minor versions behind {CONTROL_PLANE}, or drop {NODES}",
            NODES,
        )


@rule(
    "worker-joins-late-version",
    ERROR,
    "A worker is to join while workers have another Kubernetes than the control plane.",
    acceptable=False,
)
def worker_joins_late_version(site: Site) -> Iterator[Problem]:
    # https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/create-cluster-kubeadm/#kubeadm-s-skew-against-kubeadm
    joining = [host.name for host in site.seen("workers") if not host.joined]
    wanted, nodes = _both(site)
    if joining and wanted and nodes[:2] != wanted[:2]:
        yield Problem(
            f"is {site.text(NODES)}, and kubeadm of {site.text(CONTROL_PLANE)} is needed to join",
            f"upgrade the other workers first: drop {NODES} and run playbooks/upgrade.yml with {without_hosts(joining)}",
            NODES,
            some_hosts(joining),
        )


@rule("upgrade-batch-empty", ERROR, "An upgrade could take no worker.")
def upgrade_batch_empty(site: Site) -> Iterator[Problem]:
    if site.values.get(BATCH) is not None and as_int(site.values.get(BATCH), 1) < 1:
        yield Problem(
            f"is {site.values[BATCH]}", "use 1, or more where several nodes may be empty at once", BATCH
        )
