# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What comes of a site that cannot even be read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible_collections.ironbinder.platform.plugins.action import site_check


def run(monkeypatch: pytest.MonkeyPatch, check: Any, **options: Any) -> dict[str, Any]:
    """Run the action with another look at the site."""
    monkeypatch.setattr(site_check, "check", check)
    task = SimpleNamespace(args=options, async_val=0, check_mode=False, action="site_check")
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
    action = site_check.ActionModule(task, connection, None, None, None, None)
    return dict(action.run(task_vars={}))


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/sites/other"),
        yaml.YAMLError("a mapping\nin the wrong place"),
        AnsibleError("no vault secrets"),
    ],
)
def test_a_site_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """One sentence with what the system said, and no traceback."""

    def check(*_given: Any) -> dict[str, Any]:
        raise error

    result = run(monkeypatch, check)
    assert result["failed"] is True
    assert result["msg"].startswith("the site could not be read, so nothing was checked: ")
    assert " ".join(str(error).split()) in result["msg"]


def test_a_library_that_is_missing_within(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is imported only where it is needed."""

    def check(*_given: Any) -> dict[str, Any]:
        raise ImportError("No module named 'jsonschema'", name="jsonschema")

    result = run(monkeypatch, check)
    assert result["failed"] is True
    assert ": jsonschema." in result["msg"]
    assert "pip install -r requirements.txt" in result["msg"]


def test_all_missing_libraries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody installs one to be told of the next."""
    monkeypatch.setattr(site_check, "LIBRARIES", ("no_such_library", "yaml", "nor_this_one"))
    result = run(monkeypatch, lambda *_given: {})
    assert ": no_such_library, nor_this_one." in result["msg"]


def test_a_report_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The findings are there all the same."""
    report = {"findings": [], "error_count": 0, "warning_count": 0, "table": ""}
    result = run(monkeypatch, lambda *_given: report, report_file=str(tmp_path / "no" / "folder"))
    assert result["failed"] is True
    assert "No such file or directory" in result["msg"]
    assert result["error_count"] == 0
