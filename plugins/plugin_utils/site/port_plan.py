# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which ports a machine opens for preflight, which it tries, and which packets its firewall is asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from itertools import islice
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flow_places import EXTRA_HOSTS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import (
    CONTROLLER,
    PODS,
    VARIABLES,
    attempts,
    expected,
    flows_to,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues

__all__ = ["ANSWERS", "LISTEN_SECONDS", "flow_site", "listen_seconds", "packets", "tried", "wanted_listeners"]

# From a machine's answer to the end of the slowest one's attempts; each further batch of machines takes its time.
LISTEN_SECONDS, BATCH_SECONDS, MOST_SECONDS = 20.0, 6.0, 120.0
# An attempt that begins so shortly before the deadline may find nobody.
MARGIN_SECONDS = 6.0
# What a session listens on, and the bridge that role pod_network makes.
SESSION_PORT, PODS_BRIDGE = 8888, "cni0"
# Like those that a machine asks others from.
SOME_PORT = 50000
# Name of the packet without which a machine's own attempts prove nothing.
ANSWERS = "answers to what it asks itself"


def flow_site(values: SiteValues) -> Site:
    """Give as much of the site as its list of flows is made of. A value that cannot be computed counts as not there."""
    told = {name: values.find(name, default=None) for name in (*VARIABLES, EXTRA_HOSTS)}
    return Site.from_data(
        {
            "values": {name: value for name, value in told.items() if value is not None},
            "groups": values.groups,
        }
    )


def listen_seconds(hosts: int, forks: int) -> float:
    """Say how long ports answer, where `forks` of `hosts` machines are looked at at once."""
    return min(MOST_SECONDS, LISTEN_SECONDS + BATCH_SECONDS * ((hosts - 1) // max(1, forks)))


def wanted_listeners(site: Site, host: str) -> list[dict[str, Any]]:
    """Give the ports that a machine opens, as module site_probe takes them."""
    return [
        {"protocol": protocol, "port": port, "expected": names}
        for (protocol, port), names in expected(site, host).items()
    ]


def _pods(site: Site) -> list[str]:
    """Two addresses of the pods' range that are likely to be pods'."""
    try:
        return [str(address) for address in islice(ip_network(site.text("site_pod_subnet")).hosts(), 4, 6)]
    except ValueError:
        return []


def packets(site: Site, host: str, address: Callable[[str], str]) -> dict[str, dict[str, Any]]:
    """Give what a machine's rules are asked about, {name: packet}, see `nft_verdict.verdict`.

    Args:
        site: groups and values are enough.
        host: the machine.
        address: gives the address of another one, `` where it has none.
    """
    answer = {"hook": "input", "protocol": "tcp", "dport": SOME_PORT, "state": "established"}
    found: dict[str, dict[str, Any]] = {ANSWERS: answer}
    pods = _pods(site)
    bridge = {"iifname": PODS_BRIDGE} if site.text("site_pod_network_provider") == "routed" else {}
    for flow in flows_to(site, host):
        machines = (name for group in flow.sources for name in site.groups.get(group, ()) if name != host)
        source = next(filter(parse_ip, map(address, machines)), "")
        for port in flow.ports or (None,):
            packet: dict[str, Any] = {"hook": "input", "protocol": flow.protocol}
            packet |= {"dport": port} if port is not None else {}
            name = f"{flow.protocol} {port}" if port is not None else flow.protocol
            if PODS in flow.sources and pods:
                found[f"{name} from pods of this machine"] = packet | {"saddr": pods[0], **bridge}
            elif source:
                found[name] = packet | {"saddr": source}
    if pods and any(host in site.groups.get(group, ()) for group in ("head", "workers")):
        to_pod = {"hook": "forward", "protocol": "tcp", "dport": SESSION_PORT, "daddr": pods[1]}
        outwards = {"hook": "forward", "protocol": "tcp", "dport": 443, "saddr": pods[0], **bridge}
        found["what pods send to others"] = outwards
        # From a node of another subnet as well as from a pod: the API server asks pods, too.
        found["what others send to pods"] = to_pod | ({"oifname": PODS_BRIDGE} if bridge else {})
    return found


def tried(
    site: Site,
    host: str,
    probes: Callable[[str], Mapping[str, Any]],
    address: Callable[[str, int], str],
    now: float,
) -> list[dict[str, Any]]:
    """Give the ports that a machine tries, as module port_probe takes them.

    Args:
        site: groups and values are enough.
        host: who tries; `controller` for the controller.
        probes: gives what module site_probe saw on a machine, nothing where it could not look.
        address: gives the address at which a port of a machine is used, `` where there is none; see `flow_places.places`.
        now: the controller's time in seconds.

    Returns:
        [{target, address, protocol, port, token}]. UDP is tried only where a listener of ours answers. Machines that were not
        looked at are not tried, nor those that are this very one.
    """
    found = []
    own = as_text(probes(host).get("machine_id")) if host != CONTROLLER else ""
    for attempt in attempts(site, host):
        probe = probes(attempt.target)
        where = address(attempt.target, attempt.port) if probe else ""
        if (
            not where
            or (own and own == probe.get("machine_id"))
            or getattr(parse_ip(where), "version", 4) != 4
        ):
            continue
        token = _token(as_mapping(probe.get("listeners")), probe.get("asked_epoch"), attempt[1:], now)
        if token or attempt.protocol == "tcp":
            found.append({**attempt._asdict(), "address": where, "token": token})
    return found


def _token(listeners: Mapping[str, Any], asked: Any, port: Iterable[Any], now: float) -> str:
    """Give what a port answers, `` where it is not ours, or may be closed by now."""
    seconds = listeners.get("seconds")
    if " ".join(map(str, port)) not in as_list(listeners.get("opened")):
        return ""
    if not isinstance(asked, (int, float)) or not isinstance(seconds, (int, float)):
        return ""
    return as_text(listeners.get("token")) if now - asked < seconds - MARGIN_SECONDS else ""
