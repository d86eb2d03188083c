# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How rules become one check: their order, their report, and sites that must have no finding."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import check
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import (
    JUDGES,
    RULE_FILES,
    RULES,
    check_site,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import (
    CRASHED,
    Rule,
    by_id,
    check_rules,
    rule,
    rules_of,
)
from site_cases import case, found, good_site, host, running_site

FOLDER = Path(str(check.__file__)).parent / "rules"
TESTS = Path(__file__).parent / "rules"


def names_of(files: tuple[ModuleType, ...]) -> list[str]:
    """The names of files of rules, without their folders."""
    return [file.__name__.rpartition(".")[2] for file in files]


def test_every_file_of_rules_is_named_once() -> None:
    """A file that nobody names has rules that nobody runs; and each has a file of cases."""
    named = names_of((*RULE_FILES, *JUDGES))
    there = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    assert sorted(named) == there
    assert there == sorted(path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py"))


def test_rules_stand_in_the_order_of_their_files() -> None:
    """What has to be repaired first comes first: by file, and in a file as they are written."""
    files = [entry.check.__module__.rpartition(".")[2] for entry in RULES.values()]
    assert list(dict.fromkeys(files)) == names_of((*RULE_FILES, *JUDGES))
    for file in (*RULE_FILES, *JUDGES):
        lines = [entry.check.__code__.co_firstlineno for entry in rules_of(file)]
        assert lines == sorted(lines)


def test_an_id_is_given_once() -> None:
    """A second rule of a name is an error, and so is one with the name for crashes."""
    with pytest.raises(ValueError, match="group-missing"):
        by_id([*RULES.values(), RULES["group-missing"]])
    with pytest.raises(ValueError, match=CRASHED):
        by_id([Rule(CRASHED, ERROR, "", lambda site: ())])


def test_a_severity_is_one_of_two() -> None:
    """A rule of a third severity would be in no count."""
    with pytest.raises(ValueError, match="fatal"):
        rule("x", "fatal", "")


def test_a_crash_hides_nothing() -> None:
    """A rule that crashes is a finding among the others'."""

    @rule("crashing", WARNING, "Crashes.")
    def crashing(site: Site) -> list[Problem]:
        raise KeyError("nope")

    @rule("working", WARNING, "Works.")
    def working(site: Site) -> list[Problem]:
        return [Problem("seen", "look")]

    findings = check_rules([crashing, working], Site())
    assert [(entry.id, entry.severity) for entry in findings] == [(CRASHED, ERROR), ("working", WARNING)]
    assert "crashing" in findings[0].observed
    assert "KeyError" in findings[0].observed


def test_a_missing_library_is_no_crash_of_a_rule() -> None:
    """The action says which, in one sentence."""

    @rule("lacking", ERROR, "Lacks a library.")
    def lacking(site: Site) -> list[Problem]:
        raise ImportError("No module named 'netaddr'", name="netaddr")

    with pytest.raises(ImportError):
        check_rules([lacking], Site())


def test_rules_are_told_in_sentences() -> None:
    """Their summaries are the documentation, and their ids what people write into site_accepted_findings."""
    assert len(RULES) >= 140
    assert all(entry.summary.endswith(".") and entry.id == entry.id.lower() for entry in RULES.values())


@pytest.mark.parametrize("site", [good_site(), running_site()], ids=["before the first run", "after a run"])
def test_good_site(site: dict[str, Any]) -> None:
    """A site without a fault has no finding, whether or not it already runs."""
    assert found(site) == set()


def lab_site() -> dict[str, Any]:
    """Containers as machines: the computer's processor and memory, cgroup v1, no modules' folder, plain HTTP."""
    site = running_site()
    site["values"] |= {"site_public_url": "http://192.0.2.31", "site_anonymous_access_acknowledged": True}
    for entry in site["hosts"].values():
        entry["facts"] |= {"virtualization_type": "docker"}
        entry["probe"] |= {"cgroup": {"version": 1, "controllers": ["cpu", "memory", "pids", "cpuset"]}}
    return site


def test_lab() -> None:
    """The lab has warnings at most."""
    report = check_site(lab_site())
    assert report.errors == 0, report.as_data()["table"]
    assert {finding.id for finding in report.findings} == {"cgroup-v1"}


@pytest.mark.parametrize(
    "data",
    [{}, {"values": None}, {"groups": [], "hosts": "x"}, {"hosts": {"a": None}, "groups": {"head": ["a"]}}],
)
def test_hardly_a_site(data: dict[str, Any]) -> None:
    """Nothing at all is reported like anything else."""
    told = {rule_id for rule_id, _, _ in found(data)}
    assert CRASHED not in told
    assert "value-missing" in told


def test_errors_come_first_and_are_counted() -> None:
    """The table has errors before warnings, and its last line counts both."""
    site = case("both", {"groups/workers": [], "values/site_name": ""}).site()
    report = check_site(site).as_data()
    assert [finding["severity"] for finding in report["findings"]] == ["error", "warning"]
    assert report["table"].splitlines()[-1] == "1 error, 1 warning: nothing was changed."
    assert json.loads(json.dumps(report)) == report


def large_site(count: int) -> dict[str, Any]:
    """A good site with `count` workers."""
    site = good_site()
    names = [f"worker{number}" for number in range(count)]
    urls = site["hosts"]["worker1"]["probe"]["urls"]
    for number, name in enumerate(names):
        entry = host(f"198.51.{100 + number // 250}.{number % 250 + 1}", number, urls=urls)
        entry["facts"]["hostname"] = name
        entry["probe"]["machine_id"] = f"m{number}"
        site["hosts"][name] = entry
    site["groups"]["workers"] = names
    return site


def calls(count: int) -> int:
    """How many functions a check of `count` workers calls, Python's own included."""
    site, seen = large_site(count), 0

    def count_call(frame: Any, event: str, argument: Any) -> None:
        nonlocal seen
        seen += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        check_site(site)
    finally:
        sys.setprofile(None)
    return seen


def test_four_times_the_hosts_take_four_times_the_work() -> None:
    """No rule compares each host with each other one. Calls are counted, as a clock would time the computer."""
    assert calls(400) <= 4.5 * calls(100)
