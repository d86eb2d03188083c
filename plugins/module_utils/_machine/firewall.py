# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The firewall that a machine's admin gave it, and what it would drop. Runs on targets, reads only, never raises."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Runner, run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.nft_verdict import (
    DROP,
    UNKNOWN,
    drops_anything,
    verdict,
)

__all__ = ["OWN_TABLE", "firewall_facts"]

TIMEOUT_SECONDS = 10.0
# Of role firewall.
OWN_TABLE = "ironbinder_firewall"
# Tables of nftables that are ours, or of what follows the pods; firewalld's has rules in its own words.
NOT_THE_ADMINS = re.compile(r"ironbinder_\w+|kube-.*|cni.*|cali.*|docker.*|firewalld|podman.*|netavark")
# Chains of iptables that come with the cluster or with ufw.
NOT_THE_ADMINS_CHAINS = re.compile(
    r"(IRONBINDER|KUBE|CNI|DOCKER|cali|FLANNEL|NETAVARK)-?.*|f2b-.*|ufw6?-.*", re.I
)
HOOKS = {"input": "INPUT", "forward": "FORWARD"}


def firewall_facts(
    packets: Mapping[str, Mapping[str, Any]], run: Runner = run_command, root: Path = Path("/")
) -> dict[str, Any]:
    """Look at what keeps packets out of this machine. Only root sees it.

    Args:
        packets: what is to be judged by the rules, {name: {hook, and the fields of a packet}}, see `nft_verdict.verdict`.
        run: runs a program.
        root: `/`, or a folder in tests.

    Returns:
        `ufw`, whether it is active; `zone`, firewalld's zone of connections that no other zone has, `` where firewalld does
        not run; `own`, whether role firewall's table is loaded; `chains`, what drops anything, each {tool, family, table, chain,
        hook, policy, dropped, unknown}: the last two name those of `packets` that it drops, and of which that cannot be told.
    """
    found: dict[str, Any] = {"ufw": False, "zone": "", "own": False, "chains": []}
    if _has(root, "usr/sbin/ufw"):
        found["ufw"] = "Status: active" in run(["ufw", "status"], TIMEOUT_SECONDS).stdout.splitlines()
    if _has(root, "usr/bin/firewall-cmd"):
        told = run(["firewall-cmd", "--get-default-zone"], TIMEOUT_SECONDS)
        found["zone"] = told.stdout.strip() if told.rc == 0 else ""
    chains = list(_nft_chains(packets, run)) if _has(root, "usr/sbin/nft") else []
    found["own"] = any(chain["table"] == OWN_TABLE for chain in chains)
    for save in _iptables(root):
        tool = "ufw" if found["ufw"] else "iptables"
        chains += _iptables_chains(run([save, "-t", "filter"], TIMEOUT_SECONDS).stdout, tool, packets)
    found["chains"] = [chain for chain in chains if chain["table"] != OWN_TABLE]
    return found


def _has(root: Path, path: str) -> bool:
    return (root / path).is_file()


def _iptables(root: Path) -> Iterator[str]:
    """Name the programs that tell rules of iptables. The old kind is asked only where the kernel has a table of it already."""
    if _has(root, "usr/sbin/iptables-save"):
        yield "iptables-save"
    try:
        legacy = (root / "proc/net/ip_tables_names").read_text().split()
    except OSError:
        legacy = []
    if "filter" in legacy and _has(root, "usr/sbin/iptables-legacy-save"):
        yield "iptables-legacy-save"


def _listed(run: Runner, *arguments: str) -> list[Mapping[str, Any]]:
    told = run(["nft", "-j", "list", *arguments], TIMEOUT_SECONDS)
    try:
        listed = json.loads(told.stdout)["nftables"] if told.rc == 0 else []
    except (ValueError, KeyError, TypeError):
        return []
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _nft_chains(packets: Mapping[str, Mapping[str, Any]], run: Runner) -> Iterator[dict[str, Any]]:
    """Give the base chains of nftables that drop anything. Chains of iptables' own form are its programs' to tell."""
    tables: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in _listed(run, "chains"):
        chain = entry.get("chain") or {}
        name = str(chain.get("name"))
        if chain.get("hook") not in HOOKS or chain.get("family") not in ("ip", "inet"):
            continue
        if chain.get("table") == OWN_TABLE:
            yield {"table": OWN_TABLE}
        iptables = (chain.get("table"), name) == ("filter", HOOKS[chain["hook"]])
        firewalld = chain.get("table") == "firewalld"
        if not iptables and (firewalld or not NOT_THE_ADMINS.fullmatch(str(chain.get("table")))):
            tables.setdefault((str(chain["family"]), str(chain["table"])), []).append(chain)
    for (family, table), base in tables.items():
        rules: dict[str, list[Any]] = {}
        for entry in _listed(run, "table", family, table):
            if "chain" in entry:
                rules.setdefault(str(entry["chain"].get("name")), [])
            if "rule" in entry:
                rules.setdefault(str(entry["rule"].get("chain")), []).append(entry["rule"].get("expr") or [])
        for chain in base:
            policy, name = str(chain.get("policy") or "accept"), str(chain["name"])
            if name in rules and drops_anything(policy, rules):
                judged = {
                    key: verdict(name, policy, rules, packet)
                    for key, packet in packets.items()
                    if packet.get("hook") == chain["hook"]
                }
                yield {
                    "tool": "firewalld" if table == "firewalld" else "nftables",
                    "family": family,
                    "table": table,
                    "chain": name,
                    "hook": chain["hook"],
                    "policy": policy,
                    "dropped": sorted(key for key, told in judged.items() if told == DROP),
                    "unknown": sorted(key for key, told in judged.items() if told == UNKNOWN),
                }


def _iptables_chains(
    saved: str, tool: str, packets: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Give the chains of iptables in which the admin, or ufw, drops anything. Its matches are too many to be judged here."""
    policies = dict(re.findall(r"(?m)^:(INPUT|FORWARD) (\w+)", saved))
    rules = [shlex.split(line) for line in saved.splitlines() if line.startswith("-A ")]
    for hook, chain in HOOKS.items():
        policy = "drop" if policies.get(chain) == "DROP" else "accept"
        # Docker sets the policy of FORWARD, and role pod_network lets the pods through before it.
        if (policy == "drop" and hook == "input") or any(_drops(rule, chain) for rule in rules):
            yield {
                "tool": tool,
                "family": "ip",
                "table": "filter",
                "chain": chain,
                "hook": hook,
                "policy": policy,
                "dropped": [],
                "unknown": sorted(key for key, packet in packets.items() if packet.get("hook") == hook),
            }


def _drops(rule: Sequence[str], chain: str) -> bool:
    """Whether a rule of iptables drops something for its admin."""
    own = rule[1] == chain or (rule[1] not in HOOKS.values() and not NOT_THE_ADMINS_CHAINS.fullmatch(rule[1]))
    return own and any(
        rule[place : place + 2] in (["-j", "DROP"], ["-j", "REJECT"]) for place in range(len(rule))
    )
