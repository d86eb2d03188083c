# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a session may use."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import some_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.node_faults import (
    CPU_LIMIT,
    DISK_LIMIT,
    MEMORY_LIMIT,
    limit_exceeds,
    node_has,
    session_amount,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

# What is bounded, and what is guaranteed of it.
PAIRS = {
    CPU_LIMIT: "site_session_cpu_guarantee",
    MEMORY_LIMIT: "site_session_memory_guarantee",
    DISK_LIMIT: "site_session_ephemeral_storage_guarantee",
}
GOOD_VALUES = {CPU_LIMIT: "1.0", MEMORY_LIMIT: "2G", DISK_LIMIT: "4Gi"}
COUNTS = ("site_session_pids_limit", "site_session_max_age_seconds")


def _amounts(site: Site, variable: str) -> float | None:
    return session_amount(variable, site.values.get(variable))


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
                    f"write an amount such as {GOOD_VALUES[limit]}",
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


@rule("session-limit-above-node", ERROR, "A session may use more than a whole node has.")
def session_limit_above_node(site: Site) -> Iterator[Problem]:
    users = [host for host in site.seen("head", "workers") if "user" in site.purposes(host)]
    for limit in PAIRS:
        most = _amounts(site, limit)
        small = sorted(
            (node_has(site, host, limit), host.name) for host in users if limit_exceeds(site, host, limit)
        )
        if most and small:
            yield Problem(
                f"is {site.values[limit]} ({_shown(most, limit)}), and the node has {_shown(small[0][0], limit)}: one session "
                "could take all of it from the others",
                "lower the limit, or take the node out of those for user (site_node_purposes)",
                limit,
                some_hosts([name for _, name in small]),
            )
