# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is wrong with a node's certificates, its etcd and its snapshots. Facts are those of `_machine/upkeep.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_int,
    as_list,
    as_mapping,
    as_text,
)

__all__ = [
    "DAY",
    "HOUR",
    "JOBS",
    "Certificate",
    "certificates_of",
    "dated_ahead",
    "failure_of",
    "fill_percent",
    "newest_snapshot",
    "snapshots_of",
    "taken_at",
]

DAY, HOUR = 86_400, 3_600
# Days before their end at which certificates are a warning, and an error: by kind.
LIMITS = {
    "kubeadm": (60, 14),
    # The kubelet renews its own when a tenth of a year is left, at the latest.
    "kubelet": (30, 14),
    # Nobody renews these by a timer, and what they sign ends with them.
    "authority": (365, 60),
    # The API does not look at it, and no kubelet renews it.
    "kubelet-serving": (0, 0),
    # Those of the public URL and the registry: many live for 90 days, and rules about TLS files judge them.
    "tls": (21, 0),
}
HUGE = 1 << 53
# What is dated this much after now was dated by a clock that was ahead, so that its time is not known.
AHEAD_SECONDS = HOUR
# A job that began this long ago and did not end was killed: its unit would have ended it.
LONGEST_SECONDS = 2 * HOUR
# What a timer of role head_upkeep does, by the fact that it leaves.
JOBS = {"snapshots": "ironbinder-etcd-snapshot", "renewal": "ironbinder-certificates"}


@dataclass(frozen=True)
class Certificate:
    """A certificate. `days` are whole ones that are left, negative where it has ended; `state` is ok, soon or urgent."""

    name: str
    file: str
    kind: str
    days: int
    state: str
    served: str = ""
    port: int = 0


def judge(name: str, not_after: float, now: float, *, kind: str = "tls", **more: Any) -> Certificate:
    """Say how long a certificate lasts, and whether that is enough."""
    soon, urgent = LIMITS.get(kind, LIMITS["kubeadm"])
    days = int((not_after - now) // DAY)
    state = "urgent" if days < urgent else "soon" if days < soon else "ok"
    return Certificate(name=name, kind=kind, days=days, state=state, **{"file": "", **more})


def certificates_of(upkeep: Mapping[str, Any], now: float) -> Iterator[Certificate]:
    """Judge the certificates of a node. Those that cannot be read have no end, and are left out."""
    for entry in map(as_mapping, as_list(upkeep.get("certificates"))):
        ends = entry.get("not_after")
        if isinstance(ends, (int, float)) and not isinstance(ends, bool):
            yield judge(
                as_text(entry.get("name")),
                float(ends),
                now,
                kind=as_text(entry.get("kind")),
                file=as_text(entry.get("file")),
                served=as_text(entry.get("served")),
                port=as_int(entry.get("port")),
            )


def snapshots_of(upkeep: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Give the snapshots of a head, in its order, with `damage` also where one became shorter or went since it was looked at."""
    told = as_mapping(upkeep.get("snapshots"))
    found = []
    for entry in map(as_mapping, as_list(told.get("snapshots"))):
        size, now = entry.get("bytes"), entry.get("found_bytes")
        damage = as_text(entry.get("damage"))
        if not damage and now is not None and size is not None and now != size:
            damage = f"{told.get('directory')}/{entry.get('file')} is truncated or changed: it has {now} bytes of {size}"
        if now is not None:
            found.append({**entry, "damage": damage})
    return found


def taken_at(entry: Mapping[str, Any], now: float) -> int:
    """When a snapshot was taken, in seconds since the epoch; 0 where it does not say so, or is dated ahead."""
    told = int(_number(entry.get("taken_at")))
    return told if told <= now + AHEAD_SECONDS else 0


def newest_snapshot(upkeep: Mapping[str, Any], now: float) -> int:
    """When the newest snapshot that is whole was taken, as far as that is known; 0 where there is none."""
    return max((taken_at(entry, now) for entry in snapshots_of(upkeep) if not entry["damage"]), default=0)


def dated_ahead(upkeep: Mapping[str, Any], now: float) -> list[str]:
    """Give the files of snapshots that are whole and dated ahead."""
    whole = [entry for entry in snapshots_of(upkeep) if not entry["damage"]]
    return [str(entry.get("file")) for entry in whole if _number(entry.get("taken_at")) > now + AHEAD_SECONDS]


def failure_of(upkeep: Mapping[str, Any], job: str, now: float) -> str:
    """Say why the last attempt of one of JOBS failed; nothing where it did not, or where there was none."""
    told = as_mapping(upkeep.get(job))
    began = _number(told.get("began"))
    if not told:
        return ""
    if "ended" not in told:
        return "it was stopped before it ended" if began < now - LONGEST_SECONDS else ""
    return as_text(told.get("error"))


def fill_percent(upkeep: Mapping[str, Any]) -> int:
    """How full etcd's database is, of what it may hold; 0 where it does not tell."""
    etcd = as_mapping(upkeep.get("etcd"))
    size, quota = as_int(etcd.get("bytes")), as_int(etcd.get("quota_bytes"))
    return 100 * size // quota if quota else 0


def _number(value: Any) -> float:
    """Give a number; 0 for what is none, as NaN and Infinity, which Python reads from JSON, and for what no clock reaches."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and -HUGE < value < HUGE else 0.0
