"""What would stop the lab on this computer."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lab import check

LAB = {
    "Name": "ironbinder",
    "Labels": {"ironbinder.lab": "network"},
    "IPAM": {"Config": [{"Subnet": "172.30.77.0/24"}]},
}


@pytest.mark.parametrize(
    ("memory", "disk", "words"),
    [
        (24e9, 80e9, []),
        (4e9, 80e9, ["4.0 GB of memory"]),
        (24e9, 3e9, ["3.0 GB left"]),
        (1e9, 1e9, ["1.0 GB of memory", "1.0 GB left"]),
    ],
)
def test_short_of_room(memory: float, disk: float, words: list[str]) -> None:
    problems = check.short_of_room(int(memory), int(disk), "/var/lib/docker")
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems))


@pytest.mark.parametrize(
    ("networks", "routes", "user"),
    [
        ([LAB], [{"dst": "172.30.77.0/24", "dev": "ironbinder0"}, {"dst": "default", "dev": "eth0"}], None),
        ([{"Name": "other", "Labels": {}, "IPAM": {"Config": [{"Subnet": "172.30.0.0/16"}]}}], [], "other"),
        ([{"Name": "host", "Labels": None, "IPAM": {"Config": None}}], [], None),
        ([{"Name": "six", "Labels": {}, "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}}], [], None),
        ([], [{"dst": "172.30.77.0/24", "dev": "ironbinder1"}], None),
        ([], [{"dst": "172.30.77.128/25", "dev": "wg0"}], "wg0"),
        ([], [{"dst": "172.30.78.0/24", "dev": "wg0"}], None),
        # A VPN that blocks what does not go through it; several ways have no single device either.
        ([], [{"type": "blackhole", "dst": "172.30.0.0/16", "flags": []}], "blackhole"),
        ([], [{"dst": "172.30.0.0/16", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}]}], "several"),
        ([], [{"type": "unreachable", "dst": "10.0.0.0/8"}], None),
    ],
)
def test_taken_network(networks: list, routes: list, user: "str | None") -> None:
    problems = check.taken_network("172.30.77.0/24", networks, routes)
    assert bool(problems) == bool(user)
    assert all(str(user) in problem and "lab_network" in problem for problem in problems)


def test_taken_names() -> None:
    ours = {"Name": "/ironbinder-head1", "Config": {"Labels": {"ironbinder.lab": "head1"}}}
    other = {"Name": "/ironbinder-worker1", "Config": {"Labels": {}}}
    unrelated = {"Name": "/web", "Config": {"Labels": None}}
    problems = check.taken_names(["head1", "worker1"], [ours, other, unrelated])
    assert len(problems) == 1
    assert "ironbinder-worker1" in problems[0]
