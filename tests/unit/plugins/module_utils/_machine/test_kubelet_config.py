"""Settings get into the file of a kubelet that runs, and nothing else there changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.kubelet_config import (
    change_config,
    with_settings,
)

# As kubeadm writes it, sorted and in block style.
BEFORE = """apiVersion: kubelet.config.k8s.io/v1beta1
clusterDNS:
- 10.96.0.10
evictionHard:
  imagefs.available: 15%
  memory.available: "100Mi"
failCgroupV1: false
kind: KubeletConfiguration
logging:
  options:
    json:
      infoBufferSize: "0"
podPidsLimit: 500
syncFrequency: 0s
"""


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"podPidsLimit": 500},
        {"podPidsLimit": 1024},
        {"podPidsLimit": -1, "maxPods": 60},
        {"evictionHard": {"memory.available": "200Mi", "nodefs.available": "10%"}},
        {"clusterDNS": "x", "syncFrequency": "1m"},
        {"systemReserved": {"memory": "1Gi"}, "failCgroupV1": True},
    ],
)
def test_settings_are_there_and_the_rest_is_as_it_was(settings: dict[str, Any]) -> None:
    after = with_settings(BEFORE, settings)
    assert yaml.safe_load(after) == {**yaml.safe_load(BEFORE), **settings}
    assert with_settings(after, settings) == after
    kept = [line for line in BEFORE.splitlines() if line in after.splitlines()]
    gone = [name for name in settings if name in yaml.safe_load(BEFORE)]
    assert len(kept) >= len(BEFORE.splitlines()) - 3 * len(gone)


@pytest.mark.parametrize(
    "settings",
    [
        {"podPidsLimit": 500, "failCgroupV1": False, "syncFrequency": "0s"},
        {"evictionHard": {"memory.available": "100Mi", "imagefs.available": "15%"}},
    ],
)
def test_what_kubeadm_wrote_another_way_is_left_alone(settings: dict[str, Any]) -> None:
    assert with_settings(BEFORE, settings) == BEFORE


def test_a_file_without_an_end_of_line() -> None:
    assert with_settings("kind: x", {"a": 1}) == "kind: x\na: 1\n"
    assert with_settings("a: 2", {"a": 1}) == "a: 1\n"


def test_change_config(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    wanted = {"podPidsLimit": 7}
    # Before the machine is a node, and after a kubeadm that was killed: nothing of ours to write.
    assert not change_config(path, wanted, False).changed and not path.exists()
    path.touch()
    assert not change_config(path, wanted, False).changed
    path.write_text(BEFORE)
    path.chmod(0o640)
    checked = change_config(path, wanted, True)
    assert (checked.changed, path.read_text()) == (True, BEFORE)
    done = change_config(path, wanted, False)
    assert (done.changed, done.before, done.after) == (True, BEFORE, path.read_text())
    assert (path.stat().st_mode & 0o777, "podPidsLimit: 7\n" in done.after) == (0o640, True)
    assert [change_config(path, wanted, check).changed for check in (True, False)] == [False, False]
