"""What a machine cannot do becomes what its kubelet is told, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.kubelet_patch import (
    no_names,
    patch_of,
    text_of,
    write_patch,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.limits import read_machine_limits

# This machine, without anything that keeps a kubelet from its defaults.
PLAIN = replace(
    read_machine_limits(),
    cgroup_version=2,
    can_lower_oom_score=True,
    resolver_is_loopback=False,
    resolv_conf="/etc/resolv.conf",
    is_container=False,
    swap_bytes=0,
)
STUB = "/run/systemd/resolve/resolv.conf"


@pytest.mark.parametrize(
    ("changes", "patch", "nameless"),
    [
        ({}, {}, False),
        ({"cgroup_version": 1}, {"failCgroupV1": False}, False),
        ({"can_lower_oom_score": False}, {"oomScoreAdj": 0}, False),
        ({"resolver_is_loopback": True, "resolv_conf": STUB}, {"resolvConf": STUB}, False),
        ({"resolver_is_loopback": True, "resolv_conf": ""}, {}, True),
        ({"swap_bytes": 1 << 30}, {}, False),
        ({"swap_bytes": 1 << 30, "is_container": True}, {"failSwapOn": False}, False),
        ({"is_container": True, "can_set_conntrack": False}, {}, False),
    ],
)
def test_patch_of(changes: dict[str, object], patch: dict[str, object], nameless: bool) -> None:
    """Each limit alone; a machine's own swap is the role node's business."""
    limits = replace(PLAIN, **changes)  # type: ignore[arg-type]
    assert patch_of(limits) == patch
    assert bool(no_names(limits)) is nameless
    assert yaml.safe_load(text_of(patch)) == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        **patch,
    }


def test_write_patch(tmp_path: Path) -> None:
    """A check says it, doing it does it, and it is left alone then; content and mode are put right."""
    folder = tmp_path / "var" / "kubeadm-patches"
    text = text_of({"failCgroupV1": False})
    assert write_patch(folder, text, True).changed and not folder.exists()
    made = write_patch(folder, text, False)
    assert (made.changed, made.before, made.after) == (True, "", text)
    assert made.path == folder / "kubeletconfiguration+merge.yaml"
    assert [write_patch(folder, text, check).changed for check in (True, False)] == [False, False]
    made.path.chmod(0o600)
    assert [write_patch(folder, text, check).changed for check in (True, False, False)] == [True, True, False]
    other = write_patch(folder, text_of({}), False)
    assert (other.before, made.path.read_text()) == (text, text_of({}))
    assert list(folder.iterdir()) == [made.path]
