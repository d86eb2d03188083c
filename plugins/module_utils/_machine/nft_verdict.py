# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a chain of nftables does to a packet, read from the rules as `nft -j` tells them. Pure, Python 3.9.

Not every rule can be judged from its text. What cannot be told is `unknown`, and never a guess.

Source: libnftables-json(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Optional

__all__ = ["ACCEPT", "DROP", "UNKNOWN", "drops_anything", "verdict"]

ACCEPT, DROP, UNKNOWN = "accept", "drop", "unknown"
CONTINUE, RETURN = "continue", "return"
MOST_JUMPS = 16
# Statements that change no verdict.
SILENT = ("counter", "log", "comment", "mangle", "notrack", "quota", "ct helper")
PROTOCOL_NUMBERS = {"icmp": 1, "ipip": 4, "ipencap": 4, "tcp": 6, "udp": 17}
HEADERS = ("tcp", "udp", "icmp", "icmpv6", "ip6", "sctp", "dccp", "esp", "ah")
# Tells nothing: the packet does not say, or the rule is not understood.
Maybe = Optional[bool]
Rules = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]


def _field(left: Any, packet: Mapping[str, Any]) -> Any:
    """Give what a rule looks at, None where the packet does not say, False where it has no such thing."""
    looked = left if isinstance(left, Mapping) else {}
    name = str((looked.get("payload") or looked.get("meta") or looked.get("ct") or {}).get("key"))
    if looked.get("payload"):
        return _header(looked["payload"], packet)
    if looked.get("meta"):
        known = {"nfproto": "ipv4", "l4proto": packet.get("protocol"), "protocol": "ip"}
        interface = {"iif": "iifname", "oif": "oifname"}.get(name, name)
        return known.get(name, packet.get(interface) if interface in ("iifname", "oifname") else None)
    # Nobody has translated its addresses either.
    known = {"state": packet.get("state", "new"), "status": "none"}
    return known.get(name) if looked.get("ct") else None


def _header(payload: Mapping[str, Any], packet: Mapping[str, Any]) -> Any:
    where, name = payload.get("protocol"), str(payload.get("field"))
    if where == "ip":
        return packet.get(name) if name in ("saddr", "daddr", "protocol") else None
    # A rule that looks into a header says that there is one.
    if where in HEADERS and where != packet.get("protocol", where):
        return False
    return packet.get("dport") if where in ("tcp", "udp", "th") and name == "dport" else None


def _same(value: Any, wanted: Any) -> Maybe:
    """Whether a field has a value of a rule's right side."""
    found: Maybe = None
    if isinstance(wanted, Mapping):
        if isinstance(wanted.get("range"), list):
            found = _in_range(value, *wanted["range"])
        elif "set" in wanted:
            found = _among(value, wanted["set"])
        elif "prefix" in wanted:
            found = _in_prefix(value, wanted["prefix"])
    elif isinstance(wanted, (list, tuple)):
        found = _among(value, wanted)
    elif isinstance(wanted, str) and wanted.endswith("*"):
        found = str(value).startswith(wanted[:-1])
    elif isinstance(wanted, (str, int)) and not str(wanted).startswith("@"):
        number = PROTOCOL_NUMBERS.get(str(value))
        found = str(value) == str(wanted) or (number is not None and str(number) == str(wanted))
    return found


def _in_prefix(value: Any, prefix: Any) -> Maybe:
    try:
        return ip_address(str(value)) in ip_network(f"{prefix['addr']}/{prefix['len']}")
    except (KeyError, TypeError, ValueError):
        return None


def _in_range(value: Any, low: Any, high: Any) -> Maybe:
    try:
        if isinstance(value, int):
            return int(low) <= value <= int(high)
        return int(ip_address(str(low))) <= int(ip_address(str(value))) <= int(ip_address(str(high)))
    except (TypeError, ValueError):
        return None


def _among(value: Any, members: Any) -> Maybe:
    if not isinstance(members, (list, tuple)):
        return _same(value, members)
    found = [_same(value, member) for member in members]
    return True if True in found else None if None in found else False


def _match(match: Mapping[str, Any], packet: Mapping[str, Any]) -> Maybe:
    value = _field(match.get("left"), packet)
    if value is None or value is False:
        return value
    told, op = _same(value, match.get("right")), match.get("op")
    if told is None or op in ("==", "in"):
        return told
    return not told if op == "!=" else None


def _vmap(vmap: Mapping[str, Any], packet: Mapping[str, Any]) -> tuple[Maybe, Mapping[str, Any]]:
    """Find a packet's own verdict in a map that is written into the rule."""
    value = _field(vmap.get("key"), packet)
    data = vmap.get("data")
    members = data.get("set") if isinstance(data, Mapping) else None
    if value is None or not isinstance(members, list):
        return None, {}
    for member in members if value is not False else ():
        if not isinstance(member, list) or len(member) != 2:
            return None, {}
        told = _same(value, member[0])
        if told is None:
            return None, {}
        if told:
            return True, member[1] if isinstance(member[1], Mapping) else {}
    return False, {}


def _outcomes(
    statement: Mapping[str, Any], rules: Rules, packet: Mapping[str, Any], jumps: int
) -> Optional[set[str]]:
    """What a verdict of a rule may lead to, None where the statement is none."""
    if "accept" in statement:
        return {ACCEPT}
    if "drop" in statement or "reject" in statement:
        return {DROP}
    if "return" in statement:
        return {RETURN}
    for way in ("jump", "goto"):
        target = (statement.get(way) or {}).get("target")
        if target is not None:
            if jumps >= MOST_JUMPS or target not in rules:
                return {ACCEPT, DROP, CONTINUE}
            found = _chain(str(target), rules, packet, jumps + 1)
            after = CONTINUE if way == "jump" else RETURN
            return {after if entry in (CONTINUE, RETURN) else entry for entry in found}
    return None


def _rule(rule: Sequence[Mapping[str, Any]], rules: Rules, packet: Mapping[str, Any], jumps: int) -> set[str]:
    """What a rule may lead to."""
    sure = True
    for statement in rule:
        if "match" in statement:
            told = _match(statement["match"], packet)
        elif "vmap" in statement:
            told, then = _vmap(statement["vmap"], packet)
            found = _outcomes(then, rules, packet, jumps) if told else None
            if told is None:
                return {ACCEPT, DROP, CONTINUE}
            if found is not None:
                return found if sure else found | {CONTINUE}
        elif any(key in statement for key in SILENT):
            continue
        else:
            found = _outcomes(statement, rules, packet, jumps)
            if found is not None:
                return found if sure else found | {CONTINUE}
            told = None  # a limit, a set, an extension of iptables
        if told is False:
            return {CONTINUE}
        sure = sure and told is True
    return {CONTINUE}


def _chain(name: str, rules: Rules, packet: Mapping[str, Any], jumps: int = 0) -> set[str]:
    found: set[str] = set()
    for rule in rules[name]:
        told = _rule(rule, rules, packet, jumps)
        found |= told - {CONTINUE}
        if CONTINUE not in told:
            return found
    return found | {CONTINUE}


def verdict(chain: str, policy: str, rules: Rules, packet: Mapping[str, Any]) -> str:
    """Judge a packet.

    Args:
        chain: a base chain of the table.
        policy: its policy.
        rules: every chain of the table, {name: [the `expr` of each rule]}.
        packet: `saddr` and `daddr`, addresses of IPv4; `protocol`, `dport`, `iifname`, `oifname`; `state`, what conntrack calls
            it, the first of a connection unless given. What else is left out is not known.

    Returns:
        `accept`, `drop` (rejects included), or `unknown`.
    """
    found = _chain(chain, rules, packet)
    told = {(policy or ACCEPT) if entry in (CONTINUE, RETURN) else entry for entry in found}
    return told.pop() if len(told) == 1 else UNKNOWN


def _verdicts(rule: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for statement in rule:
        yield statement
        data = (statement.get("vmap") or {}).get("data")
        for member in data.get("set", []) if isinstance(data, Mapping) else []:
            if isinstance(member, list) and isinstance(member[-1], Mapping):
                yield member[-1]


def drops_anything(policy: str, rules: Rules) -> bool:
    """Whether a table drops or rejects anything at all, by a chain's policy or by any rule."""
    return policy == DROP or any(
        "drop" in told or "reject" in told
        for chain in rules.values()
        for rule in chain
        for told in _verdicts(rule)
    )
