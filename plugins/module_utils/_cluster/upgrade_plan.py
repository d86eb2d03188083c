# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an upgrade has to do, in which order, and what people will notice; or why it must not begin.

Nothing is asked and nothing is done here. What is planned follows from what runs, so that a plan made after an upgrade
that was stopped holds the rest of it, and one made after its end holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import is_exact, numbers

__all__ = ["Cluster", "Load", "Machine", "Plan", "RemovedApi", "Step", "Targets", "make_plan"]

# How many minor versions a kubelet may be behind the API, https://kubernetes.io/releases/version-skew-policy/#kubelet.
KUBELET_SKEW = 3
CONTROL_PLANE, NODES = "site_kubernetes_version", "site_kubernetes_nodes_version"
CONTAINERD, DOCKER = "site_containerd_version", "site_docker_version"


@dataclass(frozen=True)
class Load:
    """Pods of a node that somebody notices. `parts` are a hub's own, as "hub in binder"."""

    sessions: int = 0
    builds: int = 0
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """A node of the cluster. Versions are what runs, as in 1.36.3; empty where there is none.

    `turn` says that an upgrade has begun here and not ended; `is_asked` is False of a node that the run leaves out.
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
class Step:
    """One step. `hosts` have it at the same time; `drain` of a node is emptied of pods before."""

    kind: str  # snapshot, control_plane, node
    hosts: tuple[str, ...]
    changes: tuple[str, ...] = ()
    drain: bool = False
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


def _minor(text: str) -> tuple[int, ...]:
    return numbers(text)[:2]


def _differs(has: str, wanted: str) -> bool:
    return bool(wanted) and bool(has) and numbers(has) != numbers(wanted)


def changes_of(machine: Machine, targets: Targets) -> tuple[str, ...]:
    """Say what is to change on a machine, "kubelet 1.35.4 to 1.36.3"."""
    pairs = (
        ("kubelet", machine.kubelet, targets.kubelet(machine)),
        ("containerd", machine.containerd, targets.containerd),
        ("Docker", machine.docker, targets.docker),
    )
    return tuple(f"{what} {has} to {wanted}" for what, has, wanted in pairs if _differs(has, wanted))


def _jumps(cluster: Cluster, targets: Targets) -> Iterable[str]:
    """Versions of the control plane that kubeadm cannot reach."""
    has, wanted = cluster.api, targets.control_plane
    if not numbers(has):
        yield f"the API tells no version ({has!r}): look at `kubectl get --raw /version`"
    elif numbers(wanted) < numbers(has):
        yield f"{CONTROL_PLANE} is {wanted} and the control plane runs {has}: Kubernetes cannot go back. Set it to {has}, or higher"
    elif _minor(wanted)[0] != _minor(has)[0]:
        yield f"{CONTROL_PLANE} is {wanted} and the control plane runs {has}: no upgrade leads from one major version to another"
    elif _minor(wanted)[1] > _minor(has)[1] + 1:
        major, minor = _minor(has)
        yield (
            f"{CONTROL_PLANE} is {wanted} and the control plane runs {has}: kubeadm takes one minor version at a time. "
            f"Set it to a {major}.{minor + 1}, run this again, and then go on"
        )


def _skew(cluster: Cluster, machines: Sequence[Machine], targets: Targets) -> Iterable[str]:
    """Kubelets that would not go with the API, during the upgrade or after it."""
    wanted = targets.control_plane
    if numbers(targets.nodes) > numbers(wanted):
        yield f"{NODES} is {targets.nodes} and {CONTROL_PLANE} is {wanted}: nodes must not be newer than the API"
    elif _minor(wanted)[1] - _minor(targets.nodes)[1] > KUBELET_SKEW:
        yield (
            f"{NODES} is {targets.nodes} and {CONTROL_PLANE} is {wanted}: nodes may be {KUBELET_SKEW} minor versions behind the "
            f"API. Raise {NODES}, or drop it"
        )
    for machine in machines:
        has = machine.kubelet
        if not numbers(has):
            yield f"{machine.name} is no node of the cluster: run site.yml, or remove it from the inventory"
        elif _minor(has) > _minor(cluster.api):
            yield f"the kubelet of {machine.name} is {has} and the API {cluster.api}: put the older kubelet back"
        elif _minor(wanted)[1] - _minor(has)[1] > KUBELET_SKEW:
            yield (
                f"the kubelet of {machine.name} is {has}, and an API of {wanted} takes none that is more than {KUBELET_SKEW} minor "
                f"versions behind: set {CONTROL_PLANE} to {cluster.api}, run this for the nodes, and then go on"
            )


def _downgrades(machines: Sequence[Machine], targets: Targets) -> Iterable[str]:
    for machine in machines:
        for what, has, wanted, variable in (
            ("kubelet", machine.kubelet, targets.kubelet(machine), CONTROL_PLANE if machine.is_head else NODES),
            ("containerd", machine.containerd, targets.containerd, CONTAINERD),
            ("Docker", machine.docker, targets.docker, DOCKER),
        ):
            # Of the control plane itself it is said already.
            told = machine.is_head and what == "kubelet"
            if machine.is_asked and _differs(has, wanted) and numbers(wanted) < numbers(has) and not told:
                yield f"{variable} is {wanted} and {machine.name} runs {what} {has}: nothing goes back. Set it to {has}, or higher"


def _removed(cluster: Cluster, targets: Targets, accepted: Sequence[str]) -> Iterable[str]:
    for api in cluster.removed:
        if _minor(cluster.api) < _minor(api.release) <= _minor(targets.control_plane) and api.name not in accepted:
            yield (
                f"somebody asks the API for {api.name}, which Kubernetes {api.release} no longer has: find who does in the API's "
                f"audit log, or by `kubectl get --raw /metrics | grep apiserver_requested_deprecated_apis`, and change it; or, where "
                f"that is over, add it to site_upgrade_accepted_apis. The API remembers it until it is restarted"
            )


def _unhealthy(machines: Sequence[Machine]) -> Iterable[str]:
    """A node that is down before an upgrade would be taken for one that the upgrade broke."""
    for machine in machines:
        if numbers(machine.kubelet) and not machine.ready and not machine.turn:
            yield f"{machine.name} is not Ready ({machine.reason}): repair it first, or remove it from the site"


def _control_plane(cluster: Cluster, machines: Sequence[Machine], targets: Targets) -> list[Step]:
    """The snapshot and the control plane, where any of its parts has another version."""
    parts = {"API": cluster.api, "kubeadm's configuration": cluster.configured, "kube-proxy": cluster.proxy}
    heads = tuple(machine.name for machine in machines if machine.is_head and machine.is_asked)
    changes = tuple(
        f"{what} {has} to {targets.control_plane}"
        for what, has in parts.items()
        if _differs(has, targets.control_plane)
    )
    if not changes or not heads:
        return []
    return [
        Step("snapshot", heads[:1], ("a snapshot of etcd",), notices=("nobody notices",)),
        Step(
            "control_plane",
            heads,
            changes,
            notices=(
                "the API is away several times for some seconds: sessions go on, a launch waits, and may fail and work again a minute later",
                "certificates of the control plane are renewed",
            ),
        ),
    ]


def _notices(machine: Machine, drain: bool, sessions: str) -> list[str]:
    load = machine.load
    if not drain:
        return [f"{machine.name} is not emptied, as no other node takes its pods: they run on, and nothing new starts there meanwhile"]
    told = [f"{load.sessions} sessions on {machine.name} {sessions}"] if load.sessions else []
    told += [f"{load.builds} builds on {machine.name} are begun anew elsewhere"] if load.builds else []
    if load.parts:
        told.append(
            f"{', '.join(load.parts)} move from {machine.name}: for about half a minute nobody can log in or launch, and a proxy that "
            "moves breaks connections of sessions, which browsers open again"
        )
    return told or [f"{machine.name} has nothing that anybody would notice"]


def _node_step(batch: Sequence[Machine], machines: Sequence[Machine], targets: Targets, sessions: str) -> Step:
    names = {machine.name for machine in batch}
    drain = any(other.takes_pods and other.ready and other.name not in names for other in machines)
    return Step(
        "node",
        tuple(machine.name for machine in batch),
        tuple(
            f"{machine.name}: {', '.join(changes_of(machine, targets)) or 'to be brought to its end'}"
            for machine in batch
        ),
        drain,
        tuple(line for machine in batch for line in _notices(machine, drain, sessions)),
    )


def _batch_size(workers: Sequence[Machine], machines: Sequence[Machine], wanted: int) -> int:
    """As many as wanted, and one that takes pods has to stay."""
    takers = sum(machine.takes_pods or machine.turn for machine in machines)
    return max(1, min(wanted, takers - 1, len(workers)))


def make_plan(
    cluster: Cluster,
    machines: Sequence[Machine],
    targets: Targets,
    *,
    batch: int = 1,
    accepted: Sequence[str] = (),
    sessions: str = "are waited for",
) -> Plan:
    """Plan an upgrade.

    Args:
        cluster: what runs.
        machines: all nodes, in the order in which they are to have their turn; those whose turn has begun come first.
        targets: what is wanted.
        batch: how many workers at a time, at most; one node that takes pods is always left.
        accepted: removed APIs of which an admin says that nobody asks for them any more.
        sessions: what becomes of sessions on a node that is emptied.
    """
    for text in (targets.control_plane, targets.nodes):
        if not is_exact(text):
            return Plan((f"{text!r} is not exactly one version of Kubernetes: write three numbers",), (), ())
    problems = [
        *_jumps(cluster, targets),
        *_skew(cluster, machines, targets),
        *_downgrades(machines, targets),
        *_removed(cluster, targets, accepted),
        *_unhealthy(machines),
    ]
    waiting = [one for one in machines if one.is_asked and (one.turn or changes_of(one, targets))]
    steps = _control_plane(cluster, machines, targets)
    # A head's kubelet must not be newer than the API, so a run that leaves the heads out cannot take nodes further than it.
    if not steps and numbers(cluster.api) < numbers(targets.nodes) and waiting:
        problems.append(
            f"{NODES} is {targets.nodes} and the API {cluster.api}: the head comes first. Run this without --limit, or with the head in it"
        )
    heads = [one for one in waiting if one.is_head]
    workers = sorted((one for one in waiting if not one.is_head), key=lambda one: not one.turn)
    size = _batch_size(workers, machines, batch) if workers else 1
    groups = [[one] for one in heads] + [workers[at : at + size] for at in range(0, len(workers), size)]
    steps += [_node_step(group, machines, targets, sessions) for group in groups]
    touched = {name for step in steps for name in step.hosts}
    done = tuple(one.name for one in machines if one.is_asked and one.name not in touched)
    return Plan(tuple(problems), tuple(steps), done)
