"""dpkg's and apt's words, recorded from Debian 12 (apt 2.6.2, dpkg 1.21) and Ubuntu 24.04 (apt 2.7)."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.package_lists import (
    Offer,
    State,
    error_lines,
    is_version,
    parse_policy,
    parse_states,
)

STATES = """\
hold installed kubelet 1.36.3-1.1
install installed libc6 2.36-9+deb12u13
install installed libc6 2.36-9+deb12u13
unknown not-installed awk{space}
deinstall config-files kubeadm 1.35.0-1.1
install half-configured docker.io 20.10.24+dfsg1-1+deb12u1+b6
install triggers-pending man-db 2.11.2-2
install unpacked runc 1.1.5+ds1-1+deb12u1
install half-installed kmod 30+20221128-1
""".format(space=" ")

POLICY = """\
bash:
  Installed: 5.2.15-2+b8
  Candidate: 5.2.15-2+b13
  Version table:
     5.2.15-2+b13 500
        500 http://deb.example.org/debian bookworm/main amd64 Packages
 *** 5.2.15-2+b8 100
        100 /var/lib/dpkg/status
awk:
  Installed: (none)
  Candidate: (none)
  Version table:
kubelet:
  Installed: (none)
  Candidate: 1.36.2-1.1
  Version table:
     1.36.3-1.1 -1
        500 https://pkgs.example.org/core:/stable:/v1.36/deb  Packages
     1.36.2-1.1 990
        990 https://pkgs.example.org/core:/stable:/v1.36/deb  Packages
        500 https://mirror.example.org/core:/stable:/v1.36/deb  Packages
openssl:
  Installed: 3.0.13-0ubuntu3.4
  Candidate: 3.0.13-0ubuntu3.5
  Version table:
     3.0.13-0ubuntu3.5 500 (phased 20%)
        500 http://archive.example.org/ubuntu noble-updates/main amd64 Packages
 *** 3.0.13-0ubuntu3.4 500
        500 http://archive.example.org/ubuntu noble-security/main amd64 Packages
        100 /var/lib/dpkg/status
"""


def test_states() -> None:
    """What is unpacked has a version, and is told from what is whole; two architectures are one package."""
    assert parse_states(STATES) == {
        "kubelet": State("kubelet", "1.36.3-1.1", True),
        "libc6": State("libc6", "2.36-9+deb12u13", False),
        "awk": State("awk", "", False),
        "kubeadm": State("kubeadm", "", False),
        "docker.io": State("docker.io", "20.10.24+dfsg1-1+deb12u1+b6", False, whole=False),
        "man-db": State("man-db", "2.11.2-2", False),
        "runc": State("runc", "1.1.5+ds1-1+deb12u1", False, whole=False),
        "kmod": State("kmod", "", False, torn=True),
    }
    assert parse_states("") == {}


def test_policy() -> None:
    """What only dpkg knows cannot be installed; what an admin pinned to never is not offered."""
    assert parse_policy(POLICY) == {
        "bash": Offer("5.2.15-2+b13", ("5.2.15-2+b13",)),
        "awk": Offer("", ()),
        "kubelet": Offer("1.36.2-1.1", ("1.36.2-1.1",)),
        "openssl": Offer("3.0.13-0ubuntu3.5", ("3.0.13-0ubuntu3.5", "3.0.13-0ubuntu3.4")),
    }
    assert parse_policy("") == {}


@pytest.mark.parametrize(
    ("version", "wanted", "same"),
    [
        ("1.36.3-1.1", "1.36.3", True),
        ("1.36.3-1.1", "1.36.3-1.1", True),
        ("1.36.30-1.1", "1.36.3", False),
        ("1.36.3~rc.1-1.1", "1.36.3", False),
        ("5:28.0.1-1~debian.12~bookworm", "28.0.1", True),
        ("5:28.0.1-1~debian.12~bookworm", "5:28.0.1", True),
        ("20.10.24+dfsg1-1+deb12u1", "20.10.24", True),
        ("1.36.3", "1.36.3", True),
        ("", "1.36.3", False),
    ],
)
def test_versions(version: str, wanted: str, same: bool) -> None:
    """Epoch and revision are the packages' own business."""
    assert is_version(version, wanted) is same


def test_error_lines() -> None:
    """apt's errors without its progress; all there is where it names none."""
    said = "W: old\nE: Unable to locate package nope\nE: Version '1.2' for 'bash' was not found\n"
    assert error_lines("Reading...\n", said) == (
        "E: Unable to locate package nope; E: Version '1.2' for 'bash' was not found"
    )
    assert error_lines("only this\n", "") == "only this"
    assert error_lines("", "") == "it said nothing"
