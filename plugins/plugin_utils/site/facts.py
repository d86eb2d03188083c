# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The part of Ansible's facts and of a hub's values that the rules read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.failures import failure_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    CALLBACK_WAYS,
    MISPLACED_SECRETS,
)

__all__ = ["reduce_facts", "reduce_hubs", "state_of"]

PLAIN = (
    "distribution",
    "distribution_version",
    "architecture",
    "memtotal_mb",
    "processor_vcpus",
    "hostname",
    "nodename",
    "fqdn",
    "python_version",
    "virtualization_type",
)

# Ways into a hub's values that a rule reads. Nothing else leaves the inventory: people put secrets there.
HUB_WAYS = (
    "imageBuilderType",
    "config.BinderHub.auth_enabled",
    "jupyterhub.hub.config.BinderSpawner.auth_enabled",
    *CALLBACK_WAYS,
    "jupyterhub.hub.config.JupyterHub.authenticator_class",
    "jupyterhub.hub.db.pvc.storageClassName",
    "jupyterhub.hub.db.type",
    "jupyterhub.hub.image.name",
    "jupyterhub.hub.image.tag",
    "networkPolicy.enabled",
    "dind.networkPolicy.enabled",
    "jupyterhub.hub.networkPolicy.enabled",
    "jupyterhub.proxy.chp.networkPolicy.enabled",
    "jupyterhub.singleuser.networkPolicy.enabled",
)
SHOWN_CHARACTERS = 200


def _interface(name: str, entry: Mapping[str, Any]) -> list[dict[str, str]]:
    told = []
    for address in [entry.get("ipv4"), *as_list(entry.get("ipv4_secondaries"))]:
        known = as_mapping(address)
        try:
            cidr = str(IPv4Interface(f"{known.get('address')}/{known.get('netmask')}"))
        except ValueError:
            cidr = ""
        told.append({"name": name, "mac": as_text(entry.get("macaddress")), "cidr": cidr})
    return told


def reduce_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Give the facts that rules read, with the interfaces as [{name, mac, cidr}]."""
    told = {name: facts[name] for name in PLAIN if name in facts}
    interfaces = []
    for name in as_list(facts.get("interfaces")):
        # Ansible writes the facts of br-1 under br_1.
        interfaces += _interface(str(name), as_mapping(facts.get(str(name).replace("-", "_"))))
    return {
        **told,
        "interfaces": interfaces,
        "gateway": as_mapping(facts.get("default_ipv4")).get("gateway"),
        "nameservers": [as_text(entry) for entry in as_list(as_mapping(facts.get("dns")).get("nameservers"))],
    }


def _reduce_values(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return type(values).__name__
    told: dict[str, Any] = {}
    for way in HUB_WAYS:
        found: Any = values
        for key in way.split("."):
            found = as_mapping(found).get(key)
        if found is not None:
            inner = told
            *parents, last = way.split(".")
            for key in parents:
                inner = inner.setdefault(key, {})
            inner[last] = found if isinstance(found, (bool, int)) else str(found)[:SHOWN_CHARACTERS]
    return told


def _reduce_auth(auth: Any) -> Any:
    """Leave of what is secret, and has no place there, that it is there."""
    if not isinstance(auth, Mapping):
        return auth
    return {key: type(value).__name__ if key in MISPLACED_SECRETS else value for key, value in auth.items()}


_REDUCED: dict[str, Callable[[Any], Any]] = {
    "secret_values": lambda value: {} if isinstance(value, Mapping) else type(value).__name__,
    "values": _reduce_values,
    "auth": _reduce_auth,
}


def reduce_hubs(hubs: Any) -> Any:
    """Give `site_hubs` without the values that no rule reads, and without any secret."""
    if not isinstance(hubs, Mapping):
        return hubs
    return {
        name: {key: _REDUCED[key](value) if key in _REDUCED else value for key, value in hub.items()}
        if isinstance(hub, Mapping)
        else hub
        for name, hub in hubs.items()
    }


def state_of(
    facts: Mapping[str, Any], asked: Mapping[str, Any] | None, probed: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Say what came of looking at a host.

    Args:
        facts: its facts, maybe from a cache.
        asked: the registered result of gathering facts, None where the host was not asked.
        probed: the registered result of the probe, likewise.

    Returns:
        (state, message) as in `Host`.
    """
    if asked is None:
        return "unasked", ""
    for result in (asked, probed or {}):
        if result.get("unreachable") is True:
            return "unreachable", str(result.get("msg") or "")
    if asked.get("skipped") is True:
        return "unaddressed", ""
    if not facts.get("distribution"):
        return "failed", failure_of(asked)
    return "seen", ""
