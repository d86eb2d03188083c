# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module against a helm that is a small program, keeps its state in a file, and records its arguments."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

COLLECTIONS = Path(__file__).parents[4] / "collections"
MODULE = Path(__file__).parents[4] / "plugins" / "modules" / "binderhub_release.py"
VERSION = "1.0.0-0.dev.git.3983.h383374de"
CANARY = "canary-\"ä {{ x }} # \\ '"

HELM = """#!{python}
import json, os, sys, pathlib
here = pathlib.Path({folder!r})
argv = sys.argv[1:]
with (here / "argv").open("a") as file:
    file.write(json.dumps(argv) + "\\n")
state = here / "state.json"
releases = json.loads(state.read_text()) if state.exists() else []
flags = {{argv[i]: argv[i + 1] for i in range(len(argv) - 1) if argv[i].startswith("--")}}
files = [argv[i + 1] for i in range(len(argv) - 1) if argv[i] == "--values"]

def merge(a, b):
    for key, value in b.items():
        a[key] = merge(a.get(key, {{}}), value) if isinstance(value, dict) else value
    return a

def save():
    state.write_text(json.dumps(releases))

if "over.yaml" in flags.get("--kubeconfig", ""):
    sys.exit('Error: Kubernetes cluster unreachable: Get "https://192.0.2.1:6443/version": connect: connection refused')
if argv[0] == "upgrade":
    if flags["--version"] == "9.9.9":
        sys.exit('Error: chart "binderhub" version "9.9.9" not found in %s repository' % flags["--repo"])
    if "unreachable" in flags["--repo"]:
        sys.exit('Error: looks like "%s" is not a valid chart repository or cannot be reached: no such host' % flags["--repo"])
    values = {{}}
    for file in files:
        assert os.stat(file).st_mode & 0o777 == 0o600, file
        merge(values, json.load(open(file)))
    for release in releases:
        release["status"] = "superseded"
    releases.append({{"status": "deployed", "config": values, "version": flags["--version"]}})
    save()
elif argv[0] == "uninstall":
    releases = []
    save()
elif argv[0] == "rollback":
    releases.append({{**releases[int(argv[2]) - 1], "status": "deployed"}})
    save()
elif not releases:
    sys.exit("Error: release: not found")
elif argv[0] == "status":
    last = releases[-1]
    info = {{"status": last["status"], "last_deployed": "2020-01-01T00:00:00Z"}}
    print(json.dumps({{"version": len(releases), "info": info, "config": last["config"], "manifest": ""}}))
elif argv[:2] == ["get", "metadata"]:
    print(json.dumps({{"chart": "binderhub", "version": releases[-1]["version"], "appVersion": "1"}}))
elif argv[0] == "history":
    print(json.dumps([{{"revision": i + 1, "status": release["status"]}} for i, release in enumerate(releases)]))
else:
    sys.exit("Error: unexpected " + " ".join(argv))
"""


class World:
    """A folder with a helm, a kubeconfig and what happened."""

    def __init__(self, folder):
        self.folder = folder
        self.helm = folder / "helm"
        self.helm.write_text(HELM.format(python=sys.executable, folder=str(folder)))
        self.helm.chmod(0o755)
        (folder / "kc").touch()
        (folder / "over.yaml").touch()
        (folder / "tmp").mkdir()
        self.text = ""

    def run(self, check=False, **params):
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
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS), "HELM_NAMESPACE": "elsewhere"},
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
    def argv(self):
        file = self.folder / "argv"
        return file.read_text() if file.exists() else ""

    @property
    def releases(self):
        file = self.folder / "state.json"
        return json.loads(file.read_text()) if file.exists() else []

    @releases.setter
    def releases(self, value):
        (self.folder / "state.json").write_text(json.dumps(value))

    def verbs(self):
        verbs = [json.loads(line)[0] for line in self.argv.splitlines()]
        return [verb for verb in verbs if verb in ("upgrade", "uninstall", "rollback")]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_create_change_delete_each_checked_done_and_done_again(world):
    for params, action in (
        ({}, "installed"),
        ({"values": {"a": {"b": 2}}}, "upgraded"),
        ({"values": {"a": {"b": 2}}, "secret_values": {"a": {"password": "other-canary"}}}, "upgraded"),
        ({"chart_version": "1.0.0", "values": {}, "secret_values": {}}, "upgraded"),
    ):
        before = world.releases
        predicted = world.run(check=True, **params)
        assert (predicted["changed"], predicted["action"]) == (True, action)
        assert world.releases == before
        done = world.run(**params)
        assert (done["changed"], done["action"], done["diff"]) == (True, action, predicted["diff"])
        for check in (True, False):
            again = world.run(check=check, **params)
            assert (again["changed"], again["action"]) == (False, "unchanged")
    for check, changed in ((True, True), (False, True), (True, False), (False, False)):
        result = world.run(check=check, state="absent")
        assert (result["changed"], result["action"]) == (changed, "uninstalled" if changed else "unchanged")
    assert world.verbs() == ["upgrade"] * 4 + ["uninstall"]
    assert "canary" not in world.argv


def test_a_password_arrives_as_it_is(world):
    world.run()
    assert world.releases[-1]["config"] == {"a": {"b": 1, "password": CANARY}}


def test_the_diff_tells_that_a_secret_changed(world):
    world.run()
    diff = world.run(check=True, secret_values={"a": {"password": "other-canary"}})["diff"]
    assert "password: (secret)" in diff["before"]
    assert "password: (secret, changed)" in diff["after"]
    assert f"chart_version: {VERSION}" in diff["after"]


@pytest.mark.parametrize(
    ("statuses", "verbs"),
    [
        (["pending-install"], ["uninstall", "upgrade"]),
        (["deployed", "pending-upgrade"], ["rollback", "upgrade"]),
        (["failed"], ["upgrade"]),
        (["uninstalling"], ["uninstall", "upgrade"]),
    ],
)
def test_what_an_interrupted_run_left_is_put_right(world, statuses, verbs):
    world.releases = [{"status": status, "config": {"old": True}, "version": VERSION} for status in statuses]
    predicted = world.run(check=True)
    assert (predicted["changed"], predicted["action"], world.verbs()) == (True, "repaired", [])
    done = world.run()
    assert (done["changed"], done["action"], world.verbs()) == (True, "repaired", verbs)
    assert "revision" in done["note"]
    assert world.run()["changed"] is False


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"chart_version": "9.9.9"}, ["site_binderhub_chart_version", "9.9.9", "https://charts.example.org"]),
        ({"chart_version": ""}, ["site_binderhub_chart_version"]),
        (
            {"chart_repository": "https://unreachable.example.org"},
            ["https://unreachable.example.org", "no such host"],
        ),
        ({"chart_repository": "/nowhere"}, ["no chart at /nowhere"]),
        ({"kubeconfig": "/nowhere/kc"}, ["/nowhere/kc", "site_kubeconfig_file"]),
        ({"helm_binary": "/nowhere/helm"}, ["/nowhere/helm", "role helm"]),
        ({"kubeconfig": "over.yaml"}, ["the cluster does not answer", "site_kubeconfig_file", "refused"]),
    ],
)
def test_errors_say_what_to_do(world, params, words):
    result = world.run(**params)
    assert result["failed"]
    assert not [word for word in words if word not in result["msg"]]
    assert world.releases == []


# The kubeconfig of a cluster that is over may still be there.
@pytest.mark.parametrize(
    ("missing", "note"),
    [
        ({"kubeconfig": "/nowhere/kc"}, "there is no kubeconfig"),
        ({"helm_binary": "/nowhere/helm"}, "there is no helm"),
        ({"kubeconfig": "over.yaml"}, "the cluster does not answer"),
    ],
)
def test_check_mode_predicts_without_cluster_or_helm(world, missing, note):
    result = world.run(check=True, **missing)
    assert (result["changed"], result["action"]) == (True, "installed")
    assert note in result["note"]
    assert "b: 1" in result["diff"]["after"]
    result = world.run(check=True, state="absent", **missing)
    assert (result["changed"], result["action"]) == (False, "unchanged")


def test_values_are_kept_where_asked_for(world):
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


def test_urls_and_phases_come_back(world):
    result = world.run(urls={"binder": "https://x/"})
    assert result["urls"] == {"binder": "https://x/"}
    assert set(result["phases"]) == {"inspect", "apply"}
    assert re.fullmatch(rf"binderhub-{re.escape(VERSION)}", result["chart"])
