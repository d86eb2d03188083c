# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an upgrade is planned from, and its plan, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import numbers

__all__ = [
    "Cluster",
    "Load",
    "Machine",
    "Movable",
    "Plan",
    "RemovedApi",
    "Step",
    "Targets",
    "Words",
    "changes_of",
    "differs",
    "minor",
]


@dataclass(frozen=True)
class Load:
    """Pods of a node that somebody notices. `parts` are a hub's own, as "hub in binder"."""

    sessions: int = 0
    builds: int = 0
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Movable:
    """A pod that an emptied node sends elsewhere, and the other nodes that would take it outside a turn."""

    name: str
    homes: frozenset[str]


@dataclass(frozen=True)
class Machine:
    """A node of the cluster. Versions are what runs, as in 1.36.3; empty where there is none.

    `turn` says that an upgrade has begun here and not ended; `takes_pods` is what the node does outside a turn; `is_asked` is
    False of a node that the run leaves out.
    """

    name: str
    is_head: bool = False
    kubelet: str = ""
    containerd: str = ""
    docker: str = ""
    ready: bool = True
    reason: str = ""
    turn: bool = False
    takes_pods: bool = True
    is_asked: bool = True
    load: Load = field(default_factory=Load)
    pods: Sequence[Movable] = ()


@dataclass(frozen=True)
class RemovedApi:
    """An API that somebody has asked for since the API server started, and the release that no longer has it."""

    name: str  # as flowcontrol.apiserver.k8s.io/v1beta3/flowschemas
    release: str  # as 1.32


@dataclass(frozen=True)
class Cluster:
    """The control plane: versions of the API, of kubeadm's configuration, and of kube-proxy's image."""

    api: str
    configured: str
    proxy: str
    removed: Sequence[RemovedApi] = ()


@dataclass(frozen=True)
class Targets:
    """What is wanted. `containerd` and `docker` may be empty: any."""

    control_plane: str
    nodes: str
    containerd: str = ""
    docker: str = ""

    def kubelet(self, machine: Machine) -> str:
        """Give the kubelet of a machine: a head's is the control plane's."""
        return self.control_plane if machine.is_head else self.nodes


@dataclass(frozen=True)
class Words:
    """What becomes of sessions and builds on a node that is emptied, and whether a hub that moves forgets its sessions."""

    sessions: str = "are waited for"
    hub_forgets: bool = False


@dataclass(frozen=True)
class Step:
    """One step. `hosts` have it at the same time; those in `drain` are emptied of pods before."""

    kind: str  # snapshot, control_plane, node
    hosts: tuple[str, ...]
    changes: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be done. With `problems` nothing may be begun; `done` are machines that have all they shall have."""

    problems: tuple[str, ...]
    steps: tuple[Step, ...]
    done: tuple[str, ...]

    def hosts(self, kind: str) -> list[str]:
        """Name the hosts of all steps of a kind, in order."""
        return [name for step in self.steps if step.kind == kind for name in step.hosts]


def minor(text: str) -> tuple[int, ...]:
    """Give major and minor number, (1, 36) for 1.36.3."""
    return numbers(text)[:2]


def differs(has: str, wanted: str) -> bool:
    """Whether what is there is another version than the wanted one, where there is one and one is wanted."""
    return bool(wanted) and bool(has) and numbers(has) != numbers(wanted)


def changes_of(machine: Machine, targets: Targets) -> tuple[str, ...]:
    """Say what is to change on a machine, "kubelet 1.35.4 to 1.36.3"."""
    pairs = (
        ("kubelet", machine.kubelet, targets.kubelet(machine)),
        ("containerd", machine.containerd, targets.containerd),
        ("Docker", machine.docker, targets.docker),
    )
    return tuple(f"{what} {has} to {wanted}" for what, has, wanted in pairs if differs(has, wanted))
