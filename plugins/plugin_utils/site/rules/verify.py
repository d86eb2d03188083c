# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a launch has to prove: the kernel, and what the site expects of a session."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

EXPECT, ENABLED, SECONDS = (
    "site_verify_expect",
    "site_verify_kernel_enabled",
    "site_verify_kernel_timeout_seconds",
)
LISTS, TEXTS = ("files", "packages"), ("code", "output", "kernel")
# A module, maybe within a package, or a distribution: https://packaging.python.org/en/latest/specifications/name-normalization/
PACKAGE = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")


@rule(
    "verify-expect-malformed",
    ERROR,
    "What a launched session has to have is written in a way that the verifier cannot ask for.",
    acceptable=False,
)
def verify_expect_malformed(site: Site) -> Iterator[Problem]:
    expect = as_mapping(site.values.get(EXPECT))
    for key in expect:
        if key not in (*LISTS, *TEXTS):
            known = ", ".join((*LISTS, *TEXTS))
            yield Problem("is nothing that can be expected", f"use {known}", f"{EXPECT}.{str(key)[:40]}")
    for key in LISTS:
        yield from _of_list(key, expect.get(key))
    for key in TEXTS:
        told = expect.get(key)
        if isinstance(told, (dict, list)):
            yield Problem("is no text", "write it in quotes", f"{EXPECT}.{key}")
    if expect.get("output") is not None and not expect.get("code"):
        yield Problem(
            "has no cell whose output it is", f"write the cell in {EXPECT}.code", f"{EXPECT}.output"
        )


def _of_list(key: str, told: Any) -> Iterator[Problem]:
    """Judge the names of files, or of packages; the first that is none stands for all."""
    if told is None:
        return
    if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
        yield Problem("is no list of names", "write [one, two]", f"{EXPECT}.{key}")
        return
    judge = _file_fault if key == "files" else _package_fault
    faults = [(name, fault) for name in told if (fault := judge(name))]
    for name, (observed, remedy) in faults[:1]:
        yield Problem(f"{name[:80]!r} {observed}", remedy, f"{EXPECT}.{key}")


def _file_fault(name: str) -> tuple[str, str] | None:
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or not all(parts) or {".", ".."} & set(parts):
        return "is no path below the session's folder", "write it as in the repository: data/table.csv"
    if any(part.startswith(".") for part in parts):
        return (
            "is hidden, and notebooks show no hidden files",
            f"ask for it by a cell: {EXPECT}.code, with os.path.exists",
        )
    return None


def _package_fault(name: str) -> tuple[str, str] | None:
    if PACKAGE.fullmatch(name):
        return None
    return "is no name of a package", f"write the name alone; a version can be asked for in {EXPECT}.code"


@rule(
    "verify-expect-without-kernel",
    ERROR,
    "Something is expected of a session whose kernel is not started.",
    acceptable=False,
)
def verify_expect_without_kernel(site: Site) -> Iterator[Problem]:
    if any(as_mapping(site.values.get(EXPECT)).values()) and not site.flag(ENABLED):
        yield Problem(
            f"is false, so nobody would look for what {EXPECT} names",
            f"set it to true, or empty {EXPECT}",
            ENABLED,
        )


@rule("verify-kernel-timeout-malformed", ERROR, "A kernel has no time to start in.", acceptable=False)
def verify_kernel_timeout_malformed(site: Site) -> Iterator[Problem]:
    seconds = site.values.get(SECONDS)
    if isinstance(seconds, (int, str)) and as_int(seconds, 1) < 1:
        yield Problem(
            f"is {str(seconds)[:20]}",
            "use 120: a kernel starts in seconds, and packages are imported",
            SECONDS,
        )
