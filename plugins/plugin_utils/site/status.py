# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How a site stands, as data and as a table: put together from what its machines, its cluster and its ports say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import Finding, render_table
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_int,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.upkeep import (
    HOUR,
    Certificate,
    certificates_of,
    dated_ahead,
    failure_of,
    fill_percent,
    newest_snapshot,
    snapshots_of,
    taken_at,
)

__all__ = ["Look", "as_data", "render"]

SERVED = {
    "same": "port {} serves it",
    "other": "port {} serves another one",
    "silent": "port {} does not answer",
}


@dataclass(frozen=True)
class Look:
    """What was seen of a site.

    Args:
        name: the site's.
        now: seconds since the epoch.
        machines: {host: facts of `_machine/upkeep.py`}, in the inventory's order; empty ones of those that did not answer.
        cluster: what `_cluster/overview.py` says; empty where the API did not answer.
        urls: {hub: its BinderHub's URL}.
        sign_in: {hub: how people sign in, as `kind`, and the `callback_url` that its provider has to know, if it has one}.
        pool: the floating addresses, as the site writes them.
        others: certificates of ports beside the cluster, and of the administrator's kubeconfig, by where they are.
        lost: what could not be asked, and why.
        findings: those of preflight's rules that are about upkeep.
    """

    name: str
    now: float
    machines: Mapping[str, Mapping[str, Any]]
    cluster: Mapping[str, Any]
    urls: Mapping[str, str] = field(default_factory=dict)
    sign_in: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pool: str = ""
    others: Mapping[str, Certificate] = field(default_factory=dict)
    lost: Sequence[str] = ()
    findings: Sequence[Finding] = ()


def as_data(look: Look) -> dict[str, Any]:
    """Give what was seen as JSON carries it: names of keys are a promise."""
    return {
        "site": look.name,
        "asked_at": int(look.now),
        "kubernetes": as_text(look.cluster.get("version")),
        "nodes": list(look.cluster.get("nodes", [])),
        "floating_pool": look.pool,
        "floating_addresses": list(look.cluster.get("floating", [])),
        "hubs": {
            name: {**hub, "url": look.urls.get(name, ""), "sign_in": dict(look.sign_in.get(name, {}))}
            for name, hub in as_mapping(look.cluster.get("hubs")).items()
        },
        "unlisted_hubs": dict(as_mapping(look.cluster.get("unlisted_hubs"))),
        "etcd": {
            host: {**as_mapping(told.get("etcd")), "fill_percent": fill_percent(told)}
            for host, told in _heads(look)
        },
        "snapshots": {host: _snapshots(told, look.now) for host, told in _heads(look)},
        "certificates": [{"host": host, **asdict(found)} for host, found in _certificates(look)],
        "not_asked": list(look.lost),
        "findings": [asdict(finding) for finding in look.findings],
    }


def _heads(look: Look) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((host, told) for host, told in look.machines.items() if "snapshots" in told)


def _certificates(look: Look) -> list[tuple[str, Certificate]]:
    """Give all certificates with where they are, those that end first first."""
    found = [
        (host, one) for host, told in look.machines.items() for one in certificates_of(told, look.now)
    ] + list(look.others.items())
    return sorted(found, key=lambda entry: entry[1].days)


def _snapshots(told: Mapping[str, Any], now: float) -> dict[str, Any]:
    entries = snapshots_of(told)
    newest = newest_snapshot(told, now)
    whole = [entry for entry in reversed(entries) if not entry.get("damage")]
    last: Mapping[str, Any] = max(whole, key=lambda entry: taken_at(entry, now), default={})
    return {
        "directory": as_text(as_mapping(told.get("snapshots")).get("directory")),
        "kept": len(whole),
        "damaged": [str(entry.get("file")) for entry in entries if entry.get("damage")],
        "dated_ahead": dated_ahead(told, now),
        "newest": as_text(last.get("file")),
        "age_hours": int((now - newest) // HOUR) if newest else None,
        "restored": last.get("restored") is True,
        # Strict readers of JSON take no NaN.
        "revision": as_int(last.get("revision")) or None,
        "bytes": as_int(last.get("bytes")) or None,
        "error": failure_of(told, "snapshots", now),
    }


def _columns(title: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows below their titles, as wide as they need to be."""
    table = [title, *(rows or [["none"]])]
    widths = [max(len(row[place]) for row in table if place < len(row)) for place in range(len(title))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in table
    ] + [""]


def render(look: Look) -> str:
    """Write what was seen for the screen."""
    data = as_data(look)
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(look.now))
    lines = [f"{look.name}: Kubernetes {data['kubernetes'] or 'did not answer'}, {when} UTC", ""]
    lines += [f"NOT ASKED: {text}" for text in look.lost] + ([""] if look.lost else [])
    lines += _columns(
        ("NODE", "STATE", "ROLES", "ADDRESS", "KUBELET", "RUNTIME", "SYSTEM"),
        [
            (
                node["name"],
                ("ready" if node["ready"] else "not ready") + ("" if node["schedulable"] else ", cordoned"),
                ",".join(node["roles"]) or "-",
                node["address"],
                node["kubelet"],
                node["runtime"],
                node["system"],
            )
            for node in data["nodes"]
        ],
    )
    lines += _columns(
        ("FLOATING ADDRESS", f"HELD BY, of {look.pool}"),
        [
            (", ".join(entry["addresses"]) or "none yet", f"{entry['namespace']}/{entry['name']}")
            for entry in data["floating_addresses"]
        ],
    )
    lines += _columns(
        ("HUB", "URL", "CHART", "RELEASE", "READY", "SESSIONS"),
        [
            (
                name,
                hub["url"],
                hub["chart"],
                f"{hub['state']}, revision {hub['revision']}",
                _ready(hub["workloads"]),
                str(hub["sessions"]),
            )
            for name, hub in data["hubs"].items()
        ],
    )
    lines += _columns(
        ("SIGN-IN OF", "KIND", "CALLBACK THAT ITS PROVIDER KNOWS"),
        [(name, told["kind"], told["callback_url"] or "-") for name, told in look.sign_in.items()],
    )
    if data["unlisted_hubs"]:
        rows = list(data["unlisted_hubs"].items())
        lines += _columns(("HUB THAT site_hubs DOES NOT HAVE", "NAMESPACE"), rows)
    lines += _columns(
        ("ETCD", "VERSION", "SIZE", "QUOTA", "FULL"), [_etcd(*entry) for entry in data["etcd"].items()]
    )
    lines += _columns(
        ("SNAPSHOTS OF", "KEPT", "NEWEST", "AGE", "SIZE", "PROOF"),
        [_shown(*entry) for entry in data["snapshots"].items()],
    )
    lines += _columns(
        ("CERTIFICATE", "OF", "DAYS LEFT", "IN USE"),
        [
            (found.name, host, str(found.days), SERVED.get(found.served, "").format(found.port))
            for host, found in _certificates(look)
        ],
    )
    return "\n".join([*lines, render_table(look.findings) if look.findings else "Nothing needs attention."])


def _ready(workloads: Sequence[Mapping[str, Any]]) -> str:
    lacking = [f"{entry['name']} {entry['told']}" for entry in workloads if not entry["ready"]]
    return "; ".join(lacking) or f"all of {len(workloads)}"


def _etcd(host: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    size, quota = as_int(told.get("bytes")), as_int(told.get("quota_bytes"))
    if not quota:
        return (host, "does not tell")
    return (host, as_text(told.get("version")), _mib(size), _mib(quota), f"{told['fill_percent']} %")


def _shown(host: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    if not told["newest"]:
        return (host, "0", "none", "-", "-", "-")
    age = "unknown" if told["age_hours"] is None else f"{told['age_hours']} h"
    ahead = len(told["dated_ahead"])
    proof = "restored" if told["restored"] else "checksum"
    return (
        host,
        str(told["kept"]),
        told["newest"],
        age + (f", {ahead} dated ahead" if ahead else ""),
        _mib(as_int(told["bytes"])),
        proof,
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
