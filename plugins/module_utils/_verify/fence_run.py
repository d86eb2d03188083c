# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A run of the probe matrix: find the targets, start the pods, collect what they found, and judge."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import (
    Cluster,
    Facts,
    as_cluster,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import Place, name_of
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_pods import (
    FenceError,
    Pods,
    order,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_published import namespaces
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_step import HOST_NETWORK
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import (
    given_targets,
    listener_targets,
    site_targets,
    without,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import (
    Report,
    Verdict,
    judge,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_rules import Peer
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import (
    TrustWish,
    argument,
    text,
    trust_part,
    trust_places,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_verdict import judge_trust

__all__ = ["Fences", "Wish", "lost"]

# A namespace that no hub has and every cluster does.
CONTROL_NAMESPACE = "default"
_NO_STEP = (
    "no machine ran a RUN step. Next: let a host that builds do it (fence_check_build_host), or take run out of "
    "site_fence_probe_origins"
)
_NO_OTHER = "no pod of another hub was tried, as there is no other hub (site_fence_probe_other_namespace makes one up)"


@dataclass(frozen=True)
class Wish:
    """What a run has to try, and from where.

    `roles` are those of FENCED to judge, none for no fence; `build_node` is the node whose Docker runs the RUN step. `nodes`
    limits those that run sessions, [] for all. `trust` is for the trust matrix, None for none of it.
    """

    facts: Facts
    image: str
    roles: Sequence[str] = ("session", "build", "run", "other", "unknown")
    build_node: str = ""
    nodes: Sequence[str] = ()
    targets: Sequence[Mapping[str, Any]] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    delay: float = 0
    ready_seconds: float = 180.0
    trust: Optional[TrustWish] = None


class Fences:
    """A run, in two halves: between them the machines do their part."""

    def __init__(self, api: KubeApi, clock: Clock) -> None:
        self._api, self._clock = api, clock

    def start(self, wish: Wish) -> dict[str, Any]:
        """Start all pods; return the run as plain data, for `finish` and for the machines.

        Raises:
            FenceError: a pod cannot be started.
            TargetError: the site's own targets are wrong.
            KubeError: the cluster does not answer.
        """
        cluster = self._cluster(wish.facts)
        run = secrets.token_hex(3)
        pods = Pods(self._api, run, wish.image, self._clock)
        nodes = [name for name in cluster.session_nodes if not wish.nodes or name in wish.nodes]
        if not nodes:
            raise FenceError("no node that is ready runs sessions: there is no place to try the fences from")
        first = wish.build_node if wish.build_node in nodes else nodes[0]
        builder = wish.build_node if wish.build_node in cluster.nodes else first
        places = self._places(wish, nodes, first, builder, run) if wish.roles else []
        trusting = trust_places(wish.facts, wish.trust, first, builder, run) if wish.trust else []
        namespaces = [*dict.fromkeys([place.namespace for place in [*places, *trusting]])]
        if wish.roles and wish.facts.other_namespace:
            self._make_namespace(wish.facts.other_namespace)
        pods.remove(namespaces, every_run=True)
        try:
            part = trust_part(wish.facts, wish.trust, wish.roles, wish.networks) if wish.trust else {}
            for place in trusting:
                asked_of = argument([Peer(**entry) for entry in part["peers"]])
                pods.start(place, asked_of, program=text())
            targets = [*site_targets(wish.facts, cluster), *given_targets(wish.targets, wish.facts)]
            if "run" in wish.roles:
                targets.append(Target(HOST_NETWORK, "host_network", "host", 0))
            targets += self._listeners(wish, pods, first, run) if wish.roles else []
            targets = without(targets, wish.skipped)
            for place in places:
                asked = _asked(targets, place.origin, first, wish)
                pods.start(place, order(asked, place.origin, wish.networks, wish.facts.addresses, wish.delay))
        except Exception:
            pods.remove(namespaces)
            raise
        return {
            "id": run,
            "image": wish.image,
            "machines": dict(wish.facts.machines),
            "remark": _NO_OTHER if self._alone(wish) else "",
            "roles": list(wish.roles),
            "build_node": builder,
            # What they are told may have a password, and they know it by now.
            "places": [replace(place, environment={}).as_dict() for place in [*places, *trusting]],
            "trust": part,
            "targets": [asdict(target) for target in targets],
            "networks": dict(wish.networks),
            "resolved": dict(wish.facts.addresses),
            "skipped": dict(wish.skipped),
        }

    def finish(
        self, run: Mapping[str, Any], machines: Sequence[Mapping[str, Any]], timeout_seconds: float
    ) -> Verdict:
        """Collect the pods' reports and those of machines, remove the pods, and judge. See `reports`."""
        return self.judge(run, self.reports(run, machines, timeout_seconds))

    def reports(
        self, run: Mapping[str, Any], machines: Sequence[Mapping[str, Any]], timeout_seconds: float
    ) -> list[Report]:
        """Collect the pods' reports and those of machines, and remove the pods.

        Args:
            run: as `start` gave it.
            machines: reports of machines as plain data, see `Report`.
            timeout_seconds: for the pods to end.
        """
        places = [Place.from_dict(entry) for entry in run["places"]]
        pods = Pods(self._api, run["id"], run["image"], self._clock)
        try:
            reports = pods.reports(places, timeout_seconds)
        finally:
            self.remove(run)
        reports += self.read(machines)
        if "run" in run["roles"] and not any(
            report.origin.role == "run" or (report.trouble and report.origin.role == "node")
            for report in reports
        ):
            reports.append(Report(Origin("run", "", run["build_node"]), trouble=_NO_STEP))
        return reports

    @staticmethod
    def read(machines: Sequence[Mapping[str, Any]]) -> list[Report]:
        """Read reports that are plain data."""
        return [Report(**{**entry, "origin": Origin(**entry["origin"])}) for entry in machines]

    @staticmethod
    def judge(run: Mapping[str, Any], reports: Sequence[Report]) -> Verdict:
        """Judge what all places found."""
        targets = [Target(**entry) for entry in run["targets"]]
        told = {"skipped": run["skipped"], "remark": run["remark"]}
        return judge(targets, reports, run["networks"], run["resolved"], **told)

    @staticmethod
    def judge_trust(run: Mapping[str, Any], reports: Sequence[Report]) -> Optional[Verdict]:
        """Judge what all places found of whom they trust; None where nobody was asked."""
        return judge_trust(run["trust"], reports) if run.get("trust") else None

    @staticmethod
    def asked_again(run: Mapping[str, Any], verdict: Verdict) -> list[str]:
        """Name the machines that may show what no other place could: where a firewall lets nobody else in. Each is asked once."""
        if run.get("asked"):
            return []
        dead = {cell.target for cell in verdict.cells if cell.verdict == "unproven"}
        addresses = {entry["address"] for entry in run["targets"] if entry["name"] in dead}
        return sorted(name for name, address in run["machines"].items() if address in addresses)

    def remove(self, run: Mapping[str, Any]) -> None:
        """Delete the pods of a run."""
        Pods(self._api, run["id"], run["image"], self._clock).remove(
            [entry["namespace"] for entry in run["places"]]
        )

    def _cluster(self, facts: Facts) -> Cluster:
        services = self._items("/api/v1/services")
        slices: list[Any] = []
        for namespace in namespaces(facts, services):
            slices += self._items(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
        return as_cluster(self._items("/api/v1/nodes"), services, slices)

    @staticmethod
    def _alone(wish: Wish) -> bool:
        """Whether pods of another hub should be tried, and there is none."""
        return "other" in wish.roles and not wish.facts.other_namespace and len(wish.facts.hubs) == 1

    def _items(self, path: str, **query: str) -> list[Any]:
        return (self._api.get(path, **query) or {}).get("items") or []

    def _make_namespace(self, name: str) -> None:
        if self._api.get(f"/api/v1/namespaces/{name}") is None:
            body = {"metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "ironbinder"}}}
            self._api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", **body})

    def _places(self, wish: Wish, nodes: Sequence[str], first: str, builder: str, run: str) -> list[Place]:
        """Choose the pods: sessions and their control on every node, as each has a fence of its own; the others on one.

        A build pod is where builds are, which may be a node without sessions; its own gateway then needs a control there too.
        """
        found: list[Place] = []

        def add(role: str, namespace: str, node: str, hub: str = "", release: str = "") -> None:
            found.append(Place(Origin(role, hub, node), namespace, name_of(role, run, len(found)), release))

        building = [builder] if {"build", "run"} & set(wish.roles) else []
        for node in dict.fromkeys([*nodes, *building]):
            add("control", CONTROL_NAMESPACE, node)
        for hub, settings in wish.facts.hubs.items():
            namespace, release = settings["namespace"], settings["release"]
            for node in nodes if "session" in wish.roles else []:
                add("session", namespace, node, hub, release)
            for role in ("build", "unknown"):
                if role in wish.roles:
                    add(role, namespace, builder if role == "build" else first, hub, release)
            add("core", namespace, first, hub, release)
        if "other" in wish.roles and wish.facts.other_namespace:
            add("other", wish.facts.other_namespace, first)
        return found

    def _listeners(self, wish: Wish, pods: Pods, node: str, run: str) -> list[Target]:
        found: list[Target] = []
        for number, (hub, settings) in enumerate(wish.facts.hubs.items()):
            name = name_of("session", run, 100 + number)
            place = Place(Origin("session", hub, node), settings["namespace"], name, settings["release"])
            address, ipv6 = pods.listen(place, wish.ready_seconds)
            prefix = f"{hub}: " if len(wish.facts.hubs) > 1 else ""
            found += listener_targets(hub, prefix, address, ipv6)
        return found


def _asked(targets: Sequence[Target], origin: Origin, first: str, wish: Wish) -> list[Target]:
    """Choose what a place tries: what is judged there, and of controls no more than a proof takes.

    One pod without a fence shows that a target is alive; one on every node would look like an attack from all of them.
    """

    def judged(target: Target) -> Optional[bool]:
        return expected(target, origin, wish.networks, wish.facts.addresses)

    if origin.role == "control" and origin.node != first:
        return [target for target in targets if target.local or judged(target) is not None]
    if origin.role == "core":
        return [target for target in targets if judged(target) is not None]
    return list(targets)


def lost(machine: str) -> dict[str, Any]:
    """Give the report of a machine that could not be asked, as plain data."""
    return asdict(Report(Origin("node", "", machine), trouble="Ansible does not reach this machine"))
