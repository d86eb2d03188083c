# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module against a helm that answers what the real one did, see helm_replay."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helm_replay import CHANGES, statuses
from hook_cluster import PULL_SECRET, HookServer, made_by_hook

ROOT = Path(__file__).parents[4]
COLLECTIONS = ROOT / "collections"
MODULE = ROOT / "plugins" / "modules" / "binderhub_release.py"
REPLAY = ROOT / "tests" / "unit" / "support" / "helm_replay.py"
VERSION = "1.0.0-0.dev.git.3983.h383374de"
CANARY = "canary-\"ä {{ x }} # \\ '"


class World:
    """A folder with a helm, a kubeconfig and what happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.helm = folder / "helm"
        self.helm.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPLAY.parent)!r})\n"
            "import helm_replay\nsys.exit(helm_replay.main())\n"
        )
        self.helm.chmod(0o755)
        for name in ("kc", "over.yaml", "expired.yaml"):
            (folder / name).touch()
        (folder / "tmp").mkdir()
        self.text = ""
        self.play("lifecycle")

    def play(self, scenario: str, at: int = 0) -> None:
        """Be where a scenario is after so many changes."""
        (self.folder / "replay.json").write_text(json.dumps({"scenario": scenario, "at": at}))

    def run(self, check: bool = False, python_path: str = "", **params: Any) -> dict[str, Any]:
        arguments = {
            "name": "binder",
            "namespace": "ns",
            "chart_repository": "https://charts.example.org",
            "chart_version": VERSION,
            "helm_binary": str(self.helm),
            "values": {"a": {"b": 1}},
            "secret_values": {"a": {"password": CANARY}},
            "wait": False,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.folder / "tmp"),
            **params,
            "kubeconfig": str(self.folder / params.get("kubeconfig", "kc")),
        }
        done = subprocess.run(
            [sys.executable, str(MODULE)],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env={**os.environ, "PYTHONPATH": f"{COLLECTIONS}:{python_path}", "HELM_NAMESPACE": "elsewhere"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.text = done.stdout + done.stderr
        assert CANARY not in self.text
        assert "canary" not in self.text
        assert not list((self.folder / "tmp").rglob("*.yaml")), "values files are gone afterwards"
        return json.loads(done.stdout)

    @property
    def argv(self) -> str:
        file = self.folder / "argv"
        return file.read_text() if file.exists() else ""

    @property
    def at(self) -> int:
        return json.loads((self.folder / "replay.json").read_text())["at"]

    @property
    def given(self) -> list[list[dict[str, Any]]]:
        """The values files of each upgrade."""
        files = sorted(self.folder.glob("given-*.json"))
        return [json.loads(file.read_text()) for file in files]

    def verbs(self) -> list[str]:
        verbs = [json.loads(line)[0] for line in self.argv.splitlines()]
        return [verb for verb in verbs if verb in CHANGES]


# What the recorded manifests have.
SETTINGS = "/api/v1/namespaces/ns/configmaps/settings"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with HookServer(**{SETTINGS: {"kind": "ConfigMap"}}) as cluster:
        found = World(tmp_path)
        cluster.kubeconfig(tmp_path / "kc")
        yield found


def test_create_change_delete_each_checked_done_and_done_again(world: World) -> None:
    stages: list[tuple[dict[str, Any], str]] = [
        ({}, "installed"),
        ({"values": {"a": {"b": 2}}}, "upgraded"),
        ({"values": {"a": {"b": 2}}, "secret_values": {"a": {"password": "other-canary"}}}, "upgraded"),
        ({"chart_version": "1.0.0", "values": {}, "secret_values": {}}, "upgraded"),
    ]
    for number, (params, action) in enumerate(stages):
        predicted = world.run(check=True, **params)
        assert (predicted["changed"], predicted["action"]) == (True, action)
        assert world.at == number
        done = world.run(**params)
        assert (done["changed"], done["action"], done["diff"]) == (True, action, predicted["diff"])
        assert (world.at, done["revision"]) == (number + 1, number + 1)
        for check in (True, False):
            again = world.run(check=check, **params)
            assert (again["changed"], again["action"]) == (False, "unchanged")
    for check, changed in ((True, True), (False, True), (True, False), (False, False)):
        result = world.run(check=check, state="absent")
        assert (result["changed"], result["action"]) == (changed, "uninstalled" if changed else "unchanged")
        before = "release binder: revision 4, deployed\n" if changed else ""
        assert (result["diff"]["before"], result["diff"]["after"]) == (before, "")
    assert world.verbs() == ["upgrade"] * 4 + ["uninstall"]
    assert "canary" not in world.argv


def test_a_password_arrives_as_it_is(world: World) -> None:
    world.run()
    assert world.given == [[{"a": {"b": 1}}, {"a": {"password": CANARY}}]]
    # What the real helm made of such files.
    assert next(statuses("lifecycle"))["config"] == {"a": {"b": 1, "password": CANARY}}


def test_the_diff_tells_that_a_secret_changed(world: World) -> None:
    world.run()
    diff = world.run(check=True, secret_values={"a": {"password": "other-canary"}})["diff"]
    assert "password: (secret)" in diff["before"]
    assert "password: (secret, changed)" in diff["after"]
    assert f"chart_version: {VERSION}" in diff["after"]


@pytest.mark.parametrize(
    ("scenario", "verbs"),
    [
        ("pending_install", ["uninstall", "upgrade"]),
        ("pending_upgrade", ["rollback", "upgrade"]),
        ("failed", ["upgrade"]),
        ("uninstalling", ["uninstall", "upgrade"]),
    ],
)
def test_what_an_interrupted_run_left_is_put_right(world: World, scenario: str, verbs: list[str]) -> None:
    world.play(scenario)
    predicted = world.run(check=True)
    assert (predicted["changed"], predicted["action"], world.verbs()) == (True, "repaired", [])
    done = world.run()
    assert (done["changed"], done["action"], world.verbs()) == (True, "repaired", verbs)
    assert "revision" in done["note"]
    assert world.run()["changed"] is False


PULLING: dict[str, Any] = {"values": {"pull": True}, "secret_values": {}}


def test_a_lost_hook_is_predicted_and_put_back(world: World) -> None:
    world.play("hooks", at=1)
    with HookServer(**{PULL_SECRET: made_by_hook(), SETTINGS: {"kind": "ConfigMap"}}) as cluster:
        cluster.kubeconfig(world.folder / "kc")
        assert world.run(**PULLING)["action"] == "unchanged"
        del cluster.objects[PULL_SECRET]
        predicted = world.run(check=True, **PULLING)
        assert (predicted["changed"], predicted["action"], world.verbs()) == (True, "repaired", [])
        assert "Secret ns/image-pull-secret was gone" in predicted["note"]
        # Nothing here makes it, so that helm is asked twice, and no more.
        done = world.run(**PULLING)
        assert (done["changed"], done["action"], world.verbs()) == (True, "repaired", ["upgrade"] * 2)
        cluster.objects[PULL_SECRET] = made_by_hook()
        assert world.run(**PULLING)["changed"] is False


def test_a_lost_object_is_predicted_and_put_back(world: World) -> None:
    world.run()
    with HookServer() as cluster:
        cluster.kubeconfig(world.folder / "kc")
        predicted = world.run(check=True)
        assert (predicted["changed"], predicted["action"]) == (True, "repaired")
        assert "ConfigMap ns/settings was gone: released again" in predicted["note"]
        assert "# ConfigMap ns/settings was gone" in predicted["diff"]["before"]
        assert "gone" not in predicted["diff"]["after"]
        assert world.run()["action"] == "repaired"


def test_what_hooks_made_goes_with_the_release(world: World) -> None:
    world.play("hooks", at=3)
    with HookServer(**{PULL_SECRET: made_by_hook()}) as cluster:
        cluster.kubeconfig(world.folder / "kc")
        predicted = world.run(check=True, state="absent")
        assert (predicted["changed"], world.verbs(), cluster.deleted) == (True, [], [])
        assert predicted["hook_objects"] == ["Secret ns/image-pull-secret"]
        assert predicted["diff"]["before"].splitlines() == [
            "release binder: revision 3, deployed",
            "Secret ns/image-pull-secret",
        ]
        done = world.run(state="absent")
        assert (done["changed"], done["diff"]) == (True, predicted["diff"])
        assert (cluster.objects, world.verbs()) == ({}, ["uninstall"] * 2)
        for check in (True, False):
            assert world.run(check=check, state="absent")["changed"] is False


@pytest.mark.parametrize(("hub", "goes"), [("private", True), ("", False)])
def test_only_the_namespace_of_the_hub_goes(world: World, hub: str, goes: bool) -> None:
    labelled = {"metadata": {"labels": {"ironbinder.platform/hub": "private"}}}
    with HookServer(**{"/api/v1/namespaces/ns": labelled}) as cluster:
        cluster.kubeconfig(world.folder / "kc")
        for check in (True, False):
            result = world.run(check=check, state="absent", delete_namespace=True, hub=hub)
            assert (result["changed"], "note" in result) == (goes, not goes)
        assert cluster.objects == ({} if goes else {"/api/v1/namespaces/ns": labelled})


@pytest.mark.parametrize(
    ("scenario", "params", "words"),
    [
        (
            "no_such_version",
            {"chart_version": "9.9.9"},
            ["site_binderhub_chart_version", "9.9.9", "https://charts.example.org"],
        ),
        ("lifecycle", {"chart_version": ""}, ["site_binderhub_chart_version"]),
        (
            "no_repository",
            {"chart_repository": "http://127.0.0.1:9"},
            ["the chart repository http://127.0.0.1:9 cannot be used", "connection refused"],
        ),
        ("lifecycle", {"chart_repository": "/nowhere"}, ["no chart at /nowhere"]),
        ("lifecycle", {"kubeconfig": "/nowhere/kc"}, ["/nowhere/kc", "site_kubeconfig_file"]),
        ("lifecycle", {"helm_binary": "/nowhere/helm"}, ["/nowhere/helm", "role helm"]),
        (
            "cluster_over",
            {"kubeconfig": "over.yaml"},
            ["the cluster does not answer", "site_kubeconfig_file", "refused"],
        ),
        ("account_refused", {"kubeconfig": "expired.yaml"}, ["refuses the kubeconfig's account"]),
        ("account_refused", {"kubeconfig": "expired.yaml", "_ansible_check_mode": True}, ["refuses the"]),
        ("lifecycle", {"values_dir": "/proc/nowhere"}, ["/proc/nowhere/config.yaml cannot be kept"]),
    ],
)
def test_errors_say_what_to_do(world: World, scenario: str, params: dict[str, Any], words: list[str]) -> None:
    world.play(scenario)
    result = world.run(**params)
    assert result["failed"]
    assert not [word for word in words if word not in result["msg"]]
    assert "Traceback" not in world.text


def test_an_answer_that_is_no_json_is_an_error(world: World) -> None:
    world.helm.write_text("#!/bin/sh\necho 'password: canary'\n")
    result = world.run()
    assert "not the JSON of Helm 3" in result["msg"]
    assert "Traceback" not in world.text


def test_a_python_without_yaml_is_told_what_to_install(world: World) -> None:
    (world.folder / "modules").mkdir()
    (world.folder / "modules" / "yaml.py").write_text("raise ImportError('no yaml')\n")
    result = world.run(python_path=str(world.folder / "modules"))
    assert "PyYAML is missing" in result["msg"] and "site_kubernetes_client_host" in result["msg"]


# The kubeconfig of a cluster that is over may still be there.
@pytest.mark.parametrize(
    ("missing", "note"),
    [
        ({"kubeconfig": "/nowhere/kc"}, "there is no kubeconfig"),
        ({"helm_binary": "/nowhere/helm"}, "there is no helm"),
        ({"kubeconfig": "over.yaml"}, "the cluster does not answer"),
    ],
)
def test_check_mode_predicts_without_cluster_or_helm(
    world: World, missing: dict[str, str], note: str
) -> None:
    world.play("cluster_over")
    result = world.run(check=True, **missing)
    assert (result["changed"], result["action"]) == (True, "installed")
    assert note in result["note"]
    assert "b: 1" in result["diff"]["after"]
    result = world.run(check=True, state="absent", **missing)
    assert (result["changed"], result["action"]) == (False, "unchanged")


def test_values_are_kept_where_asked_for(world: World) -> None:
    folder = world.folder / "kept"
    assert world.run(check=True, values_dir=str(folder))["changed"]
    assert not folder.exists()
    world.run(values_dir=str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "secret.yaml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "canary" not in (folder / "config.yaml").read_text()
    assert world.run(values_dir=str(folder))["changed"] is False
    (folder / "secret.yaml").unlink()
    result = world.run(values_dir=str(folder))
    assert (result["changed"], result["action"]) == (True, "unchanged")


def test_urls_and_phases_come_back(world: World) -> None:
    result = world.run(urls={"binder": "https://x/"})
    assert result["urls"] == {"binder": "https://x/"}
    assert set(result["phases"]) == {"inspect", "apply"}
    assert re.fullmatch(rf"binderhub-{re.escape(VERSION)}", result["chart"])


def interrupt(world: World, verb: str, times: int, done: bool = False) -> None:
    """Have helm meet an API server that goes away, so many times: before it did anything, or just after."""
    (world.folder / "lost").write_text("x" * times)
    real = world.folder / "real-helm"
    world.helm.rename(real)
    # The replay looks for its files beside the program.
    first = f'{real} "$@" >&2' if done else ":"
    said = "Error: Put https://head1:6443/api/v1: dial tcp: connect: connection refused"
    world.helm.write_text(
        f'#!/bin/sh\nlost={world.folder}/lost\nif [ "$1" = {verb} ] && [ -s $lost ]; then\n'
        f'truncate --size -1 $lost\n{first}\necho "{said}" >&2\nexit 1\nfi\nexec {real} "$@"\n'
    )
    world.helm.chmod(0o755)


@pytest.mark.parametrize(("verb", "times"), [("upgrade", 1), ("upgrade", 2), ("status", 1), ("get", 2)])
def test_an_api_server_that_restarts_in_the_middle_is_forgiven(world: World, verb: str, times: int) -> None:
    interrupt(world, verb, times)
    with HookServer() as cluster:
        cluster.objects |= {
            "/api/v1/namespaces/default": {"kind": "Namespace"},
            SETTINGS: {"kind": "ConfigMap"},
        }
        cluster.kubeconfig(world.folder / "kc")
        if verb != "upgrade":
            (world.folder / "lost").write_text("")
            world.run()
            (world.folder / "lost").write_text("x" * times)
        result = world.run(values={"a": {"b": 1 if verb == "upgrade" else 2}})
    assert (result["changed"], result["action"]) == (True, "installed" if verb == "upgrade" else "upgraded")
    assert (world.folder / "lost").read_text() == ""


def test_a_change_whose_answer_was_lost_is_one(world: World) -> None:
    """helm had released it all, and the second look finds nothing left to do."""
    interrupt(world, "upgrade", 1, done=True)
    with HookServer() as cluster:
        cluster.objects |= {
            "/api/v1/namespaces/default": {"kind": "Namespace"},
            SETTINGS: {"kind": "ConfigMap"},
        }
        cluster.kubeconfig(world.folder / "kc")
        result = world.run()
    assert (result["changed"], result["action"], world.verbs()) == (True, "installed", ["upgrade"])


def test_one_that_goes_away_again_and_again_is_given_up(world: World) -> None:
    interrupt(world, "upgrade", 100)
    with HookServer() as cluster:
        cluster.objects |= {
            "/api/v1/namespaces/default": {"kind": "Namespace"},
            SETTINGS: {"kind": "ConfigMap"},
        }
        cluster.kubeconfig(world.folder / "kc")
        result = world.run()
    assert result["failed"]
    assert "connection refused" in result["msg"]
    assert len((world.folder / "lost").read_text()) == 97


def test_a_check_does_not_wait_for_anybody(world: World) -> None:
    interrupt(world, "status", 100)
    assert world.run(check=True)["failed"]
    assert len((world.folder / "lost").read_text()) == 99
