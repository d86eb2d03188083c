"""The module `held_packages`: arguments in, result, diff and errors out."""

from __future__ import annotations

import json
from typing import Any

import apt_root
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import held_packages

pytestmark = pytest.mark.skipif(not apt_root.USABLE, reason="needs root, apt and dpkg")


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        held_packages.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """This machine has dpkg, in whatever version."""
    code, result = run(capsys, name=["dpkg"], hold=False, proof_argv=["echo", "yes"], proof_stdout="yes")
    assert (code, result["changed"], result["present"]) == (0, False, True)
    assert result["before"] == result["after"]
    assert result["before"]["dpkg"]["version"]


def test_a_check_foretells(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has this package; a real run would ask the repositories of today."""
    arguments = {"name": ["ironbinder-nosuch"], "version": "1.2.3", "_ansible_diff": True}
    code, result = run(capsys, **arguments, _ansible_check_mode=True)
    assert (code, result["changed"], result["present"]) == (0, True, False)
    assert result["after"] == {"ironbinder-nosuch": {"version": "1.2.3", "held": True}}
    assert result["diff"]["before"] == "ironbinder-nosuch not installed\n"
    assert result["diff"]["after"] == "ironbinder-nosuch 1.2.3, held\n"
    code, result = run(capsys, **arguments, update_cache="never")
    assert (code, "no apt repository of this machine has ironbinder-nosuch" in result["msg"]) == (1, True)


def test_errors_are_the_modules_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version, with the words of the caller; a system without dpkg."""
    code, result = run(
        capsys, name=["dpkg"], version="0.0.1", refusal_hint="Leave it.", _ansible_check_mode=True
    )
    assert code == 1
    assert "and 0.0.1 was asked for. Leave it." in result["msg"]
    kept = {"name": ["dpkg"], "version": "0.0.1", "kept": ["dpkg"], "_ansible_check_mode": True}
    assert run(capsys, **kept)[0] == 0
    assert run(capsys, **kept, kept_where="/")[0] == 0
    assert run(capsys, **kept, kept_where="/nowhere")[0] == 1
    monkeypatch.setenv("PATH", "/nowhere")
    code, result = run(capsys, name=["dpkg"])
    assert (code, "this needs apt and dpkg" in result["msg"]) == (1, True)
