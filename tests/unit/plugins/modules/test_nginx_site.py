# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the module tells of a machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.nginx_site import Machine
from ansible_collections.ironbinder.platform.plugins.modules import nginx_site


def test_a_file_of_an_admin_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its new name, already by a check, which moves nothing."""
    for name in ("sites-enabled", "sites-available", "conf.d"):
        (tmp_path / name).mkdir()
    enabled = tmp_path / "sites-enabled/default"
    enabled.write_text("server { set $password geheim; }\n")
    machine = Machine(log_owner=(0, 0), config_dir=tmp_path, log_dir=tmp_path, ask_running=("false",))
    monkeypatch.setattr(nginx_site, "machine_here", lambda: machine)
    arguments = {
        "name": "hello",
        "configuration": "server {}",
        "generation_url": "http://127.0.0.1:9/g",
        "replaces": ["default"],
        "adopt": True,
        "_ansible_check_mode": True,
        "_ansible_diff": True,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        nginx_site.main()
    text = capsys.readouterr().out
    answer = json.loads(text)
    kept = f"{tmp_path}/sites-available/default.before-ironbinder"
    assert answer["replaced"] == [{"path": str(enabled), "kept_as": kept}]
    assert answer["diff"][0]["after"] == f"moved to {kept}\n"
    assert "geheim" not in text
    assert enabled.is_file() and not Path(kept).exists()


def test_a_file_that_somebody_edited_and_had_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NGINX answers as if it had ours, as what stands for a configuration is a part of the edited one, too."""
    for name in ("sites-enabled", "sites-available", "conf.d"):
        (tmp_path / name).mkdir()
    reloaded = tmp_path / "reloaded"
    machine = Machine(
        log_owner=(0, 0),
        owner=(os.getuid(), os.getgid()),
        config_dir=tmp_path,
        log_dir=tmp_path / "logs",
        ask_running=("true",),
        reload=("touch", str(reloaded)),
    )
    monkeypatch.setattr(nginx_site, "machine_here", lambda: machine)
    monkeypatch.setattr(nginx_site.NginxSite, "installed", True)
    monkeypatch.setattr(nginx_site.NginxSite, "runs", lambda _site: True)
    monkeypatch.setattr(nginx_site.NginxSite, "_test", lambda _site: None)
    arguments = {"name": "hello", "configuration": "server {}\n", "generation_url": "http://127.0.0.1:9/g"}

    def run(check_mode: bool = False) -> dict[str, object]:
        with patch_module_args({**arguments, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
            nginx_site.main()
        return dict(json.loads(capsys.readouterr().out))

    assert run()["changed"]
    file = tmp_path / "conf.d/hello.conf"
    file.write_text("server { proxy_buffering on; }\n")
    reloaded.unlink()
    assert run(check_mode=True)["changed"]
    assert not reloaded.exists()
    assert run()["changed"]
    assert (file.read_text(), reloaded.exists()) == ("server {}\n", True)
    reloaded.unlink()
    assert not run()["changed"]
    assert not reloaded.exists()
