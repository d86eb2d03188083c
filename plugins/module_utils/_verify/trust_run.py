# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a run of the probes does for the trust matrix: whom to ask, from which pods, and by which programs on machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.travelling import program_of
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import (
    BUNDLE_FILE,
    BUNDLE_VARIABLES,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import trust_program
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import Facts
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import Place, name_of
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import Origin
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import TargetError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_rules import (
    DAEMONS,
    PLACES,
    Peer,
    git_url,
    peers,
)

__all__ = ["TrustWish", "argument", "passwords", "text", "trust_part", "trust_places"]


@dataclass(frozen=True)
class TrustWish:
    """What the trust matrix has to know of a site besides its facts.

    `base_image` is what people's images are built on, "" for repo2docker's own; `mounts_bundle` says that build pods mount their
    node's bundle; `build_environment` is what they are told besides; `extra_hosts` are {address: [name, ...]} of RUN steps.
    `skipped` are peers that are not asked, with reasons.
    """

    plain_registry: bool = False
    provider: str = ""
    spec: str = ""
    base_image: str = ""
    mounts_bundle: bool = False
    build_environment: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


def text() -> str:
    """Return the program that asks."""
    return program_of(trust_program)


def argument(known: Sequence[Peer]) -> str:
    """Return its argument."""
    told = [{"name": peer.name, "url": peer.url} for peer in known]
    return json.dumps({"targets": told}, separators=(",", ":"))


def passwords(environment: Mapping[str, str]) -> set[str]:
    """Return the values that may have a password, as a proxy's URL may. Others are addresses, which a report is full of."""
    return {str(value) for value in environment.values() if "@" in str(value)}


def _known(facts: Facts, wish: TrustWish) -> list[Peer]:
    found = peers(facts, plain_registry=wish.plain_registry, git=git_url(wish.provider, wish.spec))
    names = [peer.name for peer in found]
    unknown = sorted(set(wish.skipped) - set(names))
    silent = sorted(name for name, reason in wish.skipped.items() if not str(reason).strip())
    if unknown or silent:
        fault = (
            f"names {', '.join(unknown)}, which is none of {', '.join(names)}"
            if unknown
            else f"gives no reason for {', '.join(silent)}: write why that is right here"
        )
        raise TargetError(f"site_trust_check_skipped {fault}")
    return [peer for peer in found if peer.name not in wish.skipped]


def trust_part(
    facts: Facts, wish: TrustWish, enforced: Sequence[str], networks: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """Return the part `trust` of a run, as plain data.

    Raises:
        TargetError: `skipped` names what is no peer, or gives no reason.
    """
    promised = ["node", *DAEMONS, "binder", "hub", "build"]
    return {
        "peers": [asdict(peer) for peer in _known(facts, wish)],
        "places": list(PLACES),
        "enforced": list(enforced),
        # What people start from without a base of the site's is theirs to choose.
        "promised": [*promised, "run", "session"] if wish.base_image else promised,
        "networks": dict(networks),
        "resolved": dict(facts.addresses),
        "base_image": wish.base_image,
        "extra_hosts": {address: list(names) for address, names in wish.extra_hosts.items()},
        "hubs": {name: settings["namespace"] for name, settings in facts.hubs.items()},
        "skipped": dict(wish.skipped),
    }


def trust_places(facts: Facts, wish: TrustWish, session_node: str, build_node: str, run: str) -> list[Place]:
    """Choose the pods: what a session of each hub and a build pod of it trusts."""
    found = []
    bundle = BUNDLE_FILE if wish.mounts_bundle else ""
    environment = dict(wish.build_environment)
    if bundle:
        environment |= dict.fromkeys(BUNDLE_VARIABLES, bundle)
    for number, (hub, settings) in enumerate(facts.hubs.items()):
        namespace, release = settings["namespace"], settings["release"]
        more: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("session", session_node, {"image": wish.base_image}),
            ("build", build_node, {"bundle": bundle, "environment": environment}),
        )
        for role, node, given in more:
            name = name_of(role, run, 200 + 2 * number + (role == "build"))
            found.append(Place(Origin(role, hub, node), namespace, name, release, about="trust", **given))
    return found
