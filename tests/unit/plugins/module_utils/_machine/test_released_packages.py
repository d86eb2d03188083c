# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Packages are let go of by the real apt, on a root of its own: what is ours, and nothing of others."""

from __future__ import annotations

from pathlib import Path

import apt_root
import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.packages import (
    HeldPackages,
    Outcome,
    PackagesError,
    Wanted,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.released_packages import (
    ReleasedPackages,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import LEDGER_FILE, Ledger
from hand_clock import HandClock

pytestmark = pytest.mark.skipif(not apt_root.USABLE, reason="needs root, apt and dpkg")

NAMES = ["kubelet", "kubectl"]


@pytest.fixture
def machine(tmp_path: Path) -> apt_root.AptRoot:
    """kubectl was there before; kubelet came with conntrack, and with libnetfilter that it needs."""
    machine = apt_root.AptRoot(tmp_path)
    machine.offer("libnetfilter", "1")
    machine.offer("kubelet", "1.36.3-1.1", Depends="libnetfilter")
    machine.offer("kubectl", "1.36.3-1.1")
    machine.offer("conntrack", "1:1.4.7-1")
    machine.offer("theirs", "1", Depends="conntrack")
    machine.run(["apt-get", "update"])
    machine.run(["apt-get", "install", "--yes", "kubectl"])
    wanted = Wanted(NAMES, "1.36.3", also=["conntrack"])
    HeldPackages(machine.run, HandClock(), wanted, ledger(machine)).bring_about()
    assert there(machine) == {"kubectl", "kubelet", "conntrack", "libnetfilter"}
    return machine


def ledger(machine: apt_root.AptRoot) -> Ledger:
    return Ledger(machine.root / LEDGER_FILE)


def there(machine: apt_root.AptRoot) -> set[str]:
    out = machine.run(["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n"])[1]
    return {line.split()[1] for line in out.splitlines() if line.startswith("installed ")}


def held(machine: apt_root.AptRoot) -> set[str]:
    return set(machine.run(["apt-mark", "showhold"])[1].split())


def let_go(machine: apt_root.AptRoot, check_mode: bool = False, purge: bool = False) -> Outcome:
    wanted = Wanted(NAMES, also=["conntrack"])
    work = ReleasedPackages(machine.run, HandClock(), wanted, ledger(machine), purge=purge)
    return work.bring_about(check_mode)


def test_holds_go_and_packages_stay(machine: apt_root.AptRoot) -> None:
    """Check, do, check, do."""
    checked = let_go(machine, check_mode=True)
    assert held(machine) == {"kubelet", "kubectl"}
    done = let_go(machine)
    assert (checked.changed, checked.after) == (done.changed, done.after) == (True, done.after)
    assert (held(machine), len(there(machine))) == (set(), 4)
    assert "kubelet" in ledger(machine).names(), "it is still ours"
    for check in (True, False):
        assert not let_go(machine, check_mode=check).changed


def test_what_we_brought_goes_with_what_it_needed(machine: apt_root.AptRoot) -> None:
    checked = let_go(machine, check_mode=True, purge=True)
    assert len(there(machine)) == 4
    done = let_go(machine, purge=True)
    assert checked.after == done.after
    assert there(machine) == {"kubectl"}, "that was there before"
    assert held(machine) == set()
    assert ledger(machine).names() == frozenset()
    for check in (True, False):
        assert not let_go(machine, check_mode=check, purge=True).changed


def test_a_tool_that_others_need_stays(machine: apt_root.AptRoot) -> None:
    """As nftables does for a Docker that is held: also where that is ours, and goes later."""
    machine.run(["apt-get", "install", "--yes", "theirs"])
    machine.run(["apt-mark", "hold", "theirs"])
    ledger(machine).add(["theirs"])
    checked = let_go(machine, check_mode=True, purge=True)
    done = let_go(machine, purge=True)
    assert checked.after == done.after
    assert there(machine) == {"kubectl", "theirs", "conntrack"}
    assert ledger(machine).names() == {"theirs", "conntrack"}
    assert not let_go(machine, purge=True).changed


def test_what_others_need_is_not_torn_away(machine: apt_root.AptRoot) -> None:
    machine.offer("theirs", "2", Depends="kubelet")
    machine.run(["apt-get", "update"])
    machine.run(["apt-get", "install", "--yes", "theirs"])
    for check in (True, False):
        with pytest.raises(PackagesError, match=r"would remove theirs 2 with .*Nothing was removed"):
            let_go(machine, check_mode=check, purge=True)
    assert {"theirs", "kubelet", "conntrack"} <= there(machine)
