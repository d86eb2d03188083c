# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A module of the collection as one text: it runs where nothing of ours is, and may stand in a Dockerfile."""

from __future__ import annotations

import importlib
import json
import linecache
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.travelling import (
    program_of,
    source_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program, trust_program

LIMIT_BYTES = 65535  # of a line of a Dockerfile


def alone(text: str, argument: str) -> subprocess.CompletedProcess[str]:
    """Run a program isolated from this environment and its packages."""
    argv = [sys.executable, "-I", "-S", "-c", text, argument]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", env={})


def test_it_brings_what_it_imports() -> None:
    target = {"name": "x", "url": "https://nowhere.invalid/"}
    done = alone(program_of(trust_program), json.dumps({"targets": [target], "seconds": 1}))
    assert done.returncode == 0, done.stderr
    mark, _, told = done.stdout.strip().partition(" ")
    assert mark == fence_program.MARK
    assert json.loads(told)["results"]["x"][0] == "unresolved"


def test_it_may_stand_in_a_dockerfile() -> None:
    text = program_of(trust_program)
    assert "<<" not in text, "the beginning of a text of several lines"
    assert fence_program.MARK not in text, "a builder shows a step before its output"
    assert len(json.dumps(text)) < LIMIT_BYTES - 10_000
    assert '"""' not in text
    assert "BSD 3-Clause" not in text


def test_one_without_friends() -> None:
    done = alone(program_of(fence_program), json.dumps({"targets": []}))
    assert json.loads(done.stdout.partition(" ")[2])["results"] == {}


def test_threads_read_it_out_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a module does that Ansible brought to a machine, and that tries several things at once."""
    text = "def main():\n    return 1\n" * 200
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as archive:
        archive.writestr("ironbinder_travels.py", text)
    monkeypatch.syspath_prepend(str(tmp_path / "payload.zip"))
    module = importlib.import_module("ironbinder_travels")
    together = threading.Barrier(8)

    def read(_number: int) -> set[str]:
        together.wait()
        found = set()
        for _ in range(50):
            linecache.clearcache()  # as whoever reads another file may do
            found.add(source_of(module))
        return found

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set().union(*pool.map(read, range(8))) == {text}
    finally:
        sys.setswitchinterval(usual)


def test_one_without_text() -> None:
    with pytest.raises(ImportError, match="without its text"):
        source_of(ModuleType("nowhere"))
