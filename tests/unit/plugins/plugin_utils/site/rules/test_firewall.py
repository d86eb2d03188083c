# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/firewall.py by a bad site of its own, and what it prints for whom."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import Finding
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.firewall_words import Opening, commands
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.port_plan import ANSWERS
from site_cases import Case, case, found, probe, rules_in, value

ENABLED = "site_firewall_enabled"
ADMINS = "site_firewall_admin_networks"
PODS = "what pods send to others"


def attempt(target: str, state: str, port: int = 6443, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    """What came of an attempt of a machine."""
    told = {
        "target": target,
        "address": "192.0.2.11",
        "protocol": protocol,
        "port": port,
        "source": "192.0.2.99",
    }
    return {**told, "proved": True, "state": state, **more}


def chain(tool: str = "nftables", hook: str = "input", **more: Any) -> dict[str, Any]:
    """A chain that drops something."""
    place = {"family": "inet", "table": "admin", "chain": hook, "hook": hook, "policy": "drop"}
    return {"tool": tool, **place, "dropped": [], "unknown": ["tcp 6443"], **more}


def walled(tool: str, *chains: dict[str, Any], **told: Any) -> dict[str, Any]:
    """Changes after which the head has a firewall that drops the join."""
    firewall = {"ufw": False, "zone": "", "own": False, **told, "chains": list(chains) or [chain(tool)]}
    return {
        "hosts/head1/probe/firewall": firewall,
        "hosts/worker1/probe/tried": [attempt("head1", "timeout", source="192.0.2.21")],
    }


BLOCKED = ("port-blocked", "", "head1")
CASES = [
    case("a join that times out", walled("nftables"), BLOCKED),
    case("nobody knows what drops it", {"hosts/worker1/probe/tried": [attempt("head1", "timeout")]}, BLOCKED),
    *(
        probe(f"a listener of ours, and {state}", "worker1", "tried", [attempt("head1", state)], BLOCKED)
        for state in ("refused", "connected", "unreachable: No route to host")
    ),
    *(
        probe(f"nothing listens, and {state}", "worker1", "tried", [attempt("head1", state, proved=False)])
        for state in ("refused", "connected")
    ),
    case(
        "no route at all, which is another rule's",
        {
            "hosts/worker1/probe/tried": [
                attempt("head1", "unreachable: No route to host", port) for port in (6443, 7946)
            ],
            "hosts/worker1/probe/peers": {"192.0.2.11": "unreachable: No route to host"},
        },
        ("no-route-between-nodes", "site_node_address", "worker1"),
    ),
    case(
        "a route, and a port that is refused in the words of a router",
        {
            "hosts/worker1/probe/tried": [
                attempt("head1", "unreachable: No route to host"),
                attempt("head1", "connected", 7946, proved=False),
            ],
            "hosts/worker1/probe/peers": {"192.0.2.11": "unreachable: No route to host"},
        },
        BLOCKED,
    ),
    case(
        "nobody tried",
        {"hosts/worker1/probe/untried": "python3: not found"},
        ("ports-not-tried", "", "worker1"),
    ),
    probe(
        "an odd end",
        "worker1",
        "tried",
        [attempt("head1", "other: [Errno 24] Too many open files")],
        ("ports-not-tried", "", "worker1"),
    ),
    probe("answered", "worker1", "tried", [attempt("head1", "answered")]),
    case(
        "rules that drop pods, which nobody can try",
        {"hosts/worker1/probe/firewall": {"chains": [chain(hook="forward", dropped=[PODS])]}},
        ("port-blocked", "", "worker1"),
    ),
    case(
        "rules that seem to drop what came through",
        {
            "hosts/head1/probe/firewall": {"chains": [chain(dropped=["tcp 6443"])]},
            "hosts/worker1/probe/tried": [attempt("head1", "answered")],
        },
    ),
    case(
        "who hears no answer says nothing of others",
        {
            "hosts/worker1/probe/firewall": {"chains": [chain(dropped=[ANSWERS])]},
            "hosts/worker1/probe/tried": [attempt("head1", "timeout"), attempt("mirror1", "timeout", 5000)],
        },
        ("port-blocked", "", "worker1"),
    ),
    case(
        "the table of role firewall lacks a new node, and the run will tell it",
        {**walled("nftables", own=True), "hosts/head1/probe/firewall/chains": [], f"values/{ENABLED}": True},
    ),
    value(
        "ports that are none",
        "site_pod_network_ports",
        ["4789/udp", "ipip", "4789", "70000/tcp", "tcp"],
        *[("pod-network-port-malformed", "site_pod_network_ports", "")] * 3,
    ),
    value("admins of both kinds", ADMINS, ["192.0.2.9", "198.51.100.0/24", "2001:db8::/32"]),
    value(
        "admins that are no addresses",
        ADMINS,
        ["192.0.2.0/24", "laptop", "192.0.2.9/24", "192.0.2.300"],
        *[("firewall-admin-network-malformed", ADMINS, "")] * 3,
    ),
    case(
        "two firewalls",
        {"hosts/proxy1/probe/firewall": {"ufw": True, "chains": []}, f"values/{ENABLED}": True},
        ("firewall-twice", ENABLED, "proxy1"),
    ),
    case(
        "firewalld, and one of ours",
        {"hosts/head1/probe/firewall": {"zone": "public", "chains": []}, f"values/{ENABLED}": True},
        ("firewall-twice", ENABLED, "head1"),
    ),
    case("ufw alone", {"hosts/proxy1/probe/firewall": {"ufw": True, "chains": []}}),
    case(
        "ours is left",
        {"hosts/mirror1/probe/firewall": {"own": True, "chains": []}},
        ("firewall-left", ENABLED, "mirror1"),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("firewall") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def told(*chains: dict[str, Any], running: bool = False, **more: Any) -> Finding:
    """What preflight says of a head with these chains."""
    tool = str(chains[0]["tool"])
    bad = case("walled", walled(tool, *chains, **more), running=running)
    [finding] = check_site(bad.site()).findings
    return finding


def test_words_of_nftables() -> None:
    finding = told(chain(), chain(hook="forward", dropped=[PODS]))
    assert finding.observed == (
        "does not let in or through: tcp 6443 (join; kubelets and this run ask the API) from worker1; what pods send to others. "
        "It is kept out by nftables, table inet admin, chain input, whose policy is drop; "
        "nftables, table inet admin, chain forward, whose policy is drop"
    )
    assert finding.remedy == (
        "run this on head1; write them to what loads the table when the machine starts, such as /etc/nftables.conf, too"
    )
    place, end = "nft insert rule inet admin", "accept comment ironbinder"
    assert list(finding.commands) == [
        f"{place} input ct state established,related {end}",
        f"{place} input iifname lo {end}",
        f"{place} input ip saddr {{ 192.0.2.21, 192.0.2.22 }} tcp dport {{ 6443, 7946 }} {end}",
        f"{place} input ip saddr 10.244.0.0/16 tcp dport 6443 {end}",
        f"{place} input ip saddr {{ 192.0.2.21, 192.0.2.22 }} udp dport 7946 {end}",
        f"{place} input ip saddr 192.0.2.31 tcp dport 30585 {end}",
        f"{place} forward ct state established,related {end}",
        f"{place} forward ip saddr 10.244.0.0/16 {end}",
        f"{place} forward ip daddr 10.244.0.0/16 {end}",
    ]


def test_words_of_ufw() -> None:
    """Its forward chain needs none: role pod_network lets pods through ahead of it."""
    finding = told(chain("ufw"), chain("ufw", hook="forward"), ufw=True)
    assert finding.observed.endswith("It is kept out by ufw")
    assert list(finding.commands) == [
        "ufw prepend allow proto tcp from 192.0.2.21 to any port 6443,7946",
        "ufw prepend allow proto tcp from 192.0.2.22 to any port 6443,7946",
        "ufw prepend allow proto tcp from 10.244.0.0/16 to any port 6443",
        "ufw prepend allow proto udp from 192.0.2.21 to any port 7946",
        "ufw prepend allow proto udp from 192.0.2.22 to any port 7946",
        "ufw prepend allow proto tcp from 192.0.2.31 to any port 30585",
    ]


@pytest.mark.parametrize("tool", ["ufw", "firewalld"])
def test_a_large_site_has_few_lines(tool: str) -> None:
    """These tools take one source a rule: addresses beside each other are told as a network, and nobody else is in it."""
    nodes = (*(f"192.0.2.{number}" for number in range(128)), "198.51.100.7")
    lines = commands([chain(tool)], "public", [Opening(nodes, "tcp", (7946,))], [], builds=False)
    told = [line for line in lines if "7946" in line]
    assert len(told) == 2
    assert "192.0.2.0/25" in told[0]
    assert "198.51.100.7" in told[1]
    assert "198.51.100.7/32" not in told[1]


def test_words_of_firewalld() -> None:
    """As firewalld 1.3 took them, with a real kernel behind it: pods reached each other afterwards."""
    finding = told(chain("firewalld"), chain("firewalld", hook="forward", dropped=[PODS]), zone="work")
    rules = [shlex.split(line) for line in finding.commands]
    assert rules[0] == [
        "firewall-cmd",
        "--permanent",
        "--zone=work",
        '--add-rich-rule=rule family="ipv4" source address="192.0.2.21" port port="6443" protocol="tcp" accept',
    ]
    assert list(finding.commands[-6:]) == [
        "firewall-cmd --permanent --zone=trusted --add-source=10.244.0.0/16",
        "firewall-cmd --permanent --new-policy=ironbinder-pods",
        "firewall-cmd --permanent --policy=ironbinder-pods --add-ingress-zone=ANY",
        "firewall-cmd --permanent --policy=ironbinder-pods --add-egress-zone=trusted",
        "firewall-cmd --permanent --policy=ironbinder-pods --set-target=ACCEPT",
        "firewall-cmd --reload",
    ]
    assert finding.commands.count("firewall-cmd --reload") == 1


def test_words_of_iptables() -> None:
    finding = told(chain("iptables", chain="INPUT", table="filter"))
    end = "-m comment --comment ironbinder -j ACCEPT"
    assert list(finding.commands[:3]) == [
        f"iptables -I INPUT -m conntrack --ctstate ESTABLISHED,RELATED {end}",
        f"iptables -I INPUT -i lo {end}",
        f"iptables -I INPUT -s 192.0.2.21,192.0.2.22 -p tcp -m multiport --dports 6443,7946 {end}",
    ]


def test_a_node_port_of_a_running_site_is_forwarded() -> None:
    """And one of a machine that is none yet is not: a forward chain of iptables is suspected of the first alone."""
    forward = chain("iptables", hook="forward", chain="FORWARD", table="filter", unknown=[PODS])
    changes = {
        "hosts/worker1/probe/firewall": {"chains": [forward]},
        "hosts/proxy1/probe/tried": [attempt("worker1", "timeout", 30585, proved=False)],
    }
    [finding] = check_site(case("running", changes, running=True).site()).findings
    assert (
        "iptables -I FORWARD -d 10.244.0.0/16 -m comment --comment ironbinder -j ACCEPT" in finding.commands
    )
    [finding] = check_site(case("bare", changes).site()).findings
    assert finding.commands == ()
    assert "between the machines" in finding.remedy


def test_rules_name_the_address_that_is_used() -> None:
    """And the controller's, which no inventory has. A name is no address."""
    changes = walled("nftables") | {
        "hosts/worker1/variables/ansible_host": "worker1.example.org",
        "hosts/head1/probe/tried": [attempt("head1", "timeout", by="controller", source="203.0.113.7")],
    }
    changes["hosts/worker1/probe/tried"][0]["source"] = "198.51.100.21"
    [finding] = [
        entry for entry in check_site(case("x", changes).site()).findings if entry.id == "port-blocked"
    ]
    assert "from controller, worker1" in finding.observed or "from worker1, controller" in finding.observed
    assert any(
        "ip saddr { 192.0.2.22, 198.51.100.21, 203.0.113.7 } tcp dport 6443" in line
        for line in finding.commands
    )


def test_the_table_never_breaks_a_command() -> None:
    report = check_site(case("walled", walled("nftables")).site()).as_data()
    lines = [line.strip() for line in report["table"].splitlines()]
    [finding] = report["findings"]
    assert finding["commands"]
    assert set(finding["commands"]) <= set(lines)
