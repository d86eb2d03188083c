"""Locks of the kernel's own, taken by real processes that are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import (
    Holder,
    LockBusy,
    LockFile,
    held,
)

# Takes the lock, hands it to a child, prints the child's number and waits to be killed.
PARENT = """
import subprocess, sys, time
from pathlib import Path
from ansible_collections.ironbinder.platform.plugins.module_utils._base.lock import LockFile
lock = LockFile(Path(sys.argv[1]))
assert lock.try_take()
child = subprocess.Popen(["sleep", "60"], pass_fds=lock.handles())
lock.tell(child.pid, "sleep 60")
print(child.pid, flush=True)
time.sleep(60)
"""


class Clock:
    """Time that passes when somebody waits, and what happens then."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.then: dict[float, LockFile] = {}

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for at in [at for at in self.then if self.seconds >= at]:
            self.then.pop(at).release()


def freed(lock: LockFile) -> bool:
    """Give the kernel a moment: a killed process is not gone at once."""
    end = time.monotonic() + 60
    while not lock.try_take():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def ended(pid: int) -> bool:
    """The kernel closes a process's files first. Whoever inherited it may not have looked at it yet."""
    end = time.monotonic() + 60
    with suppress(OSError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True
    return not Holder(pid, "").alive


def test_a_child_keeps_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    """Until it ends itself, and then nothing has to be cleaned up."""
    path = tmp_path / "deep" / "kubeadm.lock"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        lock = LockFile(path)
        assert not lock.try_take()
        assert lock.holder() == Holder(child, "sleep 60")
        assert lock.holder().alive  # type: ignore[union-attr]
    finally:
        os.kill(child, signal.SIGKILL)
    assert freed(lock)
    assert ended(child)
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_at_a_time_and_again(tmp_path: Path) -> None:
    """Two openings of one file are two; releasing twice does no harm; taking twice is taking once."""
    one, two = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert one.try_take() and one.try_take()
    assert not two.try_take()
    one.release()
    one.release()
    assert two.try_take()


def test_held_waits_tells_and_lets_go(tmp_path: Path) -> None:
    """Whoever waits is told once who has it; an error in the block frees it too."""
    first, clock = LockFile(tmp_path / "lock"), Clock()
    told: list[Holder | None] = []
    assert first.try_take()
    first.tell(1, "make lab")
    clock.then = {7: first}
    mine = LockFile(first.path)
    with (
        pytest.raises(ZeroDivisionError),
        held(mine, "me", clock=clock, timeout_seconds=60, waiting=told.append) as lock,
    ):
        assert lock.holder() == Holder(os.getpid(), "me")
        raise ZeroDivisionError
    assert (told, clock.seconds) == ([Holder(1, "make lab")], 7)
    assert first.try_take()
    with pytest.raises(LockBusy) as caught, held(mine, "me", clock=clock, timeout_seconds=5):
        raise AssertionError("two have it")
    assert (caught.value.holder, caught.value.seconds) == (Holder(os.getpid(), "me"), 5)


def test_a_lock_without_a_file_is_free_for_who_only_looks(tmp_path: Path) -> None:
    """And none is made."""
    lock = LockFile(tmp_path / "none" / "lock")
    with held(lock, "a look", clock=Clock(), timeout_seconds=0, create=False):
        assert lock.handles() == ()
    assert list(tmp_path.iterdir()) == []
    # One that is there is taken, and not written to.
    lock = LockFile(tmp_path / "lock")
    (tmp_path / "lock").write_text("as it was")
    with held(lock, "a look", clock=Clock(), timeout_seconds=0, create=False):
        assert not LockFile(lock.path).try_take()
    assert (tmp_path / "lock").read_text() == "as it was"


def test_an_end_that_leaves_nobody_behind_leaves_no_name(tmp_path: Path) -> None:
    """A name that stayed would be told of whoever has the lock next."""
    lock = LockFile(tmp_path / "lock")
    with held(lock, "me", clock=Clock(), timeout_seconds=0):
        assert LockFile(lock.path).holder() == Holder(os.getpid(), "me")
    assert lock.holder() is None
    with pytest.raises(ZeroDivisionError), held(lock, "me", clock=Clock(), timeout_seconds=0):
        raise ZeroDivisionError
    assert lock.holder() == Holder(os.getpid(), "me")


def test_a_file_that_was_removed_and_made_anew_is_another_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking the whole folder may go: what is locked then keeps nobody out."""
    path = tmp_path / "lock"
    real = os.open

    def replaced(*given: object, **named: object) -> int:
        handle = real(*given, **named)  # type: ignore[arg-type]
        path.unlink()
        os.close(real(path, os.O_CREAT | os.O_WRONLY))
        return handle

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", replaced)
        assert not LockFile(path).try_take()
    assert LockFile(path).try_take()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"pid": "x", "what": ""}', '{"pid": 1}', "\x00\xff"])
def test_half_written_words_of_a_holder_are_no_words(tmp_path: Path, text: str) -> None:
    """The lock is the kernel's; the text is for people."""
    (tmp_path / "lock").write_text(text)
    assert LockFile(tmp_path / "lock").holder() is None
    assert LockFile(tmp_path / "lock").try_take()
