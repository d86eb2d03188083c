# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a session may use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import some_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_mapping,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import WORKER_MEMORY_MB
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

CPU = "site_session_cpu_limit"
MEMORY = "site_session_memory_limit"
DISK = "site_session_ephemeral_storage_limit"
# What is bounded, and what is guaranteed of it.
PAIRS = {
    CPU: "site_session_cpu_guarantee",
    MEMORY: "site_session_memory_guarantee",
    DISK: "site_session_ephemeral_storage_guarantee",
}
EXAMPLES = {CPU: "1.0", MEMORY: "2G", DISK: "4Gi"}
COUNTS = ("site_session_pids_limit", "site_session_max_age_seconds")
# https://jupyterhub.readthedocs.io/en/stable/reference/api/spawner.html#jupyterhub.spawner.Spawner.mem_limit
BINARY = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
QUANTITIES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{unit}i": size for unit, size in BINARY.items() if unit
}


def _amount(variable: str, value: Any) -> float | None:
    """Read a limit or a guarantee: processors or bytes; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    units = QUANTITIES if "storage" in variable else {} if "cpu" in variable else BINARY
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]{0,2})", str(value).strip())
    unit = units.get(found[2]) if found and units else 1 if found and not found[2] else None
    return float(found[1]) * unit if found and unit else None


def _amounts(site: Site, variable: str) -> float | None:
    return _amount(variable, site.values.get(variable))


def _shown(value: float, variable: str) -> str:
    return f"{value:g} processors" if "cpu" in variable else f"{value / 1e9:.1f} GB"


@rule(
    "session-amount-malformed",
    ERROR,
    "A limit or a guarantee of a session is no amount.",
    acceptable=False,
)
def session_amount_malformed(site: Site) -> Iterator[Problem]:
    for limit, guarantee in PAIRS.items():
        for variable in (limit, guarantee):
            value = site.values.get(variable)
            amount = _amounts(site, variable)
            # A type that is wrong has a rule of its own.
            odd = amount is None and isinstance(value, (str, int, float))
            if (odd or (variable == limit and amount == 0)) and not isinstance(value, bool):
                yield Problem(
                    f"is {str(value)[:30]!r}, and every session would be refused",
                    f"write an amount such as {EXAMPLES[limit]}",
                    variable,
                )
    for variable in COUNTS:
        value = site.values.get(variable)
        if isinstance(value, int) and value < 0:
            yield Problem(f"is {value}", "write a whole number, 0 for no bound", variable)


@rule(
    "session-guarantee-above-limit",
    ERROR,
    "A session is guaranteed more than it may use.",
    acceptable=False,
)
def session_guarantee_above_limit(site: Site) -> Iterator[Problem]:
    for limit, guarantee in PAIRS.items():
        most, sure = _amounts(site, limit), _amounts(site, guarantee)
        if most and sure is not None and sure > most:
            yield Problem(
                f"is {site.values[guarantee]}, and {limit} is {site.values[limit]}: Kubernetes refuses such a session",
                "raise the limit, or lower the guarantee",
                guarantee,
            )


def _has(host: Host, variable: str) -> float:
    """What a node has of what a limit bounds; 0 where that is not known."""
    if variable == CPU:
        return as_int(host.facts.get("processor_vcpus"))
    if variable == MEMORY:
        memory = as_int(host.facts.get("memtotal_mb"))
        # A node that is too small for anything has a rule of its own.
        return memory * float(1 << 20) if memory >= WORKER_MEMORY_MB else 0.0
    return as_int(as_mapping(host.probe.get("disk")).get("size_mb")) * 1e6


@rule("session-limit-above-node", ERROR, "A session may use more than a whole node has.")
def session_limit_above_node(site: Site) -> Iterator[Problem]:
    for limit in PAIRS:
        most = _amounts(site, limit)
        users = [host for host in site.seen("head", "workers") if "user" in site.purposes(host)]
        small = sorted(
            (_has(host, limit), host.name) for host in users if most and 0 < _has(host, limit) < most
        )
        if most and small:
            yield Problem(
                f"is {site.values[limit]} ({_shown(most, limit)}), and the node has {_shown(small[0][0], limit)}: one session "
                "could take all of it from the others",
                "lower the limit, or take the node out of those for user (site_node_purposes)",
                limit,
                some_hosts([name for _, name in small]),
            )
