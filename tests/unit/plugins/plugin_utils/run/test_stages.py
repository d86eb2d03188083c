"""Stages are named, counted and timed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.stages import Stages, stage_names

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


def test_a_run_without_stages_says_nothing() -> None:
    said: list[str] = []
    stages = Stages([], lambda: 0.0, said.append)
    stages.enter("nodes")
    stages.finish()
    assert said == []
