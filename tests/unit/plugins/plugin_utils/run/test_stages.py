"""Stages are named, counted and timed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.utils.display import Display
from ansible_collections.ironbinder.platform.plugins.callback.stages import CallbackModule, _read
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.stages import (
    Stages,
    stage_names,
    stages_by_file,
)

ROOT = Path(__file__).resolve().parents[5]


def test_site_has_the_seven_stages() -> None:
    names = stage_names(yaml.safe_load((ROOT / "playbooks/site.yml").read_text()))
    assert names == ["preflight", "nodes", "cluster", "load_balancer", "binderhub", "proxy", "verify"]
    assert all((ROOT / "playbooks" / f"{name}.yml").is_file() for name in names)


@pytest.mark.parametrize(
    "plays", [None, {}, ["x"], [{"hosts": "all"}], [{"import_playbook": "a.yml"}, {"hosts": "all"}]]
)
def test_other_playbooks_have_none(plays: object) -> None:
    assert stage_names(plays) == []


def test_times_add_up_and_plays_of_one_stage_count_once() -> None:
    now = [0.0]
    said: list[str] = []
    stages = Stages(["one", "two", "three"], lambda: now[0], said.append)
    for name, moment in [("one", 0.0), ("one", 1.0), ("elsewhere", 2.0), ("two", 5.0), ("one", 7.0)]:
        now[0] = moment
        stages.enter(name)
    now[0] = 8.5
    stages.finish()
    assert stages.seconds == {"one": 6.5, "two": 2.0}
    assert said[:3] == ["stage 1/3 one", "stage 2/3 two", "stage 1/3 one"]
    assert said[-1] == "2 of 3 stages in 8.5 s"


@pytest.mark.parametrize("start", ["site.yml", "playbooks/site.yml"])
def test_plays_of_the_registry_count_to_the_binderhub_stage(start: str) -> None:
    callback = CallbackModule(Display())
    path = ROOT / start
    callback.v2_playbook_on_start(SimpleNamespace(_basedir=str(path.parent), _file_name=str(path)))
    counted = {}
    for file in ("load_balancer", "registry", "binderhub", "proxy"):
        play = SimpleNamespace(get_path=lambda file=file: f"{ROOT}/playbooks/{file}.yml:2")
        callback.v2_playbook_on_play_start(play)
        counted[file] = callback._stages.current
    assert counted == {**{file: file for file in counted}, "registry": "binderhub"}
    assert len(callback._stages.names) == 7


def test_a_file_of_several_stages_belongs_to_the_next_of_them(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text("- import_playbook: shared.yml\n- hosts: all\n")
    (tmp_path / "two.yaml").write_text("- import_playbook: shared.yml\n- import_playbook: two.yaml\n")
    (tmp_path / "shared.yml").write_text("- hosts: all\n")
    plays = [{"import_playbook": "one.yml"}, {"import_playbook": "two.yaml"}, {"import_playbook": "gone.yml"}]
    files = stages_by_file(plays, tmp_path, _read)
    assert files == {"one": ["one"], "shared": ["one", "two"], "two": ["two"], "gone": ["gone"]}
    said: list[str] = []
    stages = Stages(stage_names(plays), lambda: 0.0, said.append, files)
    for file in ("shared", "one", "shared", "one", "shared", "two", "shared", "gone"):
        stages.enter(file)
    assert said == ["stage 1/3 one", "stage 2/3 two", "stage 3/3 gone"]


def test_a_run_without_stages_says_nothing() -> None:
    said: list[str] = []
    stages = Stages([], lambda: 0.0, said.append)
    stages.enter("nodes")
    stages.finish()
    assert said == []
