# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Give nodes the labels and taints that they are to have, and wait until all are ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.nodes import (
    Node,
    late,
    list_nodes,
    read_node,
    too_late,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, forgive

__all__ = ["NodeKeeper", "TaintWish", "Wish", "differences"]


@dataclass(frozen=True)
class TaintWish:
    """A taint to have or, where not `present`, not to have. A node has one of a key and effect."""

    key: str
    effect: str
    value: str = ""
    present: bool = True


@dataclass(frozen=True)
class Wish:
    """What a node is to have. Labels and taints that are not named stay as they are; None takes a label off."""

    name: str
    labels: Mapping[str, Optional[str]] = field(default_factory=dict)
    taints: Sequence[TaintWish] = ()


def differences(node: Node, wish: Wish) -> dict[str, Any]:
    """Return the merge patch that makes `node` as wished, {} where it is.

    A list is replaced as a whole, so a patch of taints holds the version that it was made from: the API refuses
    it (409) where somebody, the node controller for example, has changed the node since.
    """
    patch: dict[str, Any] = {}
    labels = {key: value for key, value in wish.labels.items() if node.labels.get(key) != value}
    if labels:
        patch["metadata"] = {"labels": labels}
    taints = [dict(entry) for entry in node.taints]
    for one in wish.taints:
        has = next((entry for entry in taints if _is(entry, one)), None)
        if has and (not one.present or has.get("value", "") != one.value):
            taints.remove(has)
            has = None
        if one.present and not has:
            taints.append(
                {"key": one.key, "effect": one.effect, **({"value": one.value} if one.value else {})}
            )
    if taints != [dict(entry) for entry in node.taints]:
        patch["spec"] = {"taints": taints}
        patch.setdefault("metadata", {})["resourceVersion"] = node.version
    return patch


def _is(entry: Mapping[str, str], wish: TaintWish) -> bool:
    return (entry.get("key"), entry.get("effect")) == (wish.key, wish.effect)


def _shown(node: Optional[Node], wish: Wish) -> dict[str, Any]:
    """Return what a person wants to see of a node: the labels and taints that are wished for, as they are."""
    if node is None:
        return {}
    labels = {key: node.labels[key] for key in sorted(wish.labels) if key in node.labels}
    taints = [
        f"{entry['key']}={entry.get('value', '')}:{entry['effect']}"
        for entry in node.taints
        if any(_is(entry, one) for one in wish.taints)
    ]
    return {"labels": labels, "taints": sorted(taints)}


class NodeKeeper:
    """Brings nodes to what is wished for. What it did is known also after an error."""

    def __init__(self, wishes: Sequence[Wish], not_on_all: Sequence[str] = ()) -> None:
        """Take what is wanted.

        Args:
            wishes: what each node is to have.
            not_on_all: labels that at least one node of the cluster has to be without; where every node has
                one, it is taken off the first, by name.
        """
        self._wishes, self._not_on_all = wishes, not_on_all
        self.names = [wish.name for wish in wishes]
        self.nodes: dict[str, Node] = {}
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}

    @property
    def changed(self) -> bool:
        """Whether any node was changed, or would be."""
        return self.before != self.after

    def predict(self, api: KubeApi) -> list[str]:
        """Look once, change nothing, and return what is not there yet; `before` and `after` say what a run does.

        Raises:
            KubeError: the API does not answer, or refuses.
        """
        self.nodes = list_nodes(api)
        missing = late(self.nodes, self.names, "registered")
        for wish in self._wishes if missing else self._complete():
            node = self.nodes.get(wish.name)
            if node is None or differences(node, wish):
                self._note(wish, node, _wished(node, wish))
        return missing

    def expect_all(self) -> None:
        """Say what a run will do to a cluster that is not there yet."""
        for wish in self._wishes:
            self._note(wish, None, _wished(None, wish))

    def settle(self, api: KubeApi, until: str, *, timeout_seconds: float, clock: Clock) -> None:
        """Patch what differs and wait until all named nodes are as far as `until`, a key of `nodes.UNTIL`.

        Raises:
            NodesError: some are not so far in time; each is named with its reason.
            KubeError: the API is away for longer than it may be, or refuses.
        """
        waited = wait_until(
            lambda _seconds: self._look(api, until),
            lambda problems: not problems,
            clock=clock,
            timeout_seconds=timeout_seconds,
            forgive=forgive,
        )
        if not waited.done:
            raise too_late(waited.seen, waited.seconds)

    def _look(self, api: KubeApi, until: str) -> list[str]:
        """Change what differs once all nodes are there, and return what is still to come."""
        self.nodes = list_nodes(api)
        missing = late(self.nodes, self.names, "registered")
        if missing:
            return missing
        contested = []
        for wish in self._complete():
            node = self.nodes[wish.name]
            patch = differences(node, wish)
            if not patch:
                continue
            try:
                now = read_node(api.patch(f"/api/v1/nodes/{wish.name}", patch))
            except KubeError as error:
                if error.status != 409:
                    raise
                contested.append(f"{wish.name} is changed by somebody else at every attempt: {error.message}")
                continue
            self._note(wish, node, now)
            self.nodes[wish.name] = now
        return contested + late(self.nodes, self.names, until)

    def _complete(self) -> list[Wish]:
        """Return the wishes with what depends on all nodes; all that are wished for have to be there."""
        wishes = {wish.name: wish for wish in self._wishes}
        for label in self._not_on_all:
            if self.nodes and all(label in node.labels for node in self.nodes.values()):
                first = min(self.nodes)
                wish = wishes.get(first, Wish(first))
                wishes[first] = replace(wish, labels={**wish.labels, label: None})
        return list(wishes.values())

    def _note(self, wish: Wish, before: Optional[Node], after: Node) -> None:
        self.before.setdefault(wish.name, _shown(before, wish))
        self.after[wish.name] = _shown(after, wish)


def _wished(node: Optional[Node], wish: Wish) -> Node:
    """Return a node as it will be."""
    node = node or Node(wish.name, "", "", False, "")
    patch = differences(node, wish)
    labels = {**node.labels, **(patch.get("metadata", {}).get("labels") or {})}
    return replace(
        node,
        labels={key: value for key, value in labels.items() if value is not None},
        taints=patch.get("spec", {}).get("taints", node.taints),
    )
