# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Convergence from what helm 3.22 told of releases in every state, see helm_replay."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import ChartSource
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import HelmError
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm, Release
from ansible_collections.ironbinder.platform.plugins.module_utils._release.release import (
    Desired,
    Lost,
    Plan,
    Reporter,
    apply,
    pin_version,
    plan,
    settle,
    write_private,
    write_trust,
)
from helm_replay import Replay

VERSION = "1.0.0-0.dev.git.3983.h383374de"
SOURCE = ChartSource("binderhub", VERSION, "https://charts.example.org")
DESIRED = Desired("binder", SOURCE, {"a": {"b": 1}}, {"a": {"password": "canary-\"ä {{ x }} # \\ '"}})
FILES = [Path("config.yaml"), Path("secret.yaml")]
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def none_lost(_release: Release) -> list[str]:
    return []


def converge(
    replay: Replay, desired: Desired = DESIRED, lost_objects: Lost = none_lost
) -> tuple[Plan, Release, Reporter]:
    helm = Helm("helm", replay, "kc", "ns")
    todo = plan(helm, desired, helm.release("binder"), lost_objects)
    reporter = Reporter(FakeClock())
    assert not replay.changes, "a plan changes nothing"
    after = (
        apply(helm, desired, todo, FILES, seconds=900, reporter=reporter, lost_objects=lost_objects)
        if todo.changed
        else helm.release("binder")
    )
    assert after is not None
    return todo, after, reporter


@pytest.mark.parametrize(
    ("scenario", "action", "changes"),
    [
        ("lifecycle", "installed", ["upgrade"]),
        ("uninstalled", "installed", ["upgrade"]),
        ("failed", "repaired", ["upgrade"]),
        ("pending_install", "repaired", ["uninstall", "upgrade"]),
        ("uninstalling", "repaired", ["uninstall", "upgrade"]),
        ("pending_upgrade", "repaired", ["rollback", "upgrade"]),
        # The revision that was good is the wanted one.
        ("pending_upgrade_wanted", "repaired", ["rollback"]),
        ("pending_rollback", "repaired", ["rollback"]),
        ("never_deployed", "repaired", ["uninstall", "upgrade"]),
    ],
)
def test_every_state_leads_to_the_wanted_release(scenario: str, action: str, changes: list[str]) -> None:
    replay = Replay(scenario)
    todo, after, reporter = converge(replay)
    assert (todo.action, replay.changes) == (action, changes)
    assert (after.status, after.values) == ("deployed", DESIRED.merged)
    assert todo.changed
    assert bool(todo.note) is (action == "repaired")
    assert ("apply" in reporter.phases) is ("upgrade" in changes)
    replay.asked.clear()
    assert converge(replay)[0].action == "unchanged"


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({}, "unchanged"),
        ({"values": {"a": {"b": 1.0}}}, "unchanged"),
        ({"values": {"a": {"b": True}}}, "upgraded"),
        ({"values": {"a": {"b": 2}}}, "upgraded"),
        ({"values": {"a": {}}}, "upgraded"),
        ({"secrets": {"a": {"password": "other"}}}, "upgraded"),
        ({"source": replace(SOURCE, version="1.0.0")}, "upgraded"),
    ],
)
def test_a_release_is_upgraded_only_where_it_differs(change: dict[str, Any], action: str) -> None:
    helm = Helm("helm", Replay("lifecycle", at=1), "kc", "ns")
    assert plan(helm, replace(DESIRED, **change), helm.release("binder"), none_lost).action == action


PULLING = Desired("binder", SOURCE, {"pull": True}, {})


def test_a_hooks_object_that_is_gone_is_made_again() -> None:
    seen, answers = [], [["Secret ns/image-pull-secret"], []]

    def lost_objects(release: Release) -> list[str]:
        seen.append([str(hook) for hook in release.hooks])
        return answers[len(seen) - 1]

    replay = Replay("hooks", at=1)
    todo, after, _reporter = converge(replay, PULLING, lost_objects)
    assert (todo.action, replay.changes) == ("repaired", ["upgrade"])
    assert "Secret ns/image-pull-secret was gone" in todo.note
    assert seen == [["Secret ns/image-pull-secret"]] * 2
    assert after.revision == 2


def test_an_object_that_became_a_hook_is_made_twice() -> None:
    """Helm deletes it as part of the old manifest, after it has made it as a hook."""
    answers = iter([["Secret ns/image-pull-secret"]])
    replay = Replay("hooks")
    todo, after, _reporter = converge(replay, PULLING, lambda _hooks: next(answers))
    assert (todo.action, replay.changes, after.revision) == ("installed", ["upgrade", "upgrade"], 2)


def test_a_rollback_makes_no_hooks() -> None:
    answers = iter([["Secret ns/x"], []])
    replay = Replay("pending_upgrade")
    desired = replace(DESIRED, values={"a": {"b": 0}})
    _todo, after, _reporter = converge(replay, desired, lambda _hooks: next(answers))
    assert replay.changes == ["rollback", "upgrade"], "the good revision is wanted, and its Secret is gone"
    assert after.status == "deployed"


def test_a_release_that_vanishes_is_an_error() -> None:
    replay = Replay("lifecycle")
    helm = Helm("helm", replay, "kc", "ns")
    helm.upgrade = lambda *_: None  # type: ignore[method-assign]  # as if somebody removed what it made
    todo = plan(helm, DESIRED, None, none_lost)
    with pytest.raises(HelmError, match="somebody else removed it"):
        apply(helm, DESIRED, todo, FILES, seconds=900, reporter=Reporter(FakeClock()), lost_objects=none_lost)


class Helms(Helm):
    """Gives one release after the other, the last for ever."""

    def __init__(self, *releases: Release | None) -> None:
        self.releases = list(releases)

    def release(self, name: str) -> Release | None:
        return self.releases.pop(0) if len(self.releases) > 1 else self.releases[0]


def release(status: str, age: float) -> Release:
    stamp = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    return Release(2, status, {}, "", "binderhub", VERSION, "1", stamp)


def test_a_change_that_is_only_just_running_may_end() -> None:
    clock = FakeClock()
    helm = Helms(release("pending-upgrade", 1), release("pending-upgrade", 1), release("deployed", 1))
    settled = settle(helm, "binder", clock, lambda: NOW)
    assert settled is not None and settled.status == "deployed"
    assert clock.now() == 4


@pytest.mark.parametrize(("age", "waited"), [(1, 20), (3600, 0)])
def test_an_abandoned_change_is_not_waited_for_long(age: float, waited: float) -> None:
    clock = FakeClock()
    helm = Helms(release("pending-upgrade", age))
    settled = settle(helm, "binder", clock, lambda: NOW)
    assert settled is not None and settled.status == "pending-upgrade"
    assert clock.now() == waited


@pytest.mark.parametrize("entry", [None, release("deployed", 0)])
def test_what_is_at_rest_is_not_waited_for(entry: Release | None) -> None:
    clock = FakeClock()
    assert settle(Helms(entry), "binder", clock, lambda: NOW) is entry
    assert clock.now() == 0


def test_a_date_nobody_can_read_counts_as_old() -> None:
    entry = Release(1, "pending-install", {}, "", "c", "1", "1", "yesterday")
    clock = FakeClock()
    assert settle(Helms(entry), "binder", clock, lambda: NOW) is entry
    assert clock.now() == 0


class ChartOnly(Helm):
    def __init__(self) -> None:
        """Have no helm."""

    def path_version(self, source: ChartSource) -> str:
        return "1.2.3"


@pytest.mark.parametrize("version", ["", "latest", "1.0", ">=1.0.0", "^1.0.0", "1.x.x", "*"])
def test_a_floating_version_is_refused_by_name(version: str) -> None:
    with pytest.raises(HelmError, match="site_binderhub_chart_version"):
        pin_version(ChartOnly(), ChartSource("binderhub", version, "https://charts.example.org"))


@pytest.mark.parametrize("version", ["1.0.0", "v1.2.3", VERSION, "0.2.0-n217.h35366ea", "1.0.0+build.5"])
def test_an_exact_version_is_taken(version: str) -> None:
    assert pin_version(ChartOnly(), ChartSource("b", version, "https://x")).version == version


def test_a_chart_on_this_machine_says_its_version() -> None:
    assert pin_version(ChartOnly(), ChartSource("/charts/b", "")).version == "1.2.3"
    with pytest.raises(HelmError, match=r"is version 1\.2\.3"):
        pin_version(ChartOnly(), ChartSource("/charts/b", "1.2.4"))


def test_private_files_are_private_and_written_once(tmp_path: Path) -> None:
    path = tmp_path / "values" / "secret.yaml"
    assert write_private(path, "a", check_mode=True)
    assert not path.exists()
    assert write_private(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not write_private(path, "a")
    path.chmod(0o644)
    assert write_private(path, "a"), "a file that others may read is put right"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.yaml"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HelmError, match=r"file/x\.yaml cannot be kept.*binderhub_values_dir"):
        write_private(tmp_path / "file" / "x.yaml", "a")


def test_a_kept_file_of_other_bytes_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    assert write_private(tmp_path / "x", "ä")
    assert (tmp_path / "x").read_text(encoding="utf-8") == "ä"


def test_trust_is_what_the_machine_trusts_and_the_sites_own(tmp_path: Path) -> None:
    assert write_trust(tmp_path, " ") == ""
    assert list(tmp_path.iterdir()) == []
    file = write_trust(tmp_path, "-----BEGIN CERTIFICATE-----\nMINE\n-----END CERTIFICATE-----")
    assert "MINE" in (tmp_path / "ca.pem").read_text()
    assert file == str(tmp_path / "ca.pem")


def test_secrets_are_not_in_a_traceback() -> None:
    assert "password" not in repr(DESIRED)
