# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Arguments in a manifest and in a ClusterConfiguration as kubeadm v1.36.3 wrote them in the lab."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.arguments_text import (
    ArgumentsError,
    in_configuration,
    in_manifest,
    missing_of,
)

DATA = Path(__file__).parents[3] / "data/kubeadm"
MANIFEST = (DATA / "kube-controller-manager.txt").read_text()
CONFIG = (DATA / "ClusterConfiguration.txt").read_text()
MANAGER, SECTION = "kube-controller-manager", "controllerManager"
WANTED = {"node-monitor-grace-period": "20s"}


def command(text: str) -> list[str]:
    """The command of a manifest, as YAML has it."""
    told: list[str] = yaml.safe_load(text)["spec"]["containers"][0]["command"]
    return told


def others(text: str, *lines: str) -> list[str]:
    """The lines of a text that are not these."""
    return [line for line in text.splitlines() if line.strip() not in lines]


def test_a_manifest_gets_its_argument_where_kubeadm_would_put_it() -> None:
    new = in_manifest(MANIFEST, MANAGER, WANTED)
    assert others(new, "- --node-monitor-grace-period=20s") == MANIFEST.splitlines()
    assert command(new)[0] == MANAGER
    # kubeadm 1.36 has those of its configuration at the end, and its own, in order, before them.
    assert command(new)[-1] == "--node-monitor-grace-period=20s"
    assert missing_of(command(new), WANTED) == []
    assert missing_of(command(MANIFEST), WANTED) == list(WANTED)


def test_a_manifest_has_an_argument_once() -> None:
    once = in_manifest(MANIFEST, MANAGER, WANTED)
    assert in_manifest(once, MANAGER, WANTED) == once
    again = in_manifest(once, MANAGER, {"node-monitor-grace-period": "50s"})
    assert command(again).count("--node-monitor-grace-period=50s") == 1
    assert len(command(again)) == len(command(once))


@pytest.mark.parametrize(
    "before", ["--allocate-node-cidrs", "--leader-elect", "--use-service-account-credentials"]
)
def test_what_is_there_stays_where_it_is(before: str) -> None:
    """An older kubeadm, or an admin, has it elsewhere."""
    ours = "    - --node-monitor-grace-period=20s\n"
    [place] = [line for line in MANIFEST.splitlines(keepends=True) if before in line]
    theirs = MANIFEST.replace(place, ours + place)
    assert in_manifest(theirs, MANAGER, WANTED) == theirs
    assert in_manifest(theirs.replace("=20s", "=97s"), MANAGER, WANTED) == theirs


def test_of_several_the_last_one_stays() -> None:
    once = in_manifest(MANIFEST, MANAGER, WANTED)
    twice = once.replace(
        "    - --leader-elect=true\n", "    - --leader-elect=true\n    - --node-monitor-grace-period=9s\n"
    )
    assert in_manifest(twice, MANAGER, WANTED) == once
    assert yaml.safe_load(once)["spec"]["containers"][0]["image"].endswith("v1.36.3")


def test_what_an_admin_wrote_there_stays() -> None:
    theirs = MANIFEST.replace("    - --leader-elect=true\n", "    - --v=4\n    - --leader-elect=true\n")
    assert (
        others(in_manifest(theirs, MANAGER, WANTED), "- --node-monitor-grace-period=20s")
        == theirs.splitlines()
    )


def test_a_manifest_of_another_form_is_refused() -> None:
    with pytest.raises(ArgumentsError, match="no command that begins with kube-scheduler"):
        in_manifest(MANIFEST, "kube-scheduler", WANTED)


def arguments(text: str, section: str = SECTION) -> dict[str, str]:
    """The extraArgs of a part, as YAML has them."""
    return {entry["name"]: entry["value"] for entry in yaml.safe_load(text)[section]["extraArgs"]}


ARGS = "controllerManager:\n  extraArgs:\n  - name: cluster-name\n    value: lab\n"


@pytest.mark.parametrize(
    ("part", "before"),
    [
        ("controllerManager: {}\n", {}),
        ("", {}),
        ("controllerManager:\n  extraVolumes:\n  - hostPath: /x\n    mountPath: /x\n    name: x\n", {}),
        (ARGS, {"cluster-name": "lab"}),
        (
            ARGS + "  extraVolumes:\n  - hostPath: /x\n    mountPath: /x\n    name: x\n",
            {"cluster-name": "lab"},
        ),
        (ARGS + '  - name: node-monitor-grace-period\n    value: "40s"\n', {"cluster-name": "lab"}),
    ],
)
def test_the_cluster_remembers(part: str, before: dict[str, str]) -> None:
    text = CONFIG.replace("controllerManager: {}\n", part)
    new = in_configuration(text, SECTION, WANTED)
    assert arguments(new) == {**before, **WANTED}
    assert in_configuration(new, SECTION, WANTED) == new
    old, told = yaml.safe_load(text), yaml.safe_load(new)
    assert {key: value for key, value in told.items() if key != SECTION} == {
        key: value for key, value in old.items() if key != SECTION
    }
    volumes = (old.get(SECTION) or {}).get("extraVolumes")
    assert told[SECTION].get("extraVolumes") == volumes


def test_a_value_that_is_no_plain_word_is_quoted() -> None:
    new = in_configuration(CONFIG, SECTION, {"feature-gates": "A=true,B=false", "v": "4"})
    assert arguments(new) == {"feature-gates": "A=true,B=false", "v": "4"}


@pytest.mark.parametrize(
    "part",
    [
        "controllerManager: {extraArgs: []}\n",
        # kubeadm.k8s.io/v1beta3
        "controllerManager:\n  extraArgs:\n    cluster-name: lab\n",
        "controllerManager:\n  extraArgs:\n  - value: lab\n    name: cluster-name\n",
        "controllerManager:\n  extraArgs:\n  - name: cluster-name\n",
    ],
)
def test_a_configuration_of_another_form_is_refused(part: str) -> None:
    with pytest.raises(ArgumentsError, match=r"form that kubeadm does not write.*edit configmap"):
        in_configuration(CONFIG.replace("controllerManager: {}\n", part), SECTION, WANTED)
