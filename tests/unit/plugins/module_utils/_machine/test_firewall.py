# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Firewalls of machines, as ufw 0.36 and firewalld 1.3 were recorded with a real kernel, and rules of every form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.firewall import firewall_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.nft_verdict import verdict

DATA = Path(__file__).parents[3] / "data/firewall"
PACKETS: dict[str, dict[str, Any]] = {
    "join": {"hook": "input", "protocol": "tcp", "dport": 6443, "saddr": "192.0.2.21"},
    "from pods": {
        "hook": "input",
        "protocol": "tcp",
        "dport": 6443,
        "saddr": "10.244.0.5",
        "iifname": "cni0",
    },
    "pods": {
        "hook": "forward",
        "protocol": "tcp",
        "dport": 443,
        "saddr": "10.244.1.5",
        "iifname": "cni0",
    },
    "answers": {"hook": "input", "protocol": "tcp", "dport": 50000, "state": "established"},
}


class Machine:
    """Answers for programs as they were recorded; what it has not is not there."""

    def __init__(self, root: Path, answers: dict[str, str]) -> None:
        self.root, self.answers = root, answers
        for path in ("usr/sbin/ufw", "usr/sbin/nft", "usr/sbin/iptables-save", "usr/bin/firewall-cmd"):
            if any(line.split()[0] == path.rpartition("/")[2] for line in answers):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).touch()

    def run(self, argv: Sequence[str], seconds: float) -> Ran:
        line = " ".join(argv)
        return Ran(0, self.answers[line]) if line in self.answers else Ran(NOT_THERE)

    def told(self) -> dict[str, Any]:
        return firewall_facts(PACKETS, self.run, self.root)


def listed(text: str) -> str:
    return json.dumps({"nftables": json.loads(text)})


def firewalld(root: Path, name: str) -> Machine:
    text = listed((DATA / f"firewalld-{name}.json").read_text())
    chains = json.dumps({"nftables": [entry for entry in json.loads(text)["nftables"] if "chain" in entry]})
    answers = {"nft -j list chains": chains, "nft -j list table inet firewalld": text}
    return Machine(root, {**answers, "firewall-cmd --get-default-zone": "public\n"})


def test_a_machine_without_anything(tmp_path: Path) -> None:
    assert Machine(tmp_path, {}).told() == {"ufw": False, "zone": "", "own": False, "chains": []}


def test_ufw(tmp_path: Path) -> None:
    saved = (DATA / "ufw-iptables-save.txt").read_text()
    machine = Machine(tmp_path, {"ufw status": "Status: active\n\nTo", "iptables-save -t filter": saved})
    told = machine.told()
    assert told["ufw"] is True
    [chain] = told["chains"]
    assert (chain["tool"], chain["chain"], chain["policy"]) == ("ufw", "INPUT", "drop")
    assert (chain["dropped"], chain["unknown"]) == ([], ["answers", "from pods", "join"])
    machine.answers["ufw status"] = "Status: inactive\n"
    assert machine.told()["ufw"] is False


def test_firewalld_before_and_after_the_printed_rules(tmp_path: Path) -> None:
    told = firewalld(tmp_path, "before").told()
    assert told["zone"] == "public"
    kept = {chain["hook"]: chain for chain in told["chains"]}
    assert {chain["tool"] for chain in kept.values()} == {"firewalld"}
    assert kept["input"]["dropped"] == ["from pods"]
    assert kept["forward"]["dropped"] == ["pods"]
    assert "join" in kept["input"]["unknown"], "it may come by an interface of another zone"
    after = firewalld(tmp_path, "after").told()["chains"]
    assert all("pods" not in chain["dropped"] and "from pods" not in chain["dropped"] for chain in after)


SAVED = """*filter
:INPUT {policy} [0:0]
:FORWARD DROP [0:0]
:KUBE-FIREWALL - [0:0]
:mine - [0:0]
-A INPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming" -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
{rule}
COMMIT
"""


@pytest.mark.parametrize(
    ("policy", "rule", "hooks"),
    [
        ("ACCEPT", "", []),
        ("DROP", "", ["INPUT"]),
        ("ACCEPT", "-A INPUT -p tcp -j REJECT --reject-with tcp-reset", ["INPUT"]),
        ("ACCEPT", "-A FORWARD -j DROP", ["FORWARD"]),
        ("ACCEPT", "-A mine -j DROP", ["INPUT", "FORWARD"]),
    ],
)
def test_iptables(tmp_path: Path, policy: str, rule: str, hooks: list[str]) -> None:
    """What Docker, kube-proxy and their like drop is no admin's; nor is Docker's policy of FORWARD."""
    saved = SAVED.format(policy=policy, rule=rule)
    told = Machine(tmp_path, {"iptables-save -t filter": saved}).told()
    assert [chain["chain"] for chain in told["chains"]] == hooks
    assert all(chain["tool"] == "iptables" for chain in told["chains"])


def chains_of(*tables: str) -> str:
    base = {"family": "inet", "name": "input", "hook": "input", "policy": "drop", "type": "filter", "prio": 0}
    return json.dumps({"nftables": [{"chain": {**base, "table": table}} for table in tables]})


def test_tables_that_are_no_admins(tmp_path: Path) -> None:
    """The guard's, the cluster's and Docker's; what iptables made is iptables-save's to tell."""
    listed_chains = chains_of("ironbinder_guard", "kube-proxy", "cni_hostport", "docker-bridges", "admin")
    own = json.dumps({"nftables": [{"chain": {"table": "admin", "name": "input"}}]})
    machine = Machine(tmp_path, {"nft -j list chains": listed_chains, "nft -j list table inet admin": own})
    assert [chain["table"] for chain in machine.told()["chains"]] == ["admin"]
    machine.answers["nft -j list chains"] = chains_of("ironbinder_firewall")
    assert machine.told() == {"ufw": False, "zone": "", "own": True, "chains": []}
    for odd in ("", "no JSON", "[]", '{"nftables": {}}', '{"nftables": [3, {"chain": null}]}'):
        machine.answers["nft -j list chains"] = odd
        assert machine.told()["chains"] == []


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


DPORT, SADDR = payload("tcp", "dport"), payload("ip", "saddr")
STATE = {"ct": {"key": "state"}}
ACCEPT, DROP = {"accept": None}, {"drop": None}
LAN = {"prefix": {"addr": "192.0.2.0", "len": 24}}
VERDICTS: dict[str, tuple[list[list[dict[str, Any]]], str]] = {
    "nothing": ([], "drop"),
    "everything": ([[ACCEPT]], "accept"),
    "port": ([[match(DPORT, 6443), ACCEPT]], "accept"),
    "another port": ([[match(DPORT, 22), ACCEPT]], "drop"),
    "not another port": ([[match(DPORT, 22, "!="), ACCEPT]], "accept"),
    "UDP": ([[match(payload("udp", "dport"), 6443), ACCEPT]], "drop"),
    "any transport": ([[match(payload("th", "dport"), {"range": [6000, 7000]}), ACCEPT]], "accept"),
    "network and ports": ([[match(SADDR, LAN), match(DPORT, {"set": [22, 6443]}), ACCEPT]], "accept"),
    "another network": (
        [[match(SADDR, {"set": ["198.51.100.7", {"range": ["10.0.0.1", "10.0.0.9"]}]}), ACCEPT]],
        "drop",
    ),
    "a set by name": ([[match(SADDR, "@lan"), ACCEPT]], "unknown"),
    "a set by name, but another port": ([[match(SADDR, "@lan"), match(DPORT, 22), ACCEPT]], "drop"),
    "an interface that is not known": ([[match({"meta": {"key": "iifname"}}, "eth0"), ACCEPT]], "unknown"),
    "IPv6": ([[match({"meta": {"key": "nfproto"}}, "ipv6"), ACCEPT]], "drop"),
    "protocol": ([[match({"meta": {"key": "l4proto"}}, {"set": ["udp", 6]}), ACCEPT]], "accept"),
    "established": ([[match(STATE, ["established", "related"], "in"), ACCEPT]], "drop"),
    "states by a map": (
        [
            [
                {
                    "vmap": {
                        "key": STATE,
                        "data": {"set": [["established", ACCEPT], ["new", {"jump": {"target": "more"}}]]},
                    }
                }
            ]
        ],
        "accept",
    ),
    "a map by name": ([[{"vmap": {"key": SADDR, "data": "@who"}}]], "unknown"),
    "a limit": ([[{"limit": {"rate": 1}}, DROP], [ACCEPT]], "unknown"),
    "an extension of iptables": ([[{"xt": {"type": "match"}}, ACCEPT]], "unknown"),
    "counted and logged": ([[{"counter": {"packets": 1}}, {"log": {}}, {"reject": None}], [ACCEPT]], "drop"),
    "a jump that comes back": ([[{"jump": {"target": "nothing"}}], [ACCEPT]], "accept"),
    "a goto that does not": ([[{"goto": {"target": "nothing"}}], [ACCEPT]], "drop"),
    "a jump to nowhere": ([[{"jump": {"target": "gone"}}]], "unknown"),
    "a jump in a circle": ([[{"jump": {"target": "base"}}]], "unknown"),
    "return": ([[{"return": None}], [ACCEPT]], "drop"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(name: str) -> None:
    rules, wanted = VERDICTS[name]
    table = {"base": rules, "nothing": [], "more": [[match(DPORT, 6443), ACCEPT]]}
    assert verdict("base", "drop", table, PACKETS["join"]) == wanted
