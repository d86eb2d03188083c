# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module on a folder of its own: check, do, check again, do again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.modules import docker_config

SITE = {
    "registry_mirrors": ["https://mirror.example.org"],
    "registries": [{"host": "registry.example.org:5000"}],
    "ca_certificates": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    # Whatever Docker this computer has is not asked.
    monkeypatch.setattr(docker_config, "run_command", lambda _argv, _timeout: Ran(127))

    def run_module(check: bool = False, **args: Any) -> dict[str, Any]:
        args = {
            **SITE,
            "config_dir": str(tmp_path),
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **args,
        }
        with patch_module_args(args), pytest.raises(SystemExit):
            docker_config.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run_module


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "daemon.json").read_text())
    return found


def test_check_do_check_do(run: Run, tmp_path: Path) -> None:
    """From nothing, to another mirror, to none."""
    check = run(check=True)
    assert files(tmp_path) == {}
    done = run()
    assert set(check["written"]) == set(done["written"]) == {str(tmp_path / name) for name in files(tmp_path)}
    assert done["ca_files"] == [
        str(tmp_path / "certs.d" / name / "ca.crt")
        for name in ("registry.example.org:5000", "mirror.example.org")
    ]
    assert check["restart_needed"] and done["restart_needed"]
    assert config(tmp_path)["registry-mirrors"] == ["https://mirror.example.org"]
    for again in (run(check=True), run()):
        assert not again["changed"]
        assert not again["restart_needed"]
        assert again["ca_files"] == done["ca_files"]
    other = {"registry_mirrors": ["https://other.example.org"]}
    before = files(tmp_path)
    assert run(check=True, **other)["changed"]
    assert files(tmp_path) == before
    moved = run(**other)
    assert moved["restart_needed"]
    assert moved["removed"] == [str(tmp_path / "certs.d/mirror.example.org/ca.crt")]
    assert not (tmp_path / "certs.d/mirror.example.org").exists()
    assert not run(**other)["changed"]
    none = {"registry_mirrors": [], "ca_certificates": ""}
    assert run(**none)["removed"]
    assert "registry-mirrors" not in config(tmp_path)
    assert {name for name in files(tmp_path) if name.startswith("certs.d")} == set()
    assert not run(**none)["changed"]


def test_another_ca_needs_no_restart(run: Run, tmp_path: Path) -> None:
    run()
    answer = run(ca_certificates="-----BEGIN CERTIFICATE-----\ny\n-----END CERTIFICATE-----")
    assert answer["changed"]
    assert not answer["restart_needed"]


def test_nobody_else_may_write_it(run: Run, tmp_path: Path) -> None:
    """Who may is root on the machine. What it says and how it is written stays."""
    run()
    file = tmp_path / "daemon.json"
    file.write_text(file.read_text().replace("{", "{ ", 1))
    text = file.read_text()
    file.chmod(0o666)
    answer = run()
    assert answer["changed"] and not answer["restart_needed"]
    assert (file.stat().st_mode & 0o777, file.read_text()) == (0o644, text)
    assert not run()["changed"]


def test_what_an_admin_wrote_stays_and_is_kept_once(run: Run, tmp_path: Path) -> None:
    theirs = '{"data-root": "/data",   "debug": true}'
    (tmp_path / "daemon.json").write_text(theirs)
    (tmp_path / "daemon.json").chmod(0o600)
    (tmp_path / "certs.d/theirs").mkdir(parents=True)
    (tmp_path / "certs.d/theirs/ca.crt").write_text("theirs\n")
    answer = run()
    assert answer["replaced"] == [
        {"path": str(tmp_path / "daemon.json"), "kept_as": str(tmp_path / "daemon.json.before-ironbinder")}
    ]
    assert config(tmp_path)["data-root"] == "/data"
    assert (tmp_path / "daemon.json").stat().st_mode & 0o777 == 0o600
    assert run(log_max_files=7)["replaced"] == []
    assert (tmp_path / "daemon.json.before-ironbinder").read_text() == theirs
    assert (tmp_path / "certs.d/theirs/ca.crt").read_text() == "theirs\n"


@pytest.mark.parametrize(
    "url",
    [
        "http://robot:geheim@proxy.example.org:3128",
        "http://robot:ge:h@eim@proxy.example.org:3128",
        'http:\\/\\/robot:geheim\\"@proxy.example.org:3128',
        "robot:geheim@proxy.example.org:3128",
        "http://geheim@proxy.example.org:3128",
    ],
)
def test_a_difference_shows_no_account(run: Run, tmp_path: Path, url: str) -> None:
    """Where a proxy wants one, it stands in the URL; everything else is shown."""
    (tmp_path / "daemon.json").write_text(f'{{"proxies": {{"http-proxy": "{url}"}}, "data-root": "/data"}}')
    for check in (True, False):
        (told,) = [one for one in run(check=check)["diff"] if "daemon.json" in one["before_header"]]
        for text in (told["before"], told["after"]):
            assert not any(part in text for part in ("robot", "geheim", "ge:h", "eim"))
            assert "(secret)@proxy.example.org:3128" in text
            assert "/data" in text
    assert config(tmp_path)["proxies"]["http-proxy"] == json.loads(f'"{url}"')


def test_a_difference_is_for_those_who_ask(run: Run) -> None:
    assert "diff" not in run(_ansible_diff=False)


def test_the_same_in_other_words_is_left_alone(run: Run, tmp_path: Path) -> None:
    run()
    reformatted = json.dumps(config(tmp_path), indent=None)
    (tmp_path / "daemon.json").write_text(reformatted)
    assert not run()["changed"]
    assert (tmp_path / "daemon.json").read_text() == reformatted


def test_what_docker_refuses_is_not_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "daemon.json").write_text('{"debg": true}')
    monkeypatch.setattr(
        docker_config, "run_command", lambda argv, _timeout: Ran(1, stderr=f"{argv[-1]}: unknown keys: debg")
    )
    for check in (True, False):
        answer = run(check=check)
        assert answer["failed"]
        assert f"{tmp_path}/daemon.json: unknown keys: debg" in answer["msg"]
        assert files(tmp_path) == {"daemon.json": '{"debg": true}'}


def test_what_is_no_json_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text("{")
    assert "is no JSON" in run()["msg"]
    assert files(tmp_path) == {"daemon.json": "{"}


PARENT = {"cgroup_parent": "/ironbinder.slice/ironbinder-builds.slice"}


def test_what_the_site_said_goes(run: Run, tmp_path: Path) -> None:
    """Check, do, check, do: from nothing, and back to it."""
    run(**PARENT)
    made = files(tmp_path)
    checked = run(check=True, state="absent", **PARENT)
    assert files(tmp_path) == made
    done = run(state="absent", **PARENT)
    assert set(checked["removed"]) == set(done["removed"]) == {str(tmp_path / name) for name in made}
    assert files(tmp_path) == {}
    assert (done["changed"], done["restart_needed"]) == (True, True)
    for check in (True, False):
        assert not run(check=check, state="absent", **PARENT)["changed"]


def test_what_an_admin_said_is_back(run: Run, tmp_path: Path) -> None:
    """Before the site, of the keys that the site set; since then, of all others."""
    (tmp_path / "daemon.json").write_text(
        '{"registry-mirrors": ["https://own.example"], "bip": "172.18.0.1/16"}'
    )
    run(**PARENT)
    (tmp_path / "daemon.json").write_text(
        json.dumps({**config(tmp_path), "bip": "172.19.0.1/16", "debug": True})
    )
    run(state="absent", **PARENT)
    own = {"registry-mirrors": ["https://own.example"], "bip": "172.19.0.1/16", "debug": True}
    assert config(tmp_path) == own
    assert list(files(tmp_path)) == ["daemon.json"]
    run(state="absent", **PARENT)
    assert config(tmp_path) == own


def test_a_daemon_of_others_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"registry-mirrors": ["https://own.example"]}')
    assert not run(state="absent", **PARENT)["changed"]
    assert not run(state="absent", cgroup_parent="")["changed"]
    assert config(tmp_path) == {"registry-mirrors": ["https://own.example"]}
