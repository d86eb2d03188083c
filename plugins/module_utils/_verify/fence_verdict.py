# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Expected against found: the verdict on fences, its table and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Optional, Union

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    CONTROLS,
    KINDS,
    Origin,
    Target,
    expected,
)

__all__ = ["Cell", "Report", "Verdict", "judge", "lay_out", "table"]

_REACHED = frozenset({"answered", "connected"})
_TITLES = {
    "session": "session",
    "build": "build pod",
    "run": "RUN step",
    "other": "other hub",
    "unknown": "unknown pod",
    "core": "core pod",
    "control": "pod of no hub",
}
_TABLE = "table inet ironbinder_guard"
_RESTART = "systemctl restart ironbinder-guard.service"
_CHECK = "ironbinder-guard check"


@dataclass(frozen=True)
class Report:
    """What one place found: {target: (outcome, detail)}, its IPv6 addresses, or why there is nothing.

    `about` says what was tried: `fences`, or `trust`, of which nothing is judged here.
    """

    origin: Origin
    results: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ipv6: Sequence[str] = ()
    trouble: str = ""
    about: str = "fences"


@dataclass(frozen=True)
class Cell:
    """One target from one place. `verdict` is one of open, closed, escape, unmet, unproven, missing."""

    target: str
    origin: str
    node: str
    expected: str
    found: str
    verdict: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether that is as it should be."""
        return self.verdict in ("open", "closed")


@dataclass(frozen=True)
class Verdict:
    """Every cell, and what is wrong in words. `skipped` are targets that the site does not want to be tried, with its reasons."""

    cells: Sequence[Cell]
    problems: Sequence[str]
    skipped: Mapping[str, str]
    summary: str
    table: str

    @property
    def ok(self) -> bool:
        """Whether every fence holds and every need is met."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Give it for a report in JSON."""
        return {
            "ok": self.ok,
            "summary": self.summary,
            "problems": list(self.problems),
            "skipped": dict(self.skipped),
            "cells": [asdict(cell) for cell in self.cells],
            "table": self.table.splitlines(),
        }


def _alive(target: Target, origin: Origin, reports: Sequence[Report]) -> bool:
    """Whether some place that no fence holds exchanged bytes with the target, or shook hands where that is enough."""
    enough = _REACHED if KINDS[target.kind].handshake else {"answered"}
    for report in reports:
        if report.origin.role not in CONTROLS or (target.local and report.origin.node != origin.node):
            continue
        if report.results.get(target.name, [""])[0] in enough:
            return True
    return False


def _no_ipv6(target: Target, reports: Sequence[Report]) -> bool:
    """Whether no pod at all has an IPv6 route to the target: then there is nothing to fence."""
    controls = [
        report for report in reports if report.origin.role == "control" and target.name in report.results
    ]
    return bool(controls) and all(report.results[target.name][0] == "no_ipv6" for report in controls)


def _cell(target: Target, report: Report, wanted: bool, reports: Sequence[Report]) -> Cell:
    found, detail = [*report.results.get(target.name, ()), "", ""][:2]
    if not found:
        verdict, found, detail = "missing", "nothing", report.trouble or "its report has no such target"
    elif wanted:
        verdict = "open" if found == "answered" else "unmet"
        if verdict == "unmet":
            alive = _alive(target, report.origin, reports)
            detail = "it answers elsewhere" if alive else "it answers nowhere, so it may be down itself"
    elif found in _REACHED:
        verdict = "escape"
    elif not target.provable or _alive(target, report.origin, reports):
        verdict = "closed"
    elif target.is_ipv6 and found == "no_ipv6" and _no_ipv6(target, reports):
        verdict, detail = "closed", "no pod here has IPv6 that leads there"
    else:
        verdict = "unproven"
    words = "open" if wanted else "closed"
    return Cell(target.name, report.origin.column, report.origin.node, words, found, verdict, detail)


def _problems(
    cells: Sequence[Cell], reports: Sequence[Report], targets: Mapping[str, Target]
) -> Iterable[str]:
    """Say what is wrong: a cause that explains all of a place in one line, else a line a target."""
    for report in reports:
        mine = [
            cell for cell in cells if (cell.origin, cell.node) == (report.origin.column, report.origin.node)
        ]
        where = f"{report.origin.column}" + (f" on {report.origin.node}" if report.origin.node else "")
        if report.trouble and not report.results:
            yield f"{where}: nothing was found out: {report.trouble}"
            continue
        closed = [cell for cell in mine if cell.expected == "closed" and targets[cell.target].provable]
        opened = [cell for cell in mine if cell.expected == "open"]
        escapes = [cell for cell in closed if cell.verdict == "escape"]
        unmet = [cell for cell in opened if cell.verdict == "unmet"]
        if len(closed) > 1 and len(escapes) == len(closed):
            yield (
                f"{where}: reaches all {len(closed)} targets that it must not, {_names(escapes)}: nothing fences it there. "
                f"Next: on {report.origin.node or 'the node'} see what `{_CHECK}` and the journal of ironbinder-guard.service "
                f"say; `{_RESTART}` loads the table again"
            )
        elif (
            len(opened) > 1
            and len(unmet) == len(opened)
            and report.origin.role in ("session", "build", "other", "core")
        ):
            yield (
                f"{where}: reaches nothing of the {len(opened)} targets that it needs, {_names(unmet)}: the guard does not know "
                "this pod. Next: see whether the pod network's configuration in /etc/cni/net.d calls ironbinder-guard, and "
                f"what `{_CHECK}` says of pods that came past it; `{_RESTART}` learns from the API who is there"
            )
        else:
            yield from (
                _problem(cell, targets[cell.target], where)
                for cell in mine
                if cell.verdict in ("escape", "unmet")
            )
        if any(cell.verdict == "missing" for cell in mine):
            yield f"{where}: its report lacks {_names([cell for cell in mine if cell.verdict == 'missing'])}"
    dead = sorted({cell.target for cell in cells if cell.verdict == "unproven"})
    for name in dead:
        target = targets[name]
        yield (
            f"{name} ({target.address} port {target.port}) is no proof: it answered nowhere, not even where nothing fences. "
            "Next: start what should answer there; or, where that is as the site wants it, name it with a reason in "
            "site_fence_probe_skipped"
        )


def _names(cells: Sequence[Cell]) -> str:
    names = [cell.target for cell in cells]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _problem(cell: Cell, target: Target, where: str) -> str:
    place = f"{target.name} ({target.address} port {target.port}, {target.protocol})"
    if cell.verdict == "escape":
        return (
            f"{where} reaches {place}: expected closed, found {cell.found} {cell.detail}. Next: look at "
            f"{KINDS[target.kind].look} in `nft list {_TABLE}`; {_RESTART} loads the whole table again"
        )
    return (
        f"{where} does not reach {place}: expected open, found {cell.found}, {cell.detail}. Next: see whether it runs, and "
        f"what `nft list {_TABLE}` drops; what a site needs besides is opened by site_session_allowed_networks and "
        "site_build_allowed_networks"
    )


def judge(
    targets: Sequence[Target],
    reports: Sequence[Report],
    networks: Mapping[str, Sequence[Union[str, Mapping[str, Any]]]],
    resolved: Optional[Mapping[str, Sequence[str]]] = None,
    *,
    skipped: Optional[Mapping[str, str]] = None,
    remark: str = "",
) -> Verdict:
    """Judge what all places found.

    Args:
        targets: what was tried.
        reports: of every place, those of CONTROLS among them.
        networks: what the site opened, by `session` and `build`.
        resolved: addresses of the names in `networks`.
        skipped: targets that were left out, with the site's reasons.
        remark: what the summary says besides.
    """
    by_name = {target.name: target for target in targets}
    reports = [report for report in reports if report.about == "fences"]
    cells = []
    for report in reports:
        for target in targets:
            wanted = expected(target, report.origin, networks, resolved or {})
            if wanted is not None:
                cells.append(_cell(target, report, wanted, reports))
    problems = list(_problems(cells, reports, by_name))
    count = {
        name: sum(cell.verdict == name for cell in cells)
        for name in ("escape", "unmet", "unproven", "missing")
    }
    state = "verified" if not problems else "do not hold"
    summary = (
        f"fences {state}: {len(targets)} targets, {len(cells)} connections judged, {count['escape']} escapes, "
        f"{count['unmet']} needs unmet"
        + (f", {count['unproven']} without proof" if count["unproven"] else "")
        + (f"; {remark}" if remark else "")
    )
    return Verdict(cells, problems, skipped or {}, summary, table(targets, cells))


def table(targets: Sequence[Target], cells: Sequence[Cell]) -> str:
    """Lay the cells out, a line a target and a column a kind of place; a column of several nodes shows the worst of them."""
    columns = list(dict.fromkeys(cell.origin for cell in cells))
    order = ("missing", "escape", "unmet", "unproven", "open", "closed")
    shown = {"escape": "ESCAPE", "unmet": "UNMET", "unproven": "NO PROOF", "missing": "MISSING"}
    worst: dict[tuple[str, str], str] = {}
    for cell in cells:
        key = (cell.target, cell.origin)
        worst[key] = min((worst.get(key, "closed"), cell.verdict), key=order.index)
    # With one hub its name would only widen the table.
    hubs = {hub for name in columns for hub in name.split()[1:]}
    titles = []
    for name in columns:
        role, *hub = name.split()
        titles.append(" ".join([_TITLES.get(role, role), *(hub if len(hubs) > 1 else [])]))
    head = ["target", *titles]
    rows = [
        [
            target.name,
            *(
                shown.get(verdict, verdict)
                for verdict in (worst.get((target.name, name), "-") for name in columns)
            ),
        ]
        for target in targets
    ]
    return lay_out([head, *rows])


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as text, each column as wide as it has to be."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows
    )
