# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A worker of the lab keeps images, builds and pods on one disk of the size that the inventory says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from live_site import ROOT

testinfra_hosts = ["ansible://workers"]

GB = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/lab.yml").read_text())["lab_worker_disk_gb"]
FOLDERS = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet")


def test_one_disk_of_its_own(host: Any) -> None:
    notes = host.file("/run/ironbinder-lab-notes")
    if not GB or notes.exists:
        pytest.skip(notes.content_string if notes.exists else "lab_worker_disk_gb is 0")
    rows = [
        host.check_output("findmnt --noheadings --bytes --output MAJ:MIN,FSTYPE,SIZE --target %s", folder)
        .split("\n")[-1]
        .split()
        for folder in FOLDERS
    ]
    assert len({row[0] for row in rows}) == 1
    assert rows[0][0].startswith("7:"), "no loop device"
    assert rows[0][1] == "ext4"
    assert 0.9 * GB * 2**30 < int(rows[0][2]) <= GB * 2**30


def test_docker_layers_images_on_it(host: Any) -> None:
    # A new Docker keeps images in containerd, whose folder is on that disk as well.
    assert host.check_output("docker info --format %s", "{{.Driver}}") == "overlayfs"
