# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site as the tests of a live site know it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "tests/infra"))

pytest_plugins = ["infra_plugin"]


@pytest.fixture
def fresh_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections that Ansible kept open lead to machines as they were before."""
    folder = tempfile.mkdtemp(prefix="ib-")
    monkeypatch.setenv("ANSIBLE_SSH_CONTROL_PATH_DIR", folder)
    yield
    shutil.rmtree(folder, ignore_errors=True)
