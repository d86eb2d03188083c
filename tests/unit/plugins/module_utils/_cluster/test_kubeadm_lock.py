"""Two runs on one machine, the first of them killed while its kubeadm lives: real processes, and a kubeadm that is a script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm import (
    Kubeadm,
    KubeadmError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_host import LocalHost
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport

# Writes what it does into a log; `init` leaves a half-made machine and takes as long as the file `slow` is there.
KUBEADM = """#!/bin/sh
echo "$1 begins $$" >> "$ROOT/log"
if [ "$1" = init ]; then
  mkdir -p "$ROOT/etc/kubernetes/pki"
  echo key > "$ROOT/etc/kubernetes/pki/ca.key"
  while [ -e "$ROOT/slow" ]; do sleep 0.05; done
fi
if [ "$1" = reset ]; then rm -rf "$ROOT/etc/kubernetes"; fi
echo "$1 ends" >> "$ROOT/log"
"""

LOCK = "var/lib/ironbinder/kubeadm.lock"
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_kubeadm_lock import work
work(Path(sys.argv[1])).bring_about()
"""


def work(root: Path) -> Kubeadm:
    """Give the work on a machine whose files are below `root`."""
    return Kubeadm(
        LocalHost(root),
        HttpTransport(),
        SystemClock(),
        LockFile(root / LOCK),
        state="init",
        config="/kubeadm-init.yaml",
        node_name="head1",
        cri_socket="unix:///none",
        timeout_seconds=120,
        recovery_seconds=0,
    )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubeadm").write_text(KUBEADM)
    (tmp_path / "bin" / "kubeadm").chmod(0o755)
    (tmp_path / "kubeadm-init.yaml").touch()
    (tmp_path / "slow").touch()
    monkeypatch.setenv("ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def log(machine: Path) -> list[str]:
    file = machine / "log"
    return file.read_text().splitlines() if file.exists() else []


def named(machine: Path, pid: str) -> bool:
    """Whether the lock says that this process has it."""
    holder = LockFile(machine / LOCK).holder()
    return holder is not None and str(holder.pid) == pid


def killed_while_kubeadm_lives(machine: Path) -> int:
    """Start a run, kill it when its kubeadm has begun and the lock has its name, and give kubeadm's number."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(machine), str(Path(__file__).parent)], env=environment
    )
    end = time.monotonic() + 60
    # A run that ends before it has told is gone, and nobody knows by name who has its lock.
    while not log(machine) or not named(machine, log(machine)[0].split()[-1]):
        assert run.poll() is None and time.monotonic() < end, "kubeadm did not begin"
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    return int(log(machine)[0].split()[-1])


def test_the_next_run_waits_and_only_then_resets(machine: Path) -> None:
    """The first kubeadm ends before the second run's reset begins."""
    kubeadm = killed_while_kubeadm_lives(machine)
    os.kill(kubeadm, 0)
    second = subprocess.Popen(
        [sys.executable, "-c", RUN, str(machine), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.0)
    assert (second.poll(), log(machine)) == (None, [f"init begins {kubeadm}"])
    (machine / "slow").unlink()
    _out, err = second.communicate(timeout=120)
    # The script makes no cluster, so the second run ends with what any half-made machine ends with.
    assert "kubeadm init ended well on head1, but" in err
    assert [line.rsplit(" ", 1)[0] if "begins" in line else line for line in log(machine)] == [
        *("init begins", "init ends", "reset begins", "reset ends", "init begins", "init ends")
    ]


def test_a_kubeadm_that_does_not_end_is_named(machine: Path) -> None:
    """Its own number, not that of the run that was killed."""
    kubeadm = killed_while_kubeadm_lives(machine)
    try:
        waiting = work(machine)
        waiting.timeout_seconds = 0
        with pytest.raises(KubeadmError, match=rf"process {kubeadm} \(`kubeadm init`\).*`kill {kubeadm}`"):
            waiting.bring_about()
        assert len(log(machine)) == 1
    finally:
        (machine / "slow").unlink()
