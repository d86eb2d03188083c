# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom a node, its daemons, a RUN step on it, and the pods of the hubs trust: asked from machines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Runner, run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._net.docker_hub import account_key
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_pods import read_report
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import Origin
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_step import (
    build,
    probe_from_here,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_rules import (
    MISSING_IMAGE,
    Peer,
    daemon_outcome,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import argument, text

__all__ = ["Account", "from_build", "from_daemons", "from_hubs", "from_node"]

_TAG = "ironbinder-trust-check"
TLS_PORT = ":443"
_ADMIN = "/etc/kubernetes/admin.conf"
_EXEC_SECONDS, _REMOVE_SECONDS = 40.0, 30.0
# Docker's client writes these of its configuration into every build, as BinderHub's builder has them; a password in an argument
# would be in the list of processes: https://docs.docker.com/engine/cli/proxy/#configure-the-docker-client
_PROXIES = {"http_proxy": "httpProxy", "https_proxy": "httpsProxy", "no_proxy": "noProxy"}

Ask = Callable[[str], str]


class Account:
    """Who pulls the base of a RUN step. Nobody without a name."""

    def __init__(self, registry: str, username: str, password: str) -> None:
        secret = base64.b64encode(f"{username}:{password}".encode()).decode()
        # Images' names may leave out a port that is TLS' own.
        names = (registry, registry[: -len(TLS_PORT)] if registry.endswith(TLS_PORT) else registry)
        self._auths = {account_key(name): {"auth": secret} for name in names} if username else {}

    def config(self, environment: Mapping[str, str]) -> str:
        """Give what Docker's client is told, with the proxies of an environment; "" for nothing."""
        proxies = {_PROXIES[name]: value for name, value in environment.items() if name in _PROXIES}
        parts = {"auths": self._auths, "proxies": {"default": proxies} if proxies else {}}
        told = {name: part for name, part in parts.items() if part}
        return json.dumps(told) if told else ""


def _known(part: Mapping[str, Any]) -> list[Peer]:
    return [Peer(**entry) for entry in part["peers"]]


def from_node(part: Mapping[str, Any], node: str, run: Runner = run_command) -> Report:
    """Ask by the node's own Python, which trusts the node's bundle, as its package manager does."""
    found = probe_from_here(Origin("node", "", node), argument(_known(part)), run, text())
    return replace(found, about="trust")


def from_daemons(part: Mapping[str, Any], node: str, asks: Mapping[str, Ask]) -> list[Report]:
    """Let the daemons of a node ask registry and mirror for an image that nobody has.

    Args:
        part: the part `trust` of a run.
        node: of the daemons.
        asks: what asks each for an image and gives its words, by column.
    """
    asked = [peer for peer in _known(part) if peer.kind in ("registry", "mirror")]

    def report(daemon: str) -> Report:
        found = {
            peer.name: daemon_outcome(peer, asks[daemon](f"{peer.place}/{MISSING_IMAGE}")) for peer in asked
        }
        return Report(Origin(daemon, "", node), found, about="trust")

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(report, asks)) if asked else []


def from_build(
    part: Mapping[str, Any],
    node: str,
    image: str,
    account: Account,
    *,
    environment: Mapping[str, str],
    run: Runner = run_command,
) -> Report:
    """Ask from a RUN step on the site's base, which is told what a real one is told: names, and proxies.

    Args:
        part: the part `trust` of a run.
        node: where it is built.
        image: what it starts from where the site has no base of its own.
        account: that may pull the base.
        environment: of build pods; a RUN step is told its proxies.
        run: runs commands.
    """
    origin = Origin("run", "", node)
    options: list[str] = []
    for address, names in part["extra_hosts"].items():
        options += [word for name in names for word in ("--add-host", f"{name}:{address}")]
    step = json.dumps(["python3", "-c", text(), argument(_known(part))])
    done = build(
        part["base_image"] or image,
        [f"RUN {step}"],
        _TAG,
        run,
        options=options,
        config=account.config(environment),
    )
    run(["docker", "image", "rm", "--force", _TAG], _REMOVE_SECONDS)
    trouble = (
        f"docker build on {part['base_image'] or image} ended with {done.rc}: {done.said[-400:]}"
        if done.rc
        else ""
    )
    return replace(read_report(origin, done.stdout + done.stderr, trouble), about="trust")


def from_hubs(
    part: Mapping[str, Any], deployments: Sequence[str] = ("binder", "hub"), run: Runner = run_command
) -> list[Report]:
    """Run the program in the pods of BinderHub and the hub themselves, from a head: no copy of theirs is asked.

    Args:
        part: the part `trust` of a run.
        deployments: those of the chart, which are called like their columns.
        run: runs commands.
    """
    inside = ["python3", "-c", text(), argument(_known(part))]

    def report(place: tuple[str, str, str]) -> Report:
        hub, namespace, name = place
        way = [
            "kubectl",
            "--kubeconfig",
            _ADMIN,
            "--namespace",
            namespace,
            "exec",
            f"deployment/{name}",
            "--",
        ]
        done = run([*way, *inside], _EXEC_SECONDS)
        trouble = f"kubectl exec in {namespace}/{name} ended with {done.rc}: {done.said[-300:]}"
        return replace(read_report(Origin(name, hub), done.stdout, trouble), about="trust")

    places = [(hub, namespace, name) for hub, namespace in part["hubs"].items() for name in deployments]
    with ThreadPoolExecutor(max(1, len(places))) as pool:
        return list(pool.map(report, places))
