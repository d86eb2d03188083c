"""What lies beyond the site, in the lab: listeners that say whom they were reached as, and targets that have a listener."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from free_ports import free_port

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from lab.outside import listeners

INVENTORY = ROOT / "inventories/lab"
LAB = yaml.safe_load((INVENTORY / "group_vars/all/lab.yml").read_text())
TARGETS = yaml.safe_load((INVENTORY / "group_vars/all/fences.yml").read_text())["site_fence_probe_targets"]
ASK = ROOT / "molecule/default/tests/ask.py"
HELD = ["127.0.0.2", "127.0.0.3"]
QUERY = b"\x1b\x1d\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"


def machines() -> dict[str, str]:
    """The lab's machines by name."""
    groups = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]["machines"]["children"]
    return {
        name: values["lab_address"]
        for group in groups.values()
        for name, values in group["hosts"].items()
        if values
    }


@pytest.fixture
def port() -> int:
    """A port that is free at both addresses."""
    return free_port()


def while_served(work: Callable[[], Awaitable[Any]], port: int) -> Any:
    """Do something while the listeners run."""

    async def both() -> Any:
        _kept = await listeners.listen(HELD, [port], [port])
        return await asyncio.wait_for(work(), 60)

    return asyncio.run(both())


def asked(targets: list[list[Any]]) -> Callable[[], Awaitable[dict[str, str]]]:
    """What the machines' own program hears."""

    async def run() -> dict[str, str]:
        program = await asyncio.create_subprocess_exec(
            sys.executable, str(ASK), json.dumps(targets), stdout=subprocess.PIPE
        )
        told: dict[str, str] = json.loads((await program.communicate())[0])
        return told

    return run


def test_each_address_answers_as_itself(port: int) -> None:
    """By TCP and UDP, to the program that the lab's test runs on a node; an address that nobody holds does not."""
    targets = [[address, port, protocol] for address in [*HELD, "127.0.0.4"] for protocol in ("tcp", "udp")]
    told = while_served(asked(targets), port)
    for address in HELD:
        for protocol in ("tcp", "udp"):
            assert told[f"{address} {port} {protocol}"] == f"{address} {port} {protocol} from 127.0.0.1"
            assert "refused" in told[f"127.0.0.4 {port} {protocol}"]


def test_the_first_bytes_suit_an_http_client(port: int) -> None:
    """A RUN step may have no other tool than one that speaks HTTP; what it sends is read, or the answer would be lost."""

    def get() -> bytes:
        with socket.create_connection(("127.0.0.2", port), 60) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(5_000_000))
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(1500), b""))

    head, _, body = while_served(lambda: asyncio.to_thread(get), port).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert body == f"127.0.0.2 {port} tcp from 127.0.0.1\n".encode()


def test_ssh_keeps_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 22 of one address is left to SSH, and no other."""
    bound: list[tuple[str, int]] = []

    def note(address: str, port: int, kind: Any) -> Any:
        bound.append((address, port))
        return free(address, 0, kind)

    free = listeners.bound
    monkeypatch.setattr(listeners, "bound", note)
    asyncio.run(listeners.listen(HELD, [22, 80], [], "127.0.0.2"))
    assert bound == [("127.0.0.2", 80), ("127.0.0.3", 22), ("127.0.0.3", 80)]


def test_dns_is_answered_as_dns() -> None:
    """The question again, and a record with the text; the lengths are RFC 1035's."""
    answer = listeners.dns_answer(QUERY, "192.0.2.1 53 udp from 192.0.2.2")
    assert answer[:2] == QUERY[:2]
    assert answer[2] & 0x80, "a query, not an answer"
    assert answer[4:12] == b"\x00\x01\x00\x01\x00\x00\x00\x00"
    assert answer[12 : len(QUERY)] == QUERY[12:]
    record = answer[len(QUERY) :]
    assert record[:4] == b"\xc0\x0c\x00\x10"
    assert int.from_bytes(record[10:12], "big") == len(record) - 12 == record[12] + 1
    assert record[13:] == b"192.0.2.1 53 udp from 192.0.2.2"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"?",
        b"ironbinder",
        QUERY[:14],
        QUERY[:-1],
        QUERY[:4] + b"\x00\x02" + QUERY[6:],
        b"\x1b\x1d\x81" + QUERY[3:],
    ],
    ids=["empty", "one byte", "a word", "half a name", "half a question", "two questions", "an answer"],
)
def test_what_is_no_query_gets_no_dns_answer(data: bytes) -> None:
    """An answer to an answer would go back and forth for ever."""
    assert listeners.dns_answer(data, "x") == b""


def test_addresses_are_what_others_reach() -> None:
    """Those on the loopback device too, but neither its own nor what only neighbours know."""
    links = [
        {"addr_info": [{"local": "127.0.0.1"}, {"local": "169.254.169.254"}, {"local": "::1"}]},
        {"addr_info": [{"local": "172.30.77.51"}, {"local": "fd77:30:77::51"}, {"local": "fe80::1"}, {}]},
        {},
    ]
    assert listeners.addresses(links) == ["169.254.169.254", "172.30.77.51", "fd77:30:77::51"]


def test_every_target_has_a_listener() -> None:
    """A target without one would look like a fence that holds; and what it has to say is what the listener says."""
    known = machines()
    outside = known["outside1"]
    held = [outside, LAB["lab_outside_address"], *LAB["lab_outside_addresses"]]
    held += [LAB["lab_ipv6_prefix"] + outside.rsplit(".", 1)[1]]
    names = {name: address for address, found in LAB["lab_extra_names"].items() for name in found}
    others = {LAB["lab_ipv6_prefix"] + address.rsplit(".", 1)[1]: {22} for address in known.values()}
    others[known["mirror1"]] = {53}
    for target in TARGETS:
        address = names.get(target["address"], target["address"])
        protocol = "tcp" if target.get("protocol", "tcp") == "tcp" else "udp"
        if address in held:
            assert target["port"] in LAB[f"lab_outside_{protocol}_ports"], target
            assert target["says"] == f"{address} {target['port']} {protocol}"
        else:
            assert target["port"] in others[address], target
    assert len({target["name"] for target in TARGETS}) == len(TARGETS)


def test_machines_are_told_addresses() -> None:
    """Names are for who logs in: no unit of systemd listens at one, and no route leads by way of one."""
    [start, *_] = yaml.safe_load((ROOT / "lab/tasks/machine.yml").read_text())
    told = {key: value for key, value in start["vars"].items() if key.startswith("lab_env")}
    assert "lab_address" in str(told)
    assert "ansible_host" not in str(told)


def test_addresses_are_of_the_kind_that_they_stand_for() -> None:
    """Private ones are private, the service address is of the default range of services, and the nodes reach all of them."""
    defaults = yaml.safe_load((ROOT / "roles/site/defaults/main/contract.yml").read_text())
    services = ip_network(defaults["site_service_subnet"])
    pods = ip_network(defaults["site_pod_subnet"])
    private = [
        ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
    ]
    for target in TARGETS:
        if target["kind"] not in ("private", "unassigned", "metadata", "mail"):
            continue
        address = ip_address(target["address"])
        assert (target["kind"] == "unassigned") == (address in services), target
        assert address not in pods
        if target["kind"] == "private":
            assert any(address in network for network in private), target
        if target["kind"] == "metadata":
            assert address.is_link_local
        if target["kind"] == "mail":
            assert address in ip_network(LAB["lab_outside_network"])
    routed = [ip_network(LAB["lab_outside_network"]), *map(ip_network, LAB["lab_outside_addresses"])]
    assert not any(network.overlaps(ip_network(LAB["lab_network"])) for network in routed)
