# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Recorded answers of containerd's client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.containerd import (
    Containerd,
    ContainerdError,
)

DATA = Path(__file__).parents[3] / "data/containerd"
PAUSE = "registry.k8s.io/pause:3.10.2"


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


class Client:
    """Answers everything with one recorded end."""

    def __init__(self, ran: Ran) -> None:
        self.ran = ran
        self.asked: list[list[str]] = []

    def __call__(self, argv: Sequence[str], timeout_seconds: float) -> Ran:
        assert timeout_seconds > 0
        self.asked.append(list(argv))
        return self.ran


def daemon(client: Client) -> Containerd:
    return Containerd(client, hosts_dir="/etc/containerd/certs.d", namespace="k8s.io")


def test_a_daemon_as_it_should_be() -> None:
    client = Client(Ran(0, recorded("plugins")))
    daemon(client).prove()
    assert client.asked == [["ctr", "plugins", "list", "--detailed", "id==cri", "id==images"]]


WRONG = {
    "cri_disabled": "runs without its Kubernetes interface",
    "elsewhere": "looks for its registries in /etc/containerd/elsewhere, not in /etc/containerd/certs.d",
    "broken_part": 'did not start: Code: Unknown Message: failed to find snapshotter "zfs"',
}


@pytest.mark.parametrize(("answer", "said"), WRONG.items())
def test_a_daemon_that_is_something_else_is_told_how_to_mend(answer: str, said: str) -> None:
    with pytest.raises(ContainerdError) as failure:
        daemon(Client(Ran(0, recorded(answer)))).prove()
    assert said in str(failure.value)
    assert "containerd`" in str(failure.value)


def test_an_image_is_there_by_its_whole_name() -> None:
    client = Client(Ran(0, f"{PAUSE}\n"))
    assert daemon(client).has(PAUSE)
    assert not daemon(client).has("registry.k8s.io/pause:3.10")
    assert not daemon(Client(Ran(0))).has(PAUSE)
    assert client.asked[0] == ["ctr", "--namespace", "k8s.io", "images", "list", "--quiet", f"name=={PAUSE}"]


def test_a_pull_goes_by_the_registries_of_the_kubelet() -> None:
    client = Client(Ran(0))
    daemon(client).pull(PAUSE, 600)
    assert client.asked[0][-4:] == ["pull", "--hosts-dir", "/etc/containerd/certs.d", PAUSE]


def test_a_pull_that_fails_says_why_and_not_what_else_is_deprecated() -> None:
    with pytest.raises(ContainerdError) as failure:
        daemon(Client(Ran(1, stderr=recorded("pull_failed")))).pull(PAUSE, 600)
    assert "failed: ctr: failed to resolve image: registry.k8s.io/none" in str(failure.value)
    assert "DEPRECATION" not in str(failure.value)
    assert "/etc/containerd/certs.d/*/hosts.toml" in str(failure.value)


def test_no_daemon_and_no_client() -> None:
    with pytest.raises(ContainerdError, match="cannot access socket"):
        daemon(Client(Ran(1, stderr=recorded("daemon_down")))).has(PAUSE)
    with pytest.raises(ContainerdError, match="install containerd"):
        daemon(Client(Ran(NOT_THERE, stderr="ctr: No such file or directory"))).prove()
