# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import (
    ChartSource,
    HelmError,
    Release,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.release import (
    Desired,
    Reporter,
    apply,
    pin_version,
    plan,
    settle,
    write_private,
    write_trust,
)

VERSION = "1.0.0-0.dev.git.3983.h383374de"
SOURCE = ChartSource("binderhub", VERSION, "https://charts.example.org")
DESIRED = Desired("binder", SOURCE, {"a": {"b": 1}}, {"a": {"pw": "x"}})
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


def release(status="deployed", revision=2, values=None, version=VERSION, age=3600):
    stamp = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    values = DESIRED.merged if values is None else values
    return Release(revision, status, values, "manifest", "binderhub", version, "1", stamp)


class FakeClock:
    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


class FakeHelm:
    """A helm whose release is a list of revisions; writes down what changed it."""

    def __init__(self, *revisions, good=0):
        self.revisions = list(revisions)
        self.good = good
        self.done = []

    def release(self, _name):
        return self.revisions[-1] if self.revisions else None

    def last_good_revision(self, _name):
        return self.good

    def upgrade(self, name, source, _files, _seconds):
        self.done.append(f"upgrade {name} {source.version}")
        self.revisions.append(release(revision=len(self.revisions) + 1, version=source.version))

    def rollback(self, name, revision, _seconds):
        self.done.append(f"rollback {name} {revision}")
        self.revisions.append(next(entry for entry in self.revisions if entry.revision == revision))

    def uninstall(self, name, _seconds):
        self.done.append(f"uninstall {name}")
        self.revisions = []

    def path_version(self, _source):
        return "1.2.3"


def converge(helm):
    todo = plan(helm, DESIRED, helm.release("binder"))
    reporter = Reporter(FakeClock())
    after = (
        apply(helm, DESIRED, todo, [], seconds=60, reporter=reporter)
        if todo.changed
        else helm.release("binder")
    )
    return todo, after, reporter


OLD = {"a": {"b": 0, "pw": "x"}}


@pytest.mark.parametrize(
    ("helm", "action", "done"),
    [
        (FakeHelm(), "installed", [f"upgrade binder {VERSION}"]),
        (FakeHelm(release("uninstalled")), "installed", [f"upgrade binder {VERSION}"]),
        (FakeHelm(release()), "unchanged", []),
        (FakeHelm(release(values=OLD)), "upgraded", [f"upgrade binder {VERSION}"]),
        (FakeHelm(release(values={"a": {"b": 1, "pw": "y"}})), "upgraded", [f"upgrade binder {VERSION}"]),
        (FakeHelm(release(values={"a": {"b": True, "pw": "x"}})), "upgraded", [f"upgrade binder {VERSION}"]),
        (FakeHelm(release(values={"a": {"b": 1.0, "pw": "x"}})), "unchanged", []),
        (FakeHelm(release(version="1.0.0-0.dev.git.1.h1")), "upgraded", [f"upgrade binder {VERSION}"]),
        (FakeHelm(release("failed")), "repaired", [f"upgrade binder {VERSION}"]),
        (
            FakeHelm(release("pending-install", revision=1)),
            "repaired",
            ["uninstall binder", f"upgrade binder {VERSION}"],
        ),
        (
            FakeHelm(release("uninstalling"), good=1),
            "repaired",
            ["uninstall binder", f"upgrade binder {VERSION}"],
        ),
        (
            FakeHelm(release(revision=1, values=OLD), release("pending-upgrade"), good=1),
            "repaired",
            ["rollback binder 1", f"upgrade binder {VERSION}"],
        ),
        (
            FakeHelm(release(revision=1), release("pending-upgrade"), good=1),
            "repaired",
            ["rollback binder 1"],
        ),
        (
            FakeHelm(release(revision=1, values=OLD), release("pending-rollback"), good=1),
            "repaired",
            ["rollback binder 1", f"upgrade binder {VERSION}"],
        ),
        (
            FakeHelm(release("failed", revision=1), release("pending-upgrade"), good=0),
            "repaired",
            ["uninstall binder", f"upgrade binder {VERSION}"],
        ),
    ],
    ids=[
        "fresh install",
        "uninstalled with history",
        "unchanged",
        "value changed",
        "secret changed",
        "true is not one",
        "helm writes numbers its own way",
        "version changed",
        "failed",
        "pending-install",
        "uninstalling",
        "pending-upgrade",
        "pending-upgrade, and the good one is what is wanted",
        "pending-rollback",
        "pending-upgrade of what never was deployed",
    ],
)
def test_convergence(helm, action, done):
    todo, after, reporter = converge(helm)
    assert (todo.action, helm.done) == (action, done)
    assert after.status == "deployed"
    assert todo.changed is (action != "unchanged")
    assert bool(todo.note) is (action == "repaired")
    assert ("apply" in reporter.phases) is any(line.startswith("upgrade") for line in done)
    second, _after, _reporter = converge(helm)
    assert second.action == "unchanged"


def test_a_plan_changes_nothing():
    helm = FakeHelm(release(revision=1), release("pending-upgrade"), good=1)
    plan(helm, DESIRED, helm.release("binder"))
    assert helm.done == []


def test_a_release_that_vanishes_is_an_error():
    helm = FakeHelm()
    helm.upgrade = lambda *_: None
    with pytest.raises(HelmError, match="somebody else removed it"):
        converge(helm)


def test_a_change_that_is_only_just_running_may_end():
    clock = FakeClock()
    helm = FakeHelm(release("pending-upgrade", age=1))
    ask = helm.release
    helm.release = lambda name: release() if clock.now() >= 4 else ask(name)
    assert settle(helm, "binder", clock, lambda: NOW).status == "deployed"
    assert clock.now() == 4


@pytest.mark.parametrize(("age", "waited"), [(1, 20), (3600, 0)])
def test_an_abandoned_change_is_not_waited_for_long(age, waited):
    clock = FakeClock()
    assert (
        settle(FakeHelm(release("pending-upgrade", age=age)), "binder", clock, lambda: NOW).status
        == "pending-upgrade"
    )
    assert clock.now() == waited


def test_a_date_nobody_can_read_counts_as_old():
    entry = Release(1, "pending-install", {}, "", "c", "1", "1", "yesterday")
    clock = FakeClock()
    assert settle(FakeHelm(entry), "binder", clock, lambda: NOW) is entry
    assert clock.now() == 0


@pytest.mark.parametrize("version", ["", "latest", "1.0", ">=1.0.0", "^1.0.0", "1.x.x", "*"])
def test_a_floating_version_is_refused_by_name(version):
    with pytest.raises(HelmError, match="site_binderhub_chart_version"):
        pin_version(FakeHelm(), ChartSource("binderhub", version, "https://charts.example.org"))


@pytest.mark.parametrize("version", ["1.0.0", "v1.2.3", VERSION, "0.2.0-n217.h35366ea", "1.0.0+build.5"])
def test_an_exact_version_is_taken(version):
    assert pin_version(FakeHelm(), ChartSource("b", version, "https://x")).version == version


def test_a_chart_on_this_machine_says_its_version():
    assert pin_version(FakeHelm(), ChartSource("/charts/b", "")).version == "1.2.3"
    with pytest.raises(HelmError, match=r"is version 1\.2\.3"):
        pin_version(FakeHelm(), ChartSource("/charts/b", "1.2.4"))


def test_private_files_are_private_and_written_once(tmp_path):
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


def test_trust_is_what_the_machine_trusts_and_the_sites_own(tmp_path):
    assert write_trust(tmp_path, " ") == ""
    assert list(tmp_path.iterdir()) == []
    file = write_trust(tmp_path, "-----BEGIN CERTIFICATE-----\nMINE\n-----END CERTIFICATE-----")
    assert "MINE" in (tmp_path / "ca.pem").read_text()
    assert file == str(tmp_path / "ca.pem")


def test_secrets_are_not_in_a_traceback():
    assert "pw" not in repr(DESIRED)
