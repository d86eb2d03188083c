# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site expects of a launched session, as far as it can be judged before there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["expect_faults"]

LISTS, TEXTS = ("files", "packages"), ("code", "output", "kernel")
# A module, maybe within a package, or a distribution: https://packaging.python.org/en/latest/specifications/name-normalization/
PACKAGE = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")


def expect_faults(expect: Mapping[str, Any], variable: str) -> Iterator[tuple[str, str, str]]:
    """Give what the verifier cannot ask for, as (key, what it says, what to write).

    Args:
        expect: the option `expect` of `binder_launch`.
        variable: what the site calls it.
    """
    for key in expect:
        if key not in (*LISTS, *TEXTS):
            yield str(key)[:40], "is nothing that can be expected", f"use {', '.join((*LISTS, *TEXTS))}"
    for key in LISTS:
        for observed, remedy in _of_list(key, expect.get(key), variable):
            yield key, observed, remedy
    for key in TEXTS:
        if isinstance(expect.get(key), (dict, list)):
            yield key, "is no text", "write it in quotes"
    if expect.get("output") is not None and not expect.get("code"):
        yield "output", "has no cell whose output it is", f"write the cell in {variable}.code"


def _of_list(key: str, told: Any, variable: str) -> Iterator[tuple[str, str]]:
    """Judge the names of files, or of packages; the first that is none stands for all."""
    if told is None:
        return
    if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
        yield "is no list of names", "write [one, two]"
        return
    judge = _file_fault if key == "files" else _package_fault
    faults = [(name, fault) for name in told if (fault := judge(name, variable))]
    for name, (observed, remedy) in faults[:1]:
        yield f"{name[:80]!r} {observed}", remedy


def _file_fault(name: str, variable: str) -> tuple[str, str] | None:
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or not all(parts) or {".", ".."} & set(parts):
        return "is no path below the session's folder", "write it as in the repository: data/table.csv"
    if any(part.startswith(".") for part in parts):
        return (
            "is hidden, and notebooks show no hidden files",
            f"ask for it by a cell: {variable}.code, with os.path.exists",
        )
    return None


def _package_fault(name: str, variable: str) -> tuple[str, str] | None:
    if PACKAGE.fullmatch(name):
        return None
    return "is no name of a package", f"write the name alone; a version can be asked for in {variable}.code"
