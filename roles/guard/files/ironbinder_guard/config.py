# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the site says about the guard of this node.

Read by the network plugin for every pod, so nothing here imports more than it has to.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Optional

CONFIG_FILE = "/etc/ironbinder/guard.json"


class Hub(NamedTuple):
    """A hub by its name and that of its Helm release, which begins the names of some of its pods."""

    name: str
    release: str


class Config(NamedTuple):
    """The content of guard.json.

    `hubs` is by namespace. `sets` has, for each set of the table, addresses, networks, "first-last" and host names.
    `core_pods` and `build_pods` are beginnings of pods' names, in which {release} stands for the hub's release.
    """

    node_name: str
    hubs: dict[str, Hub]
    core_pods: tuple[str, ...]
    build_pods: tuple[str, ...]
    sets: dict[str, list[str]]
    service_subnet: str
    rules_file: str
    state_dir: str
    kubeconfig: str
    cni_config_dir: str
    nft: str


class ConfigError(Exception):
    """guard.json cannot be used. Its text says why and what to do."""


def read_config(path: str = CONFIG_FILE) -> Config:
    """Read the configuration. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 pathlib would cost every pod some milliseconds
            data: dict[str, Any] = json.load(file)
        hubs = {entry["namespace"]: Hub(name, entry["release"]) for name, entry in data["hubs"].items()}
        # A newer role may have written more: the plugin of a moment ago still has to work with it.
        return Config(
            **{
                **{name: data[name] for name in Config._fields},
                "hubs": hubs,
                "core_pods": tuple(data["core_pods"]),
                "build_pods": tuple(data["build_pods"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} cannot be used ({type(error).__name__}: {error}): run the stage cluster for this node again"
        ) from error


def verdict(config: Config, namespace: str, name: str) -> Optional[str]:
    """Say what becomes of a pod's packets, in nftables' words; None where nobody knows the pod.

    Pods of namespaces without a hub are left alone. In a hub's namespace a pod has to be a session, a build pod or one
    of the chart's own.
    """
    hub = config.hubs.get(namespace)
    if hub is None:
        return "accept"
    # The spawner and the builder name their pods, people cannot choose another beginning.
    if name.startswith("jupyter-"):
        return f"goto session_{hub.name}"
    if name.startswith(tuple(text.format(release=hub.release) for text in config.build_pods)):
        return "goto build"
    if name.startswith(tuple(text.format(release=hub.release) for text in config.core_pods)):
        return "accept"
    return None
