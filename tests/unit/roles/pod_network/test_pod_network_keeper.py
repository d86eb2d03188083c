# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Routes and rules of pods come back by themselves, whoever takes them: by a real kernel."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pod_nodes import KEEPER, NODES, ROUTE, PodNode, script, until, why_not
from programs import load_program

REASON = why_not()
needs_a_kernel = pytest.mark.skipif(bool(REASON), reason=REASON or "can be run")
# Well before anybody looks without having been told to.
SOON = 5.0


@pytest.fixture
def keeper() -> Any:
    """The program as a module."""
    return load_program("pod_network", "pod_network_keeper.py")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[PodNode]:
    """A node whose keeper runs."""
    made = PodNode(tmp_path, str(os.getpid()))
    try:
        made.open()
        made.keep(script(tmp_path))
        yield made
    finally:
        made.close()


@needs_a_kernel
def test_routes_come_back(node: PodNode) -> None:
    assert node.routes() == ROUTE
    node.run("ip", "route", "flush", "proto", "99")
    assert until(lambda: node.routes() == ROUTE) < SOON
    # An interface that goes down takes its routes along, and they cannot be had before it is up again.
    node.run("ip", "link", "set", "eth0", "down")
    assert node.routes() == ""
    node.run("ip", "link", "set", "eth0", "up")
    assert until(lambda: node.routes() == ROUTE) < SOON
    # So does one whose address is taken and given again, as systemd-networkd does when it configures anew.
    node.run("ip", "address", "flush", "dev", "eth0")
    assert node.routes() == ""
    node.run("ip", "address", "add", "192.0.2.21/24", "dev", "eth0")
    assert until(lambda: node.routes() == ROUTE) < SOON
    assert "10.244.2.5 via 192.0.2.22 " in node.run("ip", "route", "get", "10.244.2.5")

    def put_back() -> list[str]:
        return [line for line in node.journal() if line.startswith("put back: ")]

    # It is told after the fact.
    until(lambda: len(put_back()) >= 3)
    assert "put back: route to 10.244.2.0/24 via 192.0.2.22" in put_back()


@needs_a_kernel
def test_a_route_of_another_that_stands_in_the_way_gives_way(node: PodNode) -> None:
    node.run("ip", "route", "replace", "blackhole", "10.244.2.0/24")
    assert until(lambda: node.routes() == ROUTE) < SOON


@needs_a_kernel
def test_a_quiet_node_costs_nothing(node: PodNode) -> None:
    """What the keeper does itself wakes it, and that has to come to an end."""
    node.run("ip", "route", "flush", "proto", "99")
    until(lambda: node.routes() == ROUTE)
    assert node.keeper
    stat = Path(f"/proc/{node.keeper.pid}/stat")

    def spent() -> int:
        """Give the time of processor of its children, in hundredths of a second."""
        return sum(map(int, stat.read_text().rpartition(")")[2].split()[13:15]))

    # The last look ends; then nothing is run.
    until(lambda: not _changes(spent, 1.0))
    before = spent()
    # A pod that starts brings an interface and no route of the node.
    node.run("ip", "link", "add", "veth-pod", "type", "veth", "peer", "veth-node")
    node.run("ip", "link", "set", "veth-node", "up")
    assert not _changes(spent, 1.5)
    assert spent() == before


def _changes(value: Any, seconds: float) -> bool:
    before = value()
    try:
        until(lambda: value() != before, seconds)
    except AssertionError:
        return False
    return True


@needs_a_kernel
def test_rules_come_back_within_a_round(tmp_path: Path, keeper: Any) -> None:
    made = PodNode(tmp_path, f"{os.getpid()}-r")
    try:
        made.open()
        program = script(tmp_path)
        made.run(str(program), "apply")
        made.run("iptables", "-w", "-F", "FORWARD")
        assert made.run(str(program), "check").strip() == "rule in table filter FORWARD -j IRONBINDER-FORWARD"
        wrapped = tmp_path / "in-the-node"
        wrapped.write_text(f'#!/bin/sh\nexec ip netns exec {made.name} {program} "$@"\n')
        wrapped.chmod(0o755)
        told: list[str] = []
        assert keeper.Kept(str(wrapped), told.append).look()
        assert made.run(str(program), "check") == ""
        assert told == ["put back: rule in table filter FORWARD -j IRONBINDER-FORWARD"]
    finally:
        made.close()
    assert keeper.ROUND_SECONDS < 60


@needs_a_kernel
def test_one_gateway_that_is_elsewhere_keeps_no_other_from_its_route(tmp_path: Path) -> None:
    nodes = {"worker0": {"address": "198.51.100.9", "pod_cidr": "10.244.9.0/24"}, **NODES}
    made = PodNode(tmp_path, f"{os.getpid()}-g")
    try:
        made.open()
        with pytest.raises(subprocess.CalledProcessError) as raised:
            made.run(str(script(tmp_path, nodes)), "apply")
        assert "198.51.100.9 is on no network of this machine" in raised.value.stderr
        assert made.routes() == ROUTE
    finally:
        made.close()


@needs_a_kernel
def test_a_large_site_costs_little(tmp_path: Path) -> None:
    """Every node does this twice a minute, for ever: one look at all routes, and not one at each."""
    nodes = {
        f"worker{number}": {
            "address": f"192.0.2.{22 + number % 200}",
            "pod_cidr": f"10.{240 + number // 256}.{number % 256}.0/24",
        }
        for number in range(2, 801)
    }
    made = PodNode(tmp_path, f"{os.getpid()}-l")

    def seconds(verb: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        made.run(str(program), verb)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    try:
        made.open()
        program = script(tmp_path, nodes)
        made.run("ip", "route", "add", "10.250.0.0/24", "via", "192.0.2.22", "proto", "99")
        assert seconds("apply") < 1
        assert len(made.routes().splitlines()) == 799
        assert seconds("check") < 1
        made.run("ip", "route", "del", "10.240.7.0/24")
        made.run("ip", "route", "replace", "10.240.8.0/24", "via", "192.0.2.22", "proto", "99")
        made.run("ip", "route", "add", "10.250.0.0/24", "via", "192.0.2.22", "proto", "99")
        assert made.run(str(program), "check").splitlines() == [
            "route to a node that is gone: 10.250.0.0/24",
            "route to 10.240.7.0/24 via 192.0.2.29",
            "route to 10.240.8.0/24 via 192.0.2.30",
        ]
    finally:
        made.close()


def program(folder: Path, text: str) -> str:
    """Write a program in place of the role's."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_what_cannot_be_put_back_is_told_once(tmp_path: Path, keeper: Any) -> None:
    told: list[str] = []
    gone = tmp_path / "gone"
    gone.touch()
    kept = keeper.Kept(
        program(
            tmp_path,
            f'test -e {gone} || exit 0\n[ "$1" = check ] && echo "route to x" && exit 0\necho "x is elsewhere" >&2\nexit 1',
        ),
        told.append,
    )
    assert [kept.look(), kept.look()] == [False, False]
    assert told == ["missing: route to x; cannot be put back: x is elsewhere"]
    gone.unlink()
    assert kept.look()
    gone.touch()
    kept.look()
    assert len(told) == 2, "what went well in between is news again"


def test_a_program_that_fails_is_told_and_nothing_is_put_there(tmp_path: Path, keeper: Any) -> None:
    told: list[str] = []
    kept = keeper.Kept(program(tmp_path, f"[ $1 = apply ] && touch {tmp_path}/applied\nexit 3"), told.append)
    assert not kept.look()
    assert told[0].endswith("/program check ended with 3")
    assert not (tmp_path / "applied").exists()
    assert not keeper.Kept(str(tmp_path / "nowhere"), told.append).look()
    assert "No such file" in told[-1]


def test_a_program_that_hangs_is_given_up(
    tmp_path: Path, keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "PROGRAM_SECONDS", 0.2)
    told: list[str] = []
    assert not keeper.Kept(program(tmp_path, "exec sleep 600"), told.append).look()
    assert "timed out" in told[0]


def test_what_a_program_that_hangs_waits_for_goes_with_it(
    tmp_path: Path, keeper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As iptables, which waits for the lock of the firewall: one more at each look, else."""
    told = tmp_path / "waits"
    waits = program(
        tmp_path,
        f"sleep 600 </dev/null >/dev/null 2>&1 &\necho $! >{told}.made\nmv {told}.made {told}\nwait",
    )
    for seconds in (0.5, 5.0, 60.0):  # as long as this machine needs to begin
        monkeypatch.setattr(keeper, "PROGRAM_SECONDS", seconds)
        assert not keeper.Kept(waits, [].append).look()
        if told.exists():
            break
    process = Path("/proc", told.read_text().strip())

    def gone() -> bool:
        try:
            return ") Z " in (process / "stat").read_text()
        except OSError:
            return True

    until(gone)


def test_no_other_unit_takes_the_keeper_along() -> None:
    """Who stops Docker, or networking, takes the routes: the keeper has to be there then. It starts after them, and no more."""
    text = (KEEPER.parents[1] / "templates/ironbinder-pod-network.service.j2").read_text()
    told = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    assert "After" in told
    assert told.isdisjoint({"PartOf", "BindsTo", "Requires", "Requisite", "StopPropagatedFrom", "Conflicts"})


def test_systemd_is_told_when_all_is_there_and_not_before(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(address)}
        bad = program(tmp_path, "echo 'no such network' >&2; exit 1")
        ran = subprocess.run(
            [sys.executable, str(KEEPER), bad], env=environment, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (1, "no such network\n")
        running = subprocess.Popen(
            [sys.executable, str(KEEPER), program(tmp_path, f"echo $1 >> {tmp_path}/called")], env=environment
        )
        try:
            assert systemd.recv(100) == b"READY=1"
            assert (tmp_path / "called").read_text() == "apply\n"
        finally:
            running.kill()
            running.wait(60)
