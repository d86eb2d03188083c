# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an admin wrote, what a site says, and what Docker is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.daemon_config import (
    DaemonConfigError,
    DockerSite,
    ca_hosts,
    merged,
    read,
    validate,
    written,
)

MIRROR = "https://mirror.example.org"
OWN = {"host": "registry.example.org:5000", "plain_http_enabled": False}
PLAIN = {"host": "plain.example.org:5000", "plain_http_enabled": True}
DEFAULTS = {
    "log-driver": "json-file",
    "live-restore": True,
    "log-opts": {"max-size": "10m", "max-file": "3"},
}

# (what is there, what the site says, what differs from DEFAULTS afterwards; None: the key is not there)
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "nothing there": ({}, {}, {}),
    "a mirror and a registry": (
        {},
        {"registry_mirrors": [MIRROR], "registries": [OWN]},
        {"registry-mirrors": [MIRROR]},
    ),
    "plain HTTP": ({}, {"registries": [OWN, PLAIN]}, {"insecure-registries": [PLAIN["host"]]}),
    "no longer plain": (
        {"insecure-registries": [OWN["host"], "theirs:5000"]},
        {"registries": [OWN]},
        {"insecure-registries": ["theirs:5000"]},
    ),
    "no longer plain, and the last": ({"insecure-registries": [OWN["host"]]}, {"registries": [OWN]}, {}),
    "a registry without a word on HTTP": ({}, {"registries": [{"host": "a:1"}]}, {}),
    "mirrors are the site's alone": ({"registry-mirrors": ["https://old"]}, {}, {}),
    "what an admin put there": (
        {"data-root": "/data", "hosts": [], "log-opts": {"labels": "x", "max-size": "1g"}},
        {},
        {
            "data-root": "/data",
            "hosts": [],
            "log-opts": {"labels": "x", "max-size": "10m", "max-file": "3"},
        },
    ),
    "another log driver": (
        {"log-driver": "journald", "log-opts": {"tag": "x"}},
        {},
        {"log-driver": "journald", "log-opts": {"tag": "x"}},
    ),
    "another log driver without options": (
        {"log-driver": "journald"},
        {},
        {"log-driver": "journald", "log-opts": None},
    ),
    "a slice for builds": (
        {},
        {"cgroup_parent": "/builds.slice"},
        {"cgroup-parent": "/builds.slice", "exec-opts": ["native.cgroupdriver=cgroupfs"]},
    ),
    "a slice for builds, where an admin chose another driver": (
        {"cgroup-parent": "x.slice", "exec-opts": ["native.cgroupdriver=systemd", "isolation=x"]},
        {"cgroup_parent": "/builds.slice"},
        {
            "cgroup-parent": "/builds.slice",
            "exec-opts": ["isolation=x", "native.cgroupdriver=cgroupfs"],
        },
    ),
    "no slice for builds": (
        {"cgroup-parent": "x.slice", "exec-opts": ["native.cgroupdriver=systemd"]},
        {},
        {"cgroup-parent": "x.slice", "exec-opts": ["native.cgroupdriver=systemd"]},
    ),
    "other wishes": (
        {},
        {"log_max_size": "1m", "log_max_files": 9, "live_restore_enabled": False},
        {"live-restore": False, "log-opts": {"max-size": "1m", "max-file": "9"}},
    ),
}


@pytest.mark.parametrize(("present", "site", "differs"), CASES.values(), ids=CASES.keys())
def test_merge(present: dict[str, Any], site: dict[str, Any], differs: dict[str, Any]) -> None:
    wanted = {key: value for key, value in {**DEFAULTS, **differs}.items() if value is not None}
    found = merged(present, DockerSite(**site))
    assert found == wanted
    assert merged(read(written(found).encode(), "x"), DockerSite(**site)) == found


@pytest.mark.parametrize("data", [None, b"", b" \n"])
def test_nothing_holds_nothing(data: bytes | None) -> None:
    assert read(data, "/etc/docker/daemon.json") == {}


BROKEN = {
    b'{"debug": true,}': "is no JSON: .*line 1 column 16",
    b"\xff\xfe": "is no JSON",
    b"[]": "holds no JSON object but list",
    b'{"log-opts": []}': "log-opts in .* is not an object",
    b'{"insecure-registries": "a"}': "insecure-registries in .* is not a list",
}


@pytest.mark.parametrize(("data", "said"), BROKEN.items())
def test_what_cannot_be_read_is_named_with_its_remedy(data: bytes, said: str) -> None:
    with pytest.raises(DaemonConfigError, match=said) as failure:
        read(data, "/etc/docker/daemon.json")
    assert "/etc/docker/daemon.json" in str(failure.value)
    assert "mend it" in str(failure.value)


def test_a_ca_goes_where_docker_looks_for_it() -> None:
    site = DockerSite(
        registry_mirrors=[MIRROR, "http://plain.example.org", "https://registry.example.org:5000/"],
        registries=[OWN],
    )
    assert ca_hosts(site) == ["registry.example.org:5000", "mirror.example.org"]


# What `dockerd --validate` ended with and said, and whether that refuses the file.
VERDICTS = {
    "good": (Ran(0, stderr="configuration OK\n"), False),
    "no Docker yet": (Ran(NOT_THERE, stderr="dockerd: No such file or directory"), False),
    "Docker 20.10": (Ran(125, stderr="unknown flag: --validate\nSee 'dockerd --help'.\n"), False),
    "bad": (Ran(1, stderr="unable to configure the Docker daemon with file /tmp/d: unknown keys\n"), True),
}


@pytest.mark.parametrize(("ran", "is_refused"), VERDICTS.values(), ids=VERDICTS.keys())
def test_the_daemons_own_verdict(ran: Ran, is_refused: bool) -> None:
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], _timeout: float) -> Ran:
        asked.append(argv)
        return ran

    if is_refused:
        with pytest.raises(DaemonConfigError, match=r"with file /etc/docker/daemon\.json: unknown keys"):
            validate("/tmp/d", "/etc/docker/daemon.json", run)
    else:
        validate("/tmp/d", "/etc/docker/daemon.json", run)
    assert asked == [["dockerd", "--validate", "--config-file", "/tmp/d"]]
