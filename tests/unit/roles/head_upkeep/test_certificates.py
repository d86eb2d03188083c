# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Certificates renewed, and in use: with processes that serve them, and kubeadm's recorded answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import LOCK_FILE
from control_plane import ControlPlane
from ironbinder_upkeep import certificates, cli
from ironbinder_upkeep.certificates import Head, renew
from ironbinder_upkeep.machine import KUBEADM_LOCK, UpkeepError
from ironbinder_upkeep.parts import PARTS
from programs import ROLES

DAY = 86400
NAMES = ("pki/apiserver", "pki/etcd/server", "pki/etcd/peer", "controller-manager", "scheduler")
ALL = [part.name for part in PARTS]


class Kubeadm:
    """What kubeadm says, and what it writes; kubectl says that all is well, once it was refused often enough."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.days_left = 300
        self.refusal = ""
        self.renewals = 0
        self.not_ready = 0

    def __call__(self, argv: Sequence[str]) -> str:
        if "check-expiration" in argv:
            entry = {"missing": False, "externallyManaged": False, "residualTime": self.days_left * DAY}
            others = [{**entry, "missing": True}, {**entry, "externallyManaged": True}]
            found = [
                {**one, "name": name, "residualTime": 1} for name, one in zip(("gone", "others"), others)
            ]
            return json.dumps({"certificates": [{**entry, "name": "apiserver"}, *found]})
        if "renew" in argv:
            if self.refusal:
                raise UpkeepError(self.refusal)
            self.renewals += 1
            for name in NAMES:
                self.plane.renew(name)
            self.days_left = 365
        if argv[0] == "kubectl" and self.not_ready:
            self.not_ready -= 1
            raise UpkeepError("[-]poststarthook/rbac/bootstrap-roles failed")
        return "ok"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path / "kubernetes")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def head(plane: ControlPlane) -> Head:
    """A head on which all parts are healthy."""
    found = Head(plane.folder, sleep=lambda _seconds: time.sleep(0.05))
    ends = time.monotonic() + 60
    while any(found.unused()):
        assert time.monotonic() < ends, list(found.unused())
        time.sleep(0.05)
    return found


@pytest.fixture
def kubeadm(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Kubeadm:
    made = Kubeadm(plane)
    monkeypatch.setattr(certificates, "run", made)
    return made


@pytest.fixture
def nightly(head: Head, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What the timer runs."""
    return lambda **how: renew(head, tmp_path / "state.json", 90, **how)


def state(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "state.json").read_text()))


@pytest.mark.usefixtures("kubeadm")
def test_a_quiet_night_changes_nothing(
    nightly: Callable[..., Any], plane: ControlPlane, tmp_path: Path
) -> None:
    assert nightly() == {"due": [], "renewed": False, "restarted": []}
    assert sorted(plane.starts) == sorted(ALL)
    assert (state(tmp_path)["error"], state(tmp_path)["in_use"]) == ("", True)


def test_what_ends_soon_is_renewed_and_in_use(
    nightly: Callable[..., Any], kubeadm: Kubeadm, head: Head, plane: ControlPlane, tmp_path: Path
) -> None:
    kubeadm.days_left = 80
    assert nightly() == {"due": ["apiserver"], "renewed": True, "restarted": ALL}
    assert list(head.unused()) == []
    assert plane.starts[len(ALL) :] == ALL
    assert state(tmp_path)["in_use"] is True
    # The next night has nothing to do.
    assert nightly() == {"due": [], "renewed": False, "restarted": []}


def test_an_api_that_has_just_begun_is_waited_for(
    nightly: Callable[..., Any], kubeadm: Kubeadm, tmp_path: Path
) -> None:
    kubeadm.not_ready = 3
    assert nightly(now=True)["restarted"] == ALL
    assert (kubeadm.not_ready, state(tmp_path)["in_use"]) == (0, True)


def test_ports_that_serve_old_ones_are_told(head: Head, plane: ControlPlane) -> None:
    """Else nothing would be proved."""
    plane.renew("pki/apiserver")
    plane.renew("pki/etcd/peer")
    told = list(head.unused())
    assert len(told) == 2
    assert "etcd" in told[0]
    assert "pki/etcd/peer.crt" in told[0]
    assert "pki/apiserver.crt" in told[1]


def test_what_was_renewed_by_hand_is_used_the_next_night(
    nightly: Callable[..., Any], kubeadm: Kubeadm, plane: ControlPlane, head: Head
) -> None:
    plane.renew("pki/apiserver")
    assert nightly() == {"due": [], "renewed": False, "restarted": ALL}
    assert (kubeadm.renewals, list(head.unused())) == (0, [])


def test_short_lived_ones_are_not_renewed_every_night(nightly: Callable[..., Any], kubeadm: Kubeadm) -> None:
    """A cluster whose certificates live for 60 days has none that last for 90."""
    kubeadm.days_left = 60
    assert nightly()["renewed"] is True
    kubeadm.days_left = 59
    assert nightly() == {"due": ["apiserver"], "renewed": False, "restarted": []}


def test_a_kill_is_made_good(
    nightly: Callable[..., Any], kubeadm: Kubeadm, tmp_path: Path, plane: ControlPlane
) -> None:
    """Some files may be of before and some of after: all are written again."""
    (tmp_path / "state.json").write_text(json.dumps({"began": 1, "renewed_at": 0, "in_use": False}))
    assert nightly() == {"due": [], "renewed": True, "restarted": ALL}
    assert kubeadm.renewals == 1
    assert len(plane.starts) == 2 * len(ALL)


def test_a_part_that_has_read_them_already_is_left_alone(
    nightly: Callable[..., Any], plane: ControlPlane, tmp_path: Path
) -> None:
    """What a kill in the middle of the restarts leaves."""
    before = {name: process.pid for name, process in plane.processes.items()}
    plane.age_files(100)
    (tmp_path / "state.json").write_text(json.dumps({"began": 1, "ended": 2, "in_use": False}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "run", Kubeadm(plane))
        assert nightly() == {"due": [], "renewed": False, "restarted": []}
    # One that was told to end would have ended by now.
    time.sleep(0.5)
    assert {name: process.pid for name, process in plane.processes.items()} == before
    assert state(tmp_path)["in_use"] is True


def test_a_part_that_stays_away_is_named(
    nightly: Callable[..., Any],
    kubeadm: Kubeadm,
    plane: ControlPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certificates, "RESTART_SECONDS", 2)
    # The first: no other one has to be back in so short a time.
    plane.stays_down.add("etcd")
    with pytest.raises(UpkeepError, match=r"etcd was told to end.*is not back after 2 s"):
        nightly(now=True)
    told = state(tmp_path)
    assert told["in_use"] is False
    assert "etcd" in told["error"]
    # And made good, without new certificates, when it can.
    plane.stays_down.clear()
    monkeypatch.setattr(certificates, "RESTART_SECONDS", 120)
    assert nightly()["renewed"] is False
    assert (kubeadm.renewals, state(tmp_path)["error"], state(tmp_path)["in_use"]) == (1, "", True)


@pytest.mark.usefixtures("kubeadm")
def test_a_part_that_stays_away_keeps_no_other_from_new_certificates(
    nightly: Callable[..., Any], plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They end all the same, long before the next night comes to it."""
    monkeypatch.setattr(certificates, "RESTART_SECONDS", 2)
    plane.stays_down.add("etcd")
    with pytest.raises(UpkeepError, match="etcd was told to end"):
        nightly(now=True)
    ends = time.monotonic() + 60
    while set(plane.starts[len(ALL) :]) != set(ALL[1:]):
        assert time.monotonic() < ends, plane.starts
        time.sleep(0.05)


@pytest.mark.usefixtures("kubeadm")
def test_a_part_that_did_not_run_was_not_told_to_end(
    nightly: Callable[..., Any], plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "RESTART_SECONDS", 2)
    for name in ("etcd", "kube-scheduler"):
        plane.lose(name)
    with pytest.raises(UpkeepError) as caught:
        nightly(now=True)
    for name in ("etcd", "kube-scheduler"):
        assert f"{name} was not told to end" in str(caught.value)
        assert f"{name} was told to end" not in str(caught.value)


@pytest.mark.usefixtures("kubeadm")
def test_an_etcd_that_runs_elsewhere_is_not_waited_for(
    nightly: Callable[..., Any], plane: ControlPlane, tmp_path: Path
) -> None:
    plane.lose("etcd")
    (plane.folder / "manifests/etcd.yaml").unlink()
    assert nightly(now=True)["restarted"] == ALL[1:]
    assert nightly() == {"due": [], "renewed": False, "restarted": []}
    assert state(tmp_path)["error"] == ""


def test_parts_are_waited_for_as_long_as_the_kubelet_lets_them_wait() -> None:
    """It backs off for five minutes at most; systemd ends the unit when all parts and the API took that long, and no earlier."""
    assert certificates.RESTART_SECONDS > 300 + 60
    unit = (ROLES / "head_upkeep/templates/job.service.j2").read_text()
    assert "\nTimeoutStartSec=1h\n" in unit
    assert (len(PARTS) + 1) * certificates.RESTART_SECONDS < 3600 - 600


@pytest.mark.parametrize("renewed_at", [None, "yesterday", True, float("nan"), 10**400, 1 << 40])
def test_a_record_that_somebody_changed_stops_nothing(
    nightly: Callable[..., Any], kubeadm: Kubeadm, tmp_path: Path, renewed_at: Any
) -> None:
    """Nor does one of a clock that was ahead."""
    kubeadm.days_left = 80
    (tmp_path / "state.json").write_text(json.dumps({"ended": 2, "renewed_at": renewed_at}))
    assert nightly()["renewed"] is True
    assert state(tmp_path)["error"] == ""


@pytest.mark.parametrize("fault", [TypeError("no list"), AssertionError(), KeyboardInterrupt()])
def test_no_failure_ends_without_a_reason(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """Also one that nobody thought of."""

    def asked(_argv: Sequence[str]) -> str:
        raise fault

    monkeypatch.setattr(certificates, "run", asked)
    with pytest.raises(type(fault)):
        renew(head, tmp_path / "state.json", 90)
    assert state(tmp_path)["error"].startswith(type(fault).__name__)


def test_a_refusal_of_kubeadm_is_told(
    nightly: Callable[..., Any], kubeadm: Kubeadm, tmp_path: Path, plane: ControlPlane
) -> None:
    kubeadm.days_left, kubeadm.refusal = 10, "`kubeadm certs renew all` ended with 1: no ca.key"
    for _ in range(2):
        with pytest.raises(UpkeepError, match=r"no ca\.key"):
            nightly()
    assert "no ca.key" in state(tmp_path)["error"]
    assert len(plane.starts) == len(ALL)


def test_no_other_kubeadm_works_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of the cluster, for example, which restarts the control plane as well."""
    assert str(cli.STATE_DIR / KUBEADM_LOCK) == LOCK_FILE
    theirs = LockFile(tmp_path / KUBEADM_LOCK)
    assert theirs.try_take()
    theirs.tell(1, "an upgrade to 1.36.3, with many words")
    seen: list[Any] = []

    def renewed(*_arguments: Any, **_options: Any) -> dict[str, Any]:
        other = LockFile(tmp_path / KUBEADM_LOCK)
        seen.append((other.try_take(), other.holder()))
        return {}

    monkeypatch.setattr(cli, "renew", renewed)
    thread = Thread(target=cli.main, args=(["--state-dir", str(tmp_path), "renew"],))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive() and seen == []
    theirs.release()
    thread.join(60)
    [(free, holder)] = seen
    assert not free
    assert holder is not None and holder.what == "ironbinder-upkeep renews certificates"
    assert theirs.try_take() and theirs.holder() is None


def test_the_clock_leaves_no_bytecode_beside_the_program(tmp_path: Path) -> None:
    """It comes at any time, also in the middle of a check, which changes nothing."""
    files = ROLES / "head_upkeep/files"
    shutil.copytree(
        files / "ironbinder_upkeep",
        tmp_path / "ironbinder_upkeep",
        ignore=shutil.ignore_patterns("*.pyc", "__pycache__"),
    )
    program = tmp_path / "ironbinder-upkeep"
    text = (files / "ironbinder-upkeep").read_text().replace("/usr/local/lib/ironbinder", str(tmp_path))
    program.write_text(text.replace("#!/usr/bin/python3", f"#!{sys.executable}"))
    program.chmod(0o755)
    subprocess.run([program, "--help"], check=True, capture_output=True)
    assert list(tmp_path.rglob("__pycache__")) == []
