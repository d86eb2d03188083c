# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the API said last, kept in a file, so that a restart needs no API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ironbinder_guard.config import Config, verdict
from ironbinder_guard.records import Record, read_json, write_json

PLUGIN = "ironbinder-guard"
# The network plugin is called seconds before the API knows of its address.
YOUNG_SECONDS = 60


class Pod(NamedTuple):
    """A pod of this node as the API has it. `address` is empty until it has one."""

    namespace: str
    name: str
    address: str
    created: float

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


class Known(NamedTuple):
    """What the API said last.

    `adopted` are names of pods that are good without a record: those that were there when the guard came. `hub_api` has the
    addresses of each hub's API by namespace. `seen_at` is when the API spoke last, in seconds since the epoch; 0 where nobody
    knows.
    """

    pods: list[Pod]
    adopted: list[str]
    hub_api: dict[str, list[str]]
    seen_at: float = 0.0


def read_known(state_dir: str) -> Known:
    """Read what the API said last; nothing where it was never asked."""
    try:
        data: dict[str, Any] = read_json(f"{state_dir}/api.json") or {}
        seen_at = float(data.get("seen_at", 0))
        return Known([Pod(*entry) for entry in data["pods"]], data["adopted"], data["hub_api"], seen_at)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Known([], [], {})


def write_known(state_dir: str, known: Known) -> None:
    """Keep what the API said."""
    write_json(
        f"{state_dir}/api.json",
        {**known._asdict(), "pods": [list(pod) for pod in known.pods]},
    )


def network_in_use(cni_config_dir: str) -> Path | None:
    """Give the file that describes the pods' network: the first by name, as containerd has it."""
    found = [path for path in Path(cni_config_dir).glob("*.conf*") if path.suffix in (".conf", ".conflist")]
    return min(found, key=lambda path: path.name, default=None)


def plugin_since(cni_config_dir: str) -> float:
    """Say since when pods are connected by way of the plugin, infinity where they are not."""
    file = network_in_use(cni_config_dir)
    try:
        return file.stat().st_mtime if file and f'"{PLUGIN}"' in file.read_text() else float("inf")
    except OSError:
        return float("inf")


def adopt(config: Config, pods: Iterable[Pod], before: Known, *, starting: bool) -> list[str]:
    """Name the pods that are good without a record of the plugin.

    Those of other namespaces; those that were adopted already; those that are older than the plugin; and, when the
    agent starts, all that are there.
    """
    since = plugin_since(config.cni_config_dir)
    return sorted(
        pod.full_name
        for pod in pods
        if starting
        or pod.namespace not in config.hubs
        or pod.created <= since
        or pod.full_name in before.adopted
    )


def strangers(config: Config, known: Known, records: Iterable[Record]) -> list[str]:
    """Say which pods of hubs were connected without the plugin, or have a name that no pod of a hub has."""
    recorded = {(record.namespace, record.name) for record in records}
    found = []
    for pod in known.pods:
        if pod.namespace not in config.hubs or not pod.address:
            continue
        if verdict(config, pod.namespace, pod.name) is None:
            found.append(f"pod {pod.full_name} is none of a hub's, and is denied everything")
        elif (pod.namespace, pod.name) not in recorded and pod.full_name not in known.adopted:
            found.append(
                f"pod {pod.full_name} was connected without the network plugin, and is denied everything"
            )
    return found


def stale(known: Known, records: Iterable[Record]) -> list[Record]:
    """Give the records of pods that are gone, for what nobody told the plugin.

    Only those that the API has had time to hear of since: what it said before a pod came says nothing of that pod.
    """
    pods = {(pod.namespace, pod.name): pod.address for pod in known.pods}
    return [
        record
        for record in records
        if record.made + YOUNG_SECONDS < known.seen_at
        and pods.get((record.namespace, record.name), "gone") not in ("", record.address)
    ]


def wanted_pods(config: Config, known: Known, records: Iterable[Record]) -> dict[str, str]:
    """Give the verdict of every address: as the API says of pods that were adopted, and over it what the plugin knew."""
    found: Mapping[str, tuple[str, str]] = {
        pod.address: (pod.namespace, pod.name)
        for pod in known.pods
        if pod.address and pod.full_name in known.adopted
    }
    found = {**found, **{record.address: (record.namespace, record.name) for record in records}}
    told = {address: verdict(config, *whose) for address, whose in found.items()}
    return {address: word for address, word in told.items() if word}
