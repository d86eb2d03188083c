# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module gives a registry exactly the accounts it is told."""

from __future__ import annotations

import getpass
import grp
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import registry_accounts

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the module for the user of this test."""
    monkeypatch.setattr(grp, "getgrnam", lambda name: grp.getgrgid(os.getegid()))

    def call(accounts: dict[str, str], check: bool = False, owner: str = "") -> dict[str, Any]:
        arguments = {
            "path": str(tmp_path / "htpasswd"),
            "accounts": accounts,
            "owner": owner or getpass.getuser(),
            "_ansible_check_mode": check,
            "_ansible_diff": True,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            registry_accounts.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return call


def test_check_do_check_do_for_each_kind_of_change(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("bcrypt")
    path = tmp_path / "htpasswd"
    for accounts, told in (
        ({"binder": "first one"}, {"added": ["binder"], "removed": [], "renewed": []}),
        ({"binder": "second one"}, {"added": [], "removed": [], "renewed": ["binder"]}),
        ({"robot": "third one"}, {"added": ["robot"], "removed": ["binder"], "renewed": []}),
        ({}, {"added": [], "removed": ["robot"], "renewed": []}),
    ):
        before = path.read_bytes() if path.exists() else None
        for check in (True, False):
            answer = run(accounts, check)
            assert answer["changed"]
            assert {key: answer[key] for key in told} == told
            assert "$2" not in json.dumps(answer)
            assert not any(password in json.dumps(answer) for password in accounts.values())
            if check:
                assert (path.read_bytes() if path.exists() else None) == before
        for check in (True, False):
            assert not run(accounts, check)["changed"]
        assert path.exists() == bool(accounts)
        assert not accounts or path.stat().st_mode & 0o777 == 0o600


def test_a_diff_shows_names(run: Run) -> None:
    pytest.importorskip("bcrypt")
    run({"binder": "first one"})
    diff = run({"binder": "second one", "robot": "third one"}, True)["diff"]
    assert diff["before"] == "binder\n"
    assert diff["after"] == "binder: another password\nrobot\n"


def test_a_mode_is_put_right(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("bcrypt")
    run({"binder": "first one"})
    text = (tmp_path / "htpasswd").read_text()
    (tmp_path / "htpasswd").chmod(0o644)
    assert run({"binder": "first one"})["changed"]
    assert ((tmp_path / "htpasswd").read_text(), (tmp_path / "htpasswd").stat().st_mode & 0o777) == (
        text,
        0o600,
    )


def test_what_is_no_utf_8_is_no_reason_to_stop(run: Run, tmp_path: Path) -> None:
    """A comment stays as it is, byte by byte; an account goes like any other."""
    pytest.importorskip("bcrypt")
    path = tmp_path / "htpasswd"
    run({"binder": "first one"})
    data = b"# M\xfcller\n" + path.read_bytes()
    path.write_bytes(data)
    path.chmod(0o644)
    assert run({"binder": "first one"})["changed"]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (data, 0o600)
    path.write_bytes(b"m\xfcller:\xff\n" + data)
    for check in (True, False):
        answer = run({"binder": "first one"}, check)
        assert answer["removed"] == ["m\ufffdller"]
        assert answer["diff"]["before"] == "binder\nm\ufffdller\n"
    assert b"\xfc" not in path.read_bytes()


def test_a_bare_machine_can_be_checked_and_not_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # So the import fails as it does where the library is missing.
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    answer = run({"binder": "first one"}, True, "nobody-of-this-name")
    assert (answer["changed"], answer["added"]) == (True, ["binder"])
    answer = run({"binder": "first one"})
    assert answer["failed"]
    assert "python3-bcrypt" in answer["msg"]


def test_a_missing_user_is_named(run: Run) -> None:
    pytest.importorskip("bcrypt")
    answer = run({"binder": "first one"}, False, "nobody-of-this-name")
    assert answer["failed"]
    assert "no user and group nobody-of-this-name" in answer["msg"]


def test_a_password_without_a_hash_is_refused(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("bcrypt")
    for check in (True, False):
        answer = run({"binder": ""}, check)
        assert answer["failed"]
        assert "password of binder is empty" in answer["msg"]
    assert not (tmp_path / "htpasswd").exists()
