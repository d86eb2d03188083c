# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A corpus of repositories as people bring them: what is to become of each, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.expected import expect_faults

__all__ = ["CAUSES", "Verdict", "entry_fault", "judge", "render"]

FAILED, READY, SKIPPED = "failed", "ready", "skipped"
TEXTS = ("name", "provider", "spec", "outcome", "cause", "hub", "skip")
# As the option of `binder_launch`.
EXPECT = "expect"
# What `binder_launch` calls a launch that failed, see its `kind`.
CAUSES = frozenset(
    {
        "unreachable",
        "tls",
        "request",
        "closed",
        "redirect",
        "sign_in",
        "not_found",
        "proxy",
        "http",
        "not_a_stream",
        "repository",
        "provider",
        "banned",
        "quota",
        "rate_limit",
        "provider_rate_limit",
        "build_token",
        "registry",
        "fetch",
        "build",
        "push",
        "launch",
        "silent",
        "timeout",
        "truncated",
        "hub_url",
        "api",
        "websocket",
        "buffered",
        "hub_token",
        "hub_scope",
        "hub_account",
        "hub",
        "sign_in_off",
        "kernels_api",
        "kernelspec",
        "kernel_start",
        "kernel_websocket",
        "kernel_died",
        "kernel_silent",
        "kernel_error",
        "kernel_output",
        "kernel_language",
        "contents_api",
        "expect_file",
        "expect_package",
        "expect_output",
    }
)
# A phase that is shorter says nothing of where the time went.
SHORTEST_SECONDS = 0.05


def entry_fault(entry: Mapping[str, Any], hubs: Collection[str]) -> tuple[str, str] | None:
    """Say what is wrong with one entry of a corpus, as (what it says, what to write), None where nothing is.

    Args:
        entry: one of `site_verify_corpus`.
        hubs: names of the site's hubs.
    """
    for key in sorted(map(str, entry)):
        if key not in (*TEXTS, EXPECT):
            return f"has {key[:40]!r}, which no entry has", f"an entry has {', '.join((*TEXTS, EXPECT))}"
    for key in TEXTS:
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            return f"has a {key} that is no text", "write text, in quotes where YAML reads something else"
    if "name" not in entry:
        return "has no name", "give each repository a name of its own: it is what the table shows"
    if "skip" in entry:
        return None
    for key in ("provider", "spec", "outcome"):
        if key not in entry:
            return (
                f"has no {key}",
                "write provider and spec as in a Binder link, and outcome: ready or failed",
            )
    return _launch_fault(entry, hubs)


def _launch_fault(entry: Mapping[str, Any], hubs: Collection[str]) -> tuple[str, str] | None:
    outcome, cause = entry["outcome"], entry.get("cause")
    parts = 3 if entry["provider"] == "gh" else 2 if entry["provider"] in ("git", "gl") else 1
    if entry["spec"].strip("/").count("/") < parts - 1:
        form = "owner/repository/ref" if parts == 3 else "the repository's URL, quoted, then / and the ref"
        return f"has the spec {entry['spec'][:80]!r}", f"write {form}"
    if outcome not in (READY, FAILED):
        return f"has the outcome {outcome[:40]!r}", "write ready or failed"
    if outcome == FAILED and cause not in CAUSES:
        # Without one a hub that is down would be as good as a build that fails.
        observed = f"has the cause {cause[:40]!r}" if cause else "is to fail, and says no cause"
        return observed, "write what binder_launch calls it (ansible-doc, kind), such as build or repository"
    if outcome == READY and cause:
        return "has a cause, and is to be ready", "drop the cause, or write outcome: failed"
    if "hub" in entry and entry["hub"] not in hubs:
        return f"names the hub {entry['hub'][:40]!r}", f"use one of site_hubs: {', '.join(hubs)}"
    return _expect_fault(entry)


def _expect_fault(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    expect = entry.get(EXPECT)
    if expect is not None and not isinstance(expect, Mapping):
        return "expects what is no mapping", "write expect: {files: [index.ipynb]}"
    for key, observed, remedy in expect_faults(expect or {}, EXPECT):
        return f"expects {key}, which {observed}", remedy
    return None


@dataclass(frozen=True)
class Verdict:
    """What became of one entry. `problem` is empty where that is as it was to be, `reason` says why it was not tried."""

    name: str
    outcome: str
    expected: str = ""
    total_seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    reason: str = ""


def _outcome(outcome: str, cause: str) -> str:
    return f"{outcome}: {cause}" if outcome == FAILED else outcome


def _verdict(entry: Mapping[str, Any], told: Mapping[str, Any]) -> Verdict:
    # A module that broke has no kind, and is as no launch is to be.
    outcome = _outcome(READY if told.get("summary") else FAILED, str(told.get("kind") or "no verdict"))
    expected = _outcome(str(entry["outcome"]), str(entry.get("cause", "")))
    said = str(told.get("msg") or told.get("summary") or "nothing").split("\n")[0]
    return Verdict(
        name=str(entry["name"]),
        outcome=outcome,
        expected=expected,
        total_seconds=float(told.get("total_seconds") or 0.0),
        phases=dict(told.get("phases") or {}),
        problem=""
        if outcome == expected
        else f"{entry['name']}: expected {expected}, and it is {outcome}. {said}",
    )


def judge(corpus: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Compare what was to become of a corpus with what became of it.

    Args:
        corpus: `site_verify_corpus`.
        results: what `binder_launch` returned for each entry without `skip`, failures included, in their order.

    Raises:
        ValueError: there is not one result for each launch.
    """
    launched = iter(results)
    verdicts = []
    for entry in corpus:
        if "skip" in entry:
            verdicts.append(Verdict(str(entry["name"]), SKIPPED, reason=str(entry["skip"])))
            continue
        told = next(launched, None)
        if told is None:
            raise ValueError(f"{entry['name']} and those after it were not launched")
        verdicts.append(_verdict(entry, told))
    return verdicts


def _cells(verdict: Verdict, phases: Sequence[str]) -> Iterator[str]:
    yield verdict.name
    yield verdict.outcome
    for phase in phases:
        seconds = verdict.phases.get(phase, 0.0)
        yield f"{seconds:.1f}" if seconds >= SHORTEST_SECONDS else ""
    yield f"{verdict.total_seconds:.1f}" if verdict.total_seconds else ""
    yield verdict.reason or (f"WRONG, expected {verdict.expected}" if verdict.problem else "as expected")


def render(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Put verdicts side by side.

    Returns:
        {ok, summary, table: lines with a column for each phase, problems: lines, launches: each verdict as data}.
    """
    phases = list(
        dict.fromkeys(
            name
            for verdict in verdicts
            for name, seconds in verdict.phases.items()
            if seconds >= SHORTEST_SECONDS
        )
    )
    title = ["REPOSITORY", "OUTCOME", *(phase.upper() for phase in phases), "SECONDS", "VERDICT"]
    rows = [title, *([*_cells(verdict, phases)] for verdict in verdicts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = []
    for row in rows:
        cells = [
            cell.rjust(width) if 2 <= place < len(row) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        table.append("  ".join(cells).rstrip())
    wrong = [verdict for verdict in verdicts if verdict.problem]
    skipped = [verdict for verdict in verdicts if verdict.outcome == SKIPPED]
    tried = len(verdicts) - len(skipped)
    told = f"{tried - len(wrong)} of {tried} launches as expected, {len(skipped)} skipped"
    return {
        "ok": not wrong,
        "summary": f"corpus verified: {told}" if not wrong else f"corpus not verified: {told}",
        "table": table,
        "problems": [verdict.problem for verdict in wrong],
        "launches": [asdict(verdict) for verdict in verdicts],
    }
