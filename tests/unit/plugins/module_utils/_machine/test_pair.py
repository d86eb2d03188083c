# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What dpkg has of Docker, containerd and the pods' network."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.pair import (
    PACKAGES,
    installed_packages,
)

STATUS = """\
Package: docker-ce
Status: hold ok installed
Version: 5:29.8.1-1~debian.12~bookworm

Package: containerd.io
Status: install ok installed
Version: 2.4.2-1~debian.12~bookworm

Package: kubernetes-cni
Status: deinstall ok config-files
Version: 1.9.1-1.1
"""


def test_versions_without_epoch_and_revision(tmp_path: Path) -> None:
    """What was removed is not installed, and a machine without dpkg has nothing."""
    assert installed_packages(tmp_path) == dict.fromkeys(PACKAGES, "")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    there = {"docker-ce": "29.8.1", "containerd.io": "2.4.2"}
    assert installed_packages(tmp_path) == {**dict.fromkeys(PACKAGES, ""), **there}
