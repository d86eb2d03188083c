# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The part of Ansible's facts and of a hub's values that the rules read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.failures import failure_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.launch_values import TOKEN_WAYS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_list,
    as_mapping,
    as_text,
    look_up,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    CALLBACK_WAYS,
    KINDS,
    MISPLACED_SECRETS,
    OWN_WAYS,
    own_traits,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import DELETION_WAYS

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
    *OWN_WAYS,
    *CALLBACK_WAYS,
    *TOKEN_WAYS,
    *DELETION_WAYS,
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
# Of secret values a rule reads whether something is there.
SECRET_WAYS = (*OWN_WAYS, *CALLBACK_WAYS, *DELETION_WAYS)
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


def _of_kind(value: Any) -> Any:
    """Give what may be secret as the name of its type. Of true and false nobody makes a secret."""
    return value if isinstance(value, bool) else type(value).__name__


def _nested(ways: Mapping[str, Any]) -> dict[str, Any]:
    """Give values by their dotted ways as mappings in mappings, without those that are nothing."""
    told: dict[str, Any] = {}
    for way, value in ways.items():
        inner = told
        *parents, last = way.split(".")
        for key in parents if value is not None else ():
            inner = inner.setdefault(key, {})
        if value is not None:
            inner[last] = value
    return told


def _shown(way: str, value: Any) -> Any:
    """Give a value to be shown; of what is secret, and has no place there, that it is there."""
    if way in TOKEN_WAYS:
        return type(value).__name__ if value else None
    return value if value is None or isinstance(value, (bool, int)) else str(value)[:SHOWN_CHARACTERS]


def _reduce_values(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return type(values).__name__
    shown = {way: _shown(way, look_up(values, way)) for way in HUB_WAYS}
    return _nested({**shown, **_traits(values)})


def _reduce_secret_values(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return type(values).__name__
    given = {way: look_up(values, way) for way in SECRET_WAYS}
    there = {way: _of_kind(value) for way, value in given.items() if value is not None}
    return _nested({**there, **_traits(values)})


def _traits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give what says who may come in, of which some is secret wherever it stands."""
    return {way: _of_kind(value) for way, value in own_traits(values, KINDS.values()) if value is not None}


def _reduce_auth(auth: Any) -> Any:
    """Leave of what is secret, and has no place there, that it is there."""
    if not isinstance(auth, Mapping):
        return auth if auth is None else type(auth).__name__
    return {
        key: type(value).__name__
        if key in MISPLACED_SECRETS
        else _reduce_endpoints(value)
        if isinstance(value, Mapping)
        else value
        for key, value in auth.items()
    }


def _reduce_endpoints(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if key in ENDPOINTS else type(value).__name__ for key, value in given.items()}


_REDUCED: dict[str, Callable[[Any], Any]] = {
    "secret_values": _reduce_secret_values,
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
