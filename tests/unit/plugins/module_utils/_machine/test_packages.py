"""Packages are installed, held, refused and moved by the real apt, on a root of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apt_root
import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.package_lists import State
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.packages import (
    HeldPackages,
    Outcome,
    PackagesError,
    Wanted,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import LEDGER_FILE, Ledger

pytestmark = pytest.mark.skipif(not apt_root.USABLE, reason="needs root, apt and dpkg")

KUBE = ["kubelet", "kubeadm"]
UPDATE, PLAN, INSTALL, HOLD = "apt-get update", "apt-get --simulate", "apt-get install", "apt-mark hold"
ASK, LOOK = "dpkg-query", "apt-cache policy"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def machine(tmp_path: Path) -> apt_root.AptRoot:
    machine = apt_root.AptRoot(tmp_path)
    for version in ("1.36.2-1.1", "1.36.3-1.1", "1.36.3-1.2", "1.36.30-1.1"):
        for name in KUBE:
            machine.offer(name, version)
    machine.offer("conntrack", "1:1.4.7-1")
    return machine


def have(machine: apt_root.AptRoot, check_mode: bool = False, **wanted: Any) -> Outcome:
    given = {"names": KUBE, "version": "1.36.3", **wanted}
    return HeldPackages(machine.run, Clock(), Wanted(**given), ledger(machine)).bring_about(check_mode)


def ledger(machine: apt_root.AptRoot) -> Ledger:
    return Ledger(machine.root / LEDGER_FILE)


def versions(states: Any) -> dict[str, tuple[str, bool]]:
    return {name: (state.version, state.held) for name, state in states.items()}


def test_a_bare_machine_and_the_run_after_it(machine: apt_root.AptRoot) -> None:
    """The lists are fetched because they know nothing; the second run costs one process; nothing else is held."""
    made = have(machine, also=["conntrack"])
    assert machine.tools() == [ASK, LOOK, UPDATE, LOOK, PLAN, INSTALL, HOLD, ASK]
    assert (made.changed, made.present) == (True, True)
    assert versions(made.before) == dict.fromkeys([*KUBE, "conntrack"], ("", False))
    wanted = {**dict.fromkeys(KUBE, ("1.36.3-1.2", True)), "conntrack": ("1:1.4.7-1", False)}
    assert versions(made.after) == wanted
    again = have(machine, also=["conntrack"])
    assert (again.changed, again.present, versions(again.before), again.after) == (
        *(False, True, wanted),
        again.before,
    )
    assert machine.tools() == [ASK]


def test_a_check_changes_nothing_and_foretells(machine: apt_root.AptRoot) -> None:
    """Without lists it foretells the version that was asked for, with them the whole version."""
    told = have(machine, check_mode=True, also=["conntrack"])
    assert (told.changed, told.present) == (True, False)
    assert versions(told.after) == {**dict.fromkeys(KUBE, ("1.36.3", True)), "conntrack": ("latest", False)}
    assert machine.tools() == [ASK, LOOK, PLAN]
    machine.run(["apt-get", "update"])
    told = have(machine, check_mode=True)
    assert versions(told.after) == dict.fromkeys(KUBE, ("1.36.3-1.2", True))
    assert versions(have(machine).after) == versions(told.after)


def test_a_hold_that_is_missing_is_all_that_is_mended(machine: apt_root.AptRoot) -> None:
    """A check says so, without asking apt."""
    have(machine)
    machine.run(["apt-mark", "unhold", "kubeadm"])
    machine.tools()
    told = have(machine, check_mode=True)
    assert (told.changed, told.present, told.after["kubeadm"]) == (
        *(True, True),
        State("kubeadm", "1.36.3-1.2", True),
    )
    done = have(machine)
    assert (done.changed, versions(done.after)) == (True, versions(told.after))
    assert machine.tools() == [ASK, ASK, HOLD, ASK]
    assert not have(machine, hold=False).changed


@pytest.mark.parametrize("check_mode", [False, True])
def test_another_version_is_refused_with_both_named(machine: apt_root.AptRoot, check_mode: bool) -> None:
    """And with the words of whoever knows what to do; nothing is installed beside it."""
    have(machine, version="1.36.2")
    machine.tools()
    with pytest.raises(
        PackagesError, match=r"kubelet 1\.36\.2-1\.1, .*1\.36\.3 was asked for\. Upgrade first\.$"
    ):
        have(machine, check_mode, also=["conntrack"], refusal_hint="Upgrade first.")
    assert machine.tools() == [ASK]


@pytest.mark.parametrize("target", ["1.36.2", "1.36.30"])
def test_another_version_where_that_is_allowed(machine: apt_root.AptRoot, target: str) -> None:
    """Up and down, although it is held."""
    have(machine)
    told = have(machine, check_mode=True, version=target, allow_change=True)
    done = have(machine, version=target, allow_change=True)
    assert versions(done.after) == versions(told.after) == dict.fromkeys(KUBE, (f"{target}-1.1", True))


@pytest.mark.parametrize("target", ["1.36.2", "1.36.30"])
def test_some_may_always_be_moved(machine: apt_root.AptRoot, target: str) -> None:
    """As long as no other one differs; then nothing is moved at all, and only that one is named."""
    have(machine)
    have(machine, names=["kubeadm"], version=target, allow_change=True)
    told = have(machine, check_mode=True, movable=["kubeadm"])
    done = have(machine, movable=["kubeadm"])
    assert done.changed
    assert versions(done.after) == versions(told.after) == dict.fromkeys(KUBE, ("1.36.3-1.2", True))
    machine.tools()
    with pytest.raises(PackagesError, match=rf"has kubelet 1\.36\.3-1\.2, and {re.escape(target)} was asked"):
        have(machine, version=target, movable=["kubeadm"])
    assert machine.tools() == [ASK]


def test_a_hold_that_an_admin_set_survives_a_move(machine: apt_root.AptRoot) -> None:
    """apt takes it away from what it moves, also where nobody asked for a hold."""
    have(machine)
    done = have(machine, version="1.36.2", allow_change=True, hold=False)
    assert versions(done.after) == dict.fromkeys(KUBE, ("1.36.2-1.1", True))


def test_a_version_that_nobody_has(machine: apt_root.AptRoot) -> None:
    """The message names what there is; a check leaves it open, since a real run fetches the lists first."""
    with pytest.raises(
        PackagesError, match=r"has kubelet 1\.37\.0, but 1\.36\.30-1\.1, 1\.36\.3-1\.2.*apt-cache policy"
    ):
        have(machine, version="1.37.0")
    assert machine.tools().count(UPDATE) == 1
    with pytest.raises(PackagesError, match=r"no apt repository of this machine has nosuch\. Look"):
        have(machine, names=["nosuch"], update_cache="never", check_mode=True)
    assert have(machine, check_mode=True, version="1.37.0").after["kubelet"].version == "1.37.0"


def test_lists_are_fetched_as_asked(machine: apt_root.AptRoot) -> None:
    """Never, where they know nothing; always, where they do."""
    with pytest.raises(PackagesError, match="no apt repository"):
        have(machine, update_cache="never")
    assert UPDATE not in machine.tools()
    machine.run(["apt-get", "update"])
    machine.tools()
    have(machine, update_cache="always")
    assert machine.tools() == [ASK, UPDATE, LOOK, PLAN, INSTALL, HOLD, ASK]


def test_lists_that_lead_to_nothing_are_fetched_again(machine: apt_root.AptRoot) -> None:
    """A repository that has moved on, as when a machine was off for months."""
    machine.run(["apt-get", "update"])
    for deb in machine.repository.glob("*1.36.3-1.2*"):
        deb.unlink()
    machine.index()
    machine.tools()
    assert versions(have(machine).after) == dict.fromkeys(KUBE, ("1.36.3-1.1", True))
    assert machine.tools() == [ASK, LOOK, PLAN, INSTALL, UPDATE, LOOK, PLAN, INSTALL, HOLD, ASK]


def test_any_version_will_do(machine: apt_root.AptRoot) -> None:
    """What is there stays; what is not comes as apt chooses."""
    have(machine, names=["kubelet"], version="1.36.2", hold=False)
    done = have(machine, version="", hold=False)
    assert versions(done.after) == {"kubelet": ("1.36.2-1.1", False), "kubeadm": ("1.36.30-1.1", False)}


@pytest.mark.parametrize("check_mode", [True, False])
def test_nothing_is_removed_by_the_way(machine: apt_root.AptRoot, check_mode: bool) -> None:
    """As Docker's containerd.io does to docker.io: apt is asked first, so that the refusal comes before any change."""
    machine.offer("runc", "1.1.5-1")
    machine.offer("containerd", "1.6.20-1", Depends="runc")
    machine.offer("docker.io", "20.10.24-1", Depends="containerd (>= 1.4)")
    machine.offer(
        *("containerd.io", "2.4.2-1"),
        **{"Provides": "containerd", "Conflicts": "containerd, runc", "Replaces": "containerd, runc"},
    )
    machine.run(["apt-get", "update"])
    machine.run(["apt-get", "install", "--yes", "docker.io"])
    before = (machine.root / "var/lib/dpkg/status").read_text()
    asked: dict[str, Any] = {"names": ["containerd.io"], "version": "2.4.2", "removal_hint": "Say so."}
    for allowed in ("none", "own"):
        with pytest.raises(
            PackagesError, match=r"would remove .*docker\.io 20.*Nothing was changed\. Say so\.$"
        ):
            have(machine, check_mode, allow_removal=allowed, **asked)
    assert (machine.root / "var/lib/dpkg/status").read_text() == before
    assert not ledger(machine).file.exists()
    told = have(machine, check_mode, allow_removal="all", **asked)
    assert versions(told.after) == {"containerd.io": ("2.4.2-1", True)}
    there = (machine.root / "var/lib/dpkg/status").read_text()
    assert ("Package: docker.io\nStatus: install ok installed" in there) is check_mode


def test_what_ironbinder_brought_may_go(machine: apt_root.AptRoot) -> None:
    """With everything that came along; but only where that is asked for. A package that was there is never ours."""
    machine.offer("old-runtime", "1-1", Depends="conntrack")
    machine.offer("new-runtime", "2-1", Conflicts="old-runtime, conntrack")
    have(machine, names=["old-runtime"], version="", hold=False)
    assert ledger(machine).names() == {"old-runtime", "conntrack"}
    asked: dict[str, Any] = {"names": ["new-runtime"], "version": "2"}
    with pytest.raises(PackagesError, match="would remove"):
        have(machine, **asked)
    done = have(machine, allow_removal="own", **asked)
    assert versions(done.after) == {"new-runtime": ("2-1", True)}
    machine.offer("kubelet", "1.36.4-1")
    machine.run(["apt-get", "update"])
    machine.run(["apt-get", "install", "--yes", "kubelet=1.36.2-1.1"])
    have(machine, names=["kubelet"], version="1.36.3", allow_change=True)
    assert ledger(machine).names() == {"old-runtime", "conntrack", "new-runtime"}


def test_the_ledger_is_written_before_apt_begins(machine: apt_root.AptRoot) -> None:
    """A run that is killed in the middle of apt finds its packages again as its own."""

    def killed(argv: Sequence[str]) -> tuple[int, str, str]:
        if list(argv[:2]) == ["apt-get", "install"]:
            raise KeyboardInterrupt
        return machine.run(argv)

    with pytest.raises(KeyboardInterrupt):
        HeldPackages(killed, Clock(), Wanted(names=["kubelet"]), ledger(machine)).bring_about()
    assert ledger(machine).names() == {"kubelet"}


def test_an_apt_that_was_killed_is_finished(machine: apt_root.AptRoot) -> None:
    """dpkg leaves its journal behind, and every apt refuses to work until somebody has put that right."""
    have(machine, names=["kubelet"])
    journal = machine.root / "var/lib/dpkg/updates/0000"
    status = (machine.root / "var/lib/dpkg/status").read_text()
    journal.write_text(re.sub("hold ok installed", "hold ok half-configured", status))
    rc, _out, err = machine.run(["apt-get", "install", "--yes", "kubeadm"])
    assert rc and "dpkg --configure -a" in err
    machine.tools()
    assert versions(have(machine).after) == dict.fromkeys(KUBE, ("1.36.3-1.2", True))
    assert "dpkg" in machine.tools()


def test_another_apt_is_waited_for(machine: apt_root.AptRoot) -> None:
    """As unattended-upgrades is, in the first minutes of a machine's life; a limit ends it."""
    locked = (100, "", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 123 (apt-get)\n")

    def busy(times: float) -> Any:
        def run(argv: Sequence[str]) -> tuple[int, str, str]:
            nonlocal times
            if list(argv[:2]) == ["apt-get", "update"] and times > 0:
                times -= 1
                return locked
            return machine.run(argv)

        return run

    clock = Clock()
    HeldPackages(busy(3), clock, Wanted(names=KUBE, version="1.36.3"), ledger(machine)).bring_about()
    assert clock.seconds == 15
    (machine.root / "var/lib/dpkg/status").write_text("")
    with pytest.raises(PackagesError, match=r"`apt-get update` ended with 100: .*held by process 123"):
        HeldPackages(
            busy(float("inf")),
            clock,
            Wanted(names=KUBE, version="1.36.3", update_cache="always", lock_seconds=60),
            ledger(machine),
        ).bring_about()
    assert clock.seconds == 75


FRONTEND = "dpkg: error: dpkg frontend lock was locked by another process with pid 123\n"
LOCKS = {
    "apt-get update": (
        100,
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 123 (apt-get)\n",
    ),
    "apt-get install": (100, FRONTEND + "E: Sub-process /usr/bin/dpkg returned an error code (2)\n"),
    # As dpkg 1.20 says it, which apt-mark passes on.
    "apt-mark hold": (
        100,
        "dpkg: error: dpkg frontend lock is locked by another process\nE: Executing dpkg failed\n",
    ),
    "dpkg --force-confdef": (2, "dpkg: error: dpkg status database is locked by another process\n"),
}


@pytest.mark.parametrize("place", LOCKS)
def test_a_dpkg_at_work_is_waited_for_like_an_apt(machine: apt_root.AptRoot, place: str) -> None:
    """dpkg says it in words of its own, whichever command asks it."""
    have(machine, names=["kubelet"], hold=False)
    journal = machine.root / "var/lib/dpkg/updates/0000"
    status = (machine.root / "var/lib/dpkg/status").read_text()
    journal.write_text(status.replace("install ok installed", "install ok half-configured"))
    times = 3

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        nonlocal times
        if " ".join(argv[:2]) == place and times > 0:
            times -= 1
            rc, err = LOCKS[place]
            return rc, "", err
        return machine.run(argv)

    clock = Clock()
    wanted = Wanted(names=KUBE, version="1.36.3", update_cache="always")
    assert versions(HeldPackages(run, clock, wanted, ledger(machine)).bring_about().after) == dict.fromkeys(
        KUBE, ("1.36.3-1.2", True)
    )
    assert clock.seconds == 15


@pytest.mark.parametrize("status", ["half-configured", "unpacked"])
def test_a_package_that_was_left_half_done(machine: apt_root.AptRoot, status: str) -> None:
    """It is finished in its version; another version of it is refused like one that is whole."""
    have(machine)
    file = machine.root / "var/lib/dpkg/status"
    file.write_text(file.read_text().replace("hold ok installed", f"hold ok {status}"))
    for check_mode in (True, False):
        with pytest.raises(PackagesError, match=r"has kubelet 1\.36\.3-1\.2, .*1\.36\.2 was asked for"):
            have(machine, check_mode, version="1.36.2")
    machine.offer("kubelet", "1.36.3-1.3")
    machine.run(["apt-get", "update"])
    told, done = have(machine, check_mode=True), have(machine)
    assert told.changed and done.changed
    assert versions(told.after) == versions(done.after) == dict.fromkeys(KUBE, ("1.36.3-1.2", True))
    assert not have(machine).changed


@pytest.mark.parametrize("want", ["hold", "install"])
@pytest.mark.parametrize("newer", ["", "1.36.3-1.3"])
@pytest.mark.parametrize("place", ["status", "updates/0000"])
def test_a_package_that_was_being_unpacked(
    machine: apt_root.AptRoot, want: str, newer: str, place: str
) -> None:
    """Some of its files are missing: it is unpacked anew, and apt does not say by itself that it has to be."""
    have(machine)
    if newer:
        machine.offer("kubelet", newer)
        machine.run(["apt-get", "update"])
    # What dpkg wrote last is in its journal until it ends, or until another one does.
    status = (machine.root / "var/lib/dpkg/status").read_text()
    [kubelet] = [entry for entry in status.split("\n\n") if entry.startswith("Package: kubelet\n")]
    torn = re.sub("Status: .*", f"Status: {want} reinstreq half-installed", kubelet)
    text = status.replace(kubelet, torn) if place == "status" else f"{torn}\n"
    (machine.root / "var/lib/dpkg" / place).write_text(text)
    told, done = have(machine, check_mode=True), have(machine)
    assert told.changed and done.changed
    assert versions(told.after) == versions(done.after)
    assert versions(done.after)["kubelet"] == (newer or "1.36.3-1.2", True)
    assert not have(machine).changed


def test_what_is_installed_has_to_run(machine: apt_root.AptRoot) -> None:
    """Asked in every run, but not by a check of a machine that has nothing yet."""
    proof: dict[str, Any] = {"proof_argv": ["echo", "Kubernetes v1.36.3"]}
    have(machine, check_mode=True, **proof, proof_stdout="not asked")
    have(machine, **proof, proof_stdout="Kubernetes v1.36.3")
    with pytest.raises(
        PackagesError, match=r"should say 'v2', but ended with 0 and said 'Kubernetes v1\.36\.3'"
    ):
        have(machine, check_mode=True, **proof, proof_stdout="v2")
    with pytest.raises(PackagesError, match=r"ended with 1 and said ''.*--reinstall kubelet kubeadm"):
        have(machine, proof_argv=["false"])


@pytest.mark.parametrize("allow_change", [True, False])
def test_what_is_kept_stays_in_its_version(machine: apt_root.AptRoot, allow_change: bool) -> None:
    """Nodes that were installed on other days differ: neither refused nor moved, only held; a new one gets what is asked."""
    have(machine, names=["kubelet"], version="1.36.2", hold=False)
    made = have(machine, kept=["kubelet"], allow_change=allow_change)
    assert versions(made.after) == {"kubelet": ("1.36.2-1.1", True), "kubeadm": ("1.36.3-1.2", True)}
    assert not have(machine, kept=KUBE, version="1.36.30", allow_change=allow_change).changed


def test_packages_that_count_their_own_versions(machine: apt_root.AptRoot) -> None:
    """Installed and held together with the others, refused and moved by their own version; an empty one is any."""
    for version in ("0.37.1-1~debian.12", "0.38.2-1~debian.12"):
        machine.offer("docker-buildx-plugin", version)
    names = [*KUBE, "docker-buildx-plugin"]
    made = have(machine, names=names, versions={"docker-buildx-plugin": "0.37.1"})
    assert versions(made.after)["docker-buildx-plugin"] == ("0.37.1-1~debian.12", True)
    assert versions(made.after)["kubelet"] == ("1.36.3-1.2", True)
    assert not have(machine, names=names, versions={"docker-buildx-plugin": ""}).changed
    with pytest.raises(
        PackagesError, match=r"has docker-buildx-plugin 0\.37\.1-1.*, and 0\.38\.2 was asked for"
    ):
        have(machine, names=names, versions={"docker-buildx-plugin": "0.38.2"})
    moved = have(machine, names=names, versions={"docker-buildx-plugin": "0.38.2"}, allow_change=True)
    assert versions(moved.after)["docker-buildx-plugin"] == ("0.38.2-1~debian.12", True)
    with pytest.raises(PackagesError, match=r"has docker-buildx-plugin 9\.9\.9, but 0\.38\.2-1"):
        have(machine, names=names, versions={"docker-buildx-plugin": "9.9.9"}, allow_change=True)
