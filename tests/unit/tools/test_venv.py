"""Clones share one cache: none removes the environment that another one uses, and one is made by one of them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DAY = 86400

# A Python whose `-m venv` takes a while, counts itself and makes a pip that does nothing.
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exec [ ! -e "$REFUSE_VENV" ]
[ "$1" = -m ] || exit 9
echo made >> "$COUNT"
sleep 0.5
mkdir -p "$3/bin"
printf '#!/bin/sh\\n[ ! -e "$REFUSE" ]\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    monkeypatch.setenv("REFUSE", str(tmp_path / "refuse"))
    monkeypatch.setenv("REFUSE_VENV", str(tmp_path / "refuse-venv"))
    # What it needs from apt is there wherever this test runs.
    (tmp_path / "dpkg-query").write_text("#!/bin/sh\necho installed\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return python


def start(python: Path, venv: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([ROOT / "tests" / "tools" / "venv", python, venv], cwd=ROOT)


def old(path: Path, days: float) -> Path:
    seconds = time.time() - days * DAY
    os.utime(path, (seconds, seconds))
    return path


def test_others_go_when_nobody_used_them_for_two_weeks(python: Path, tmp_path: Path) -> None:
    """One without `done` is being made, or was given up; other folders of the cache are none of it."""
    cache = tmp_path / "cache"
    used, unused, being_made, given_up = (cache / f"venv-{digit * 12}" for digit in "1234")
    for folder in (used, unused, being_made, given_up, cache / "logs"):
        folder.mkdir(parents=True)
    for folder in (used, unused):
        (folder / "done").touch()
    old(used / "done", 13)
    old(used, 90)
    old(unused / "done", 15)
    for folder in (given_up, cache / "logs"):
        old(folder, 15)
    mine = cache / "venv-0123456789ab"
    assert start(python, mine).wait() == 0
    assert {path for path in cache.iterdir() if path.is_dir()} == {used, being_made, cache / "logs", mine}
    # It is used: that shows, and nothing is made again.
    old(mine / "done", 30)
    assert start(python, mine).wait() == 0
    assert time.time() - (mine / "done").stat().st_mtime < DAY
    assert (tmp_path / "count").read_text() == "made\n"


def test_two_clones_make_one_environment(python: Path, tmp_path: Path) -> None:
    """The second waits, and finds it there."""
    mine = tmp_path / "cache" / "venv-0123456789ab"
    both = [start(python, mine) for _ in range(2)]
    assert [run.wait() for run in both] == [0, 0]
    assert (tmp_path / "count").read_text() == "made\n"


def test_a_half_made_environment_is_made_again(python: Path, tmp_path: Path) -> None:
    """Without `done` it is none, whatever is in it."""
    mine = tmp_path / "cache" / "venv-0123456789ab"
    (tmp_path / "refuse").touch()
    assert start(python, mine).wait() != 0
    assert not (mine / "done").exists()
    (tmp_path / "refuse").unlink()
    (mine / "half").touch()
    assert start(python, mine).wait() == 0
    assert (mine / "done").exists() and not (mine / "half").exists()


def told_by(python: Path | str, venv: Path) -> str:
    """What it says where it gives up."""
    program = [ROOT / "tests" / "tools" / "venv", python, venv]
    run = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert not (venv / "done").exists()
    return run.stderr


def test_who_is_not_root_is_told_what_to_install(python: Path, tmp_path: Path) -> None:
    """In one line, and apt is not called for them."""
    mine = tmp_path / "cache" / "venv-0123456789ab"
    (tmp_path / "refuse-venv").touch()
    for name, text in {"id": "echo 1000", "apt-get": "exit 9", "dpkg-query": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    assert told_by(python, mine) == "setup: something is missing here: sudo apt-get install python3-venv\n"
    (tmp_path / "refuse-venv").unlink()
    assert start(python, mine).wait() == 0


def test_a_python_that_is_not_there_is_named(python: Path, tmp_path: Path) -> None:
    mine = tmp_path / "cache" / "venv-0123456789ab"
    told = told_by("python3.99", mine)
    assert told.startswith("setup: there is no python3.99 here: sudo apt-get install python3.11, or")
    assert told.count("\n") == 1
