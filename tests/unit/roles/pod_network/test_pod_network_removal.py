# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A machine that is no node any more has no routes and rules of pods: by a real kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pod_nodes import ROUTE, PodNode, script, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "can be run")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[PodNode]:
    """A node without a keeper."""
    made = PodNode(tmp_path, f"{os.getpid()}-removal")
    try:
        made.open()
        yield made
    finally:
        made.close()


def kernel(node: PodNode) -> str:
    """Rules, routes and links, without counters and comments."""
    saved = node.run("iptables-save").splitlines()
    rules = [line.partition(" [")[0] for line in saved if line.startswith((":", "-A"))]
    return "\n".join([*rules, node.run("ip", "-4", "route"), node.run("ip", "-brief", "link")])


def test_a_machine_is_as_before(node: PodNode, tmp_path: Path) -> None:
    program = str(script(tmp_path))
    # Somebody's own, and tables that are there from now on.
    node.run("iptables", "-A", "FORWARD", "-s", "198.51.100.0/24", "-j", "ACCEPT")
    node.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "198.51.100.0/24", "-j", "MASQUERADE")
    before = kernel(node)
    node.run(program, "apply")
    assert node.routes() == ROUTE
    # As the runtime's bridge plugin makes it.
    node.run("ip", "link", "add", "cni0", "type", "bridge")
    (tmp_path / "ipam").mkdir()
    node.run(program, "remove")
    assert kernel(node) == before
    assert not (tmp_path / "ipam").exists()
    # Also where a run was stopped in between.
    node.run(program, "remove")
    assert kernel(node) == before
