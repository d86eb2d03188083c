# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Judges whom places trust: the verdict, its table, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import (
    Cell,
    Report,
    Verdict,
    lay_out,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_rules import (
    PLACES,
    Peer,
    wanted,
)

__all__ = ["judge_trust"]

_TITLES = {"binder": "BinderHub", "build": "build pod", "run": "RUN step"}
_TRUSTED = {"verified": "verified", "plain": "plain HTTP"}
_REACHED = frozenset({*_TRUSTED, "unverified", "connected"})
# Worst first; a column of several hubs shows the worst of them.
_SHOWN = {
    "missing": "MISSING",
    "escape": "ESCAPE",
    "unverified": "UNVERIFIED",
    "unmet": "UNMET",
    "not promised": "not promised",
    "plain": "plain HTTP",
    "verified": "verified",
    "closed": "closed",
}
_FINE = frozenset({"verified", "plain", "closed", "not promised"})
# What `wanted` is told of a run.
_ASKED = ("enforced", "networks", "resolved")
_BUNDLE = "run the stage nodes again, which puts site_ca_files into the node's bundle"
_PODS = f"see whether its pod mounts its node's bundle, which the stage binderhub does where site_ca_files names a CA; {_BUNDLE}"
_BASE = "set site_base_image_from, with which the stage binderhub makes a base that holds the site's CAs"
_TRUST = {
    "node": _BUNDLE,
    "dockerd": "run the stage nodes again, which puts the CA into /etc/docker/certs.d of registry and mirror",
    "containerd": "run the stage nodes again, which names the CA in /etc/containerd/certs.d, and in the node's bundle",
    "binder": _PODS,
    "hub": _PODS,
    "build": _PODS,
    "run": _BASE,
    "session": _BASE,
}
_REACH = {
    "unresolved": "this place does not know the name: put it into DNS, or into site_extra_hosts, and run the site again",
    "proxy": "correct the proxy that it is told, or name this peer among those that are reached without",
    "connected": "what answers there speaks no TLS, or no HTTP: correct the URL and its port",
}
_WAY = "see whether it runs, and whether a firewall or the guard (`nft list table inet ironbinder_guard`) stands between"


def judge_trust(run: Mapping[str, Any], reports: Sequence[Report]) -> Verdict:
    """Judge what all places found of the peers.

    Args:
        run: the part `trust` of a run, see `trust_run`.
        reports: those about trust; the others are not looked at.
    """
    known = [Peer(**entry) for entry in run["peers"]]
    told = [report for report in reports if report.about == "trust"]
    cells = []
    for report in told:
        for peer in known:
            need = wanted(peer, report.origin, known, **{key: run[key] for key in _ASKED})
            if need is not None:
                promised = report.origin.role in run["promised"]
                cells.append(_cell(peer, report, need, promised))
    problems = list(_problems(cells, told, {peer.name: peer for peer in known}))
    silent = [place for place in run["places"] if place not in {report.origin.role for report in told}]
    if silent:
        names = ", ".join(_TITLES.get(place, place) for place in silent)
        problems.append(
            f"nobody asked from {names}. Next: let Ansible reach the head (fence_check_head_host) and a node that builds "
            "(fence_check_build_host)"
        )
    bad = sum(cell.verdict not in _FINE for cell in cells)
    summary = (
        f"trust {'verified' if not problems else 'is broken'}: {len(known)} peers, {len(cells)} ways judged, "
        f"{sum(cell.verdict == 'verified' for cell in cells)} with a certificate that is trusted, {bad} not as they have to be"
    )
    return Verdict(cells, problems, dict(run["skipped"]), summary, _table(known, cells))


def _cell(peer: Peer, report: Report, need: bool, promised: bool) -> Cell:
    found, detail = [*report.results.get(peer.name, ()), "", ""][:2]
    if not found or found == "missing":
        verdict, detail = "missing", detail or report.trouble or "its report has no such peer"
    elif not need:
        verdict = "escape" if found in _REACHED else "closed"
    elif found in _TRUSTED:
        # What was asked for by http:// and answered is as the site wants it; trusted is nobody.
        verdict = found
    elif not promised and found == "unverified":
        verdict = "not promised"
    else:
        verdict = "unverified" if found == "unverified" else "unmet"
    words = "trusted" if need else "closed"
    return Cell(
        peer.name, report.origin.column, report.origin.node, words, found or "nothing", verdict, detail
    )


def _problems(cells: Sequence[Cell], reports: Sequence[Report], known: Mapping[str, Peer]) -> Iterable[str]:
    """Say what is wrong, a line a place and peer; a place of which nothing is known has one line."""
    for report in reports:
        place = report.origin
        where = _TITLES.get(place.role, place.role) + (f" of {place.hub}" if place.hub else "")
        where += f" on {place.node}" if place.node else ""
        if not report.results:
            yield f"{where}: nothing was found out: {report.trouble or 'its report is empty'}"
            continue
        for cell in cells:
            if (cell.origin, cell.node) == (place.column, place.node) and cell.verdict not in _FINE:
                yield f"{where}: {_problem(cell, known[cell.target], place.role)}"


def _problem(cell: Cell, peer: Peer, role: str) -> str:
    said = f" ({cell.detail})" if cell.detail else ""
    if cell.verdict == "escape":
        return f"reaches {peer.name} at {peer.url}, which it must not. Next: see what the proof of the fences says of it"
    if cell.verdict == "unverified":
        return f"does not trust {peer.name} at {peer.url}{said}. Next: {_TRUST[role]}"
    if cell.verdict == "missing":
        return f"{peer.name} at {peer.url} was not tried{said}. Next: see whether the daemon or the pod runs"
    return (
        f"does not reach {peer.name} at {peer.url}: {cell.found}{said}. Next: {_REACH.get(cell.found, _WAY)}"
    )


def _table(known: Sequence[Peer], cells: Sequence[Cell]) -> str:
    order = list(_SHOWN)
    worst: dict[tuple[str, str], str] = {}
    for cell in cells:
        key = (cell.target, cell.origin.split()[0])
        worst[key] = min((worst.get(key, order[-1]), cell.verdict), key=order.index)
    columns = [place for place in PLACES if any(role == place for _, role in worst)]

    def shown(verdict: Optional[str]) -> str:
        return _SHOWN[verdict] if verdict else "-"

    rows = [[peer.name, *(shown(worst.get((peer.name, column))) for column in columns)] for peer in known]
    return lay_out([["peer", *(_TITLES.get(column, column) for column in columns)], *rows])
