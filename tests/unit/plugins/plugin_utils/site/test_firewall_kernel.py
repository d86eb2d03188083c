# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Firewalls of real kernels: preflight names what they drop, and what it prints opens exactly that, run as it is printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import Finding
from site_cases import good_site
from walled_site import POD_PORT, PODS, WalledSite, look, why_not

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON or "can be run")

# What an admin who knows of no cluster writes: lines of nft, or of a shell that begin with iptables.
POLICIES = """
table inet admin {
    chain in {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" accept
        tcp dport 22 accept
    }
    chain through {
        type filter hook forward priority 0; policy drop;
    }
}
"""
ADMINS = {
    "policies of drop": POLICIES,
    "rejects in chains of their own, and no word of what is established": """
        table ip wall {
            chain bad {
                reject with icmp admin-prohibited
            }
            chain end {
                jump bad
            }
            chain INCOMING {
                type filter hook input priority 5;
                tcp dport 22 accept
                goto end
            }
            chain through {
                type filter hook forward priority 5;
                ct state vmap { established : accept, related : accept }
                goto end
            }
        }
    """,
    "two tables": """
        table inet one {
            chain in {
                type filter hook input priority 0; policy drop;
                tcp dport 22 accept
            }
        }
        table inet two {
            chain in {
                type filter hook input priority 9;
                tcp dport != 22 ct state new reject with tcp reset
                udp dport 1-65535 ct state new drop
            }
            chain through {
                type filter hook forward priority 9; policy drop;
            }
        }
    """,
    "iptables": """
        iptables -P INPUT DROP
        iptables -A INPUT -p tcp --dport 22 -j ACCEPT
        iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    """,
}
NODES = ("head1", "worker1", "worker2")


@pytest.fixture(scope="module")
def machines() -> Iterator[WalledSite]:
    site = WalledSite()
    try:
        site.open()
        yield site
    finally:
        site.close()


@pytest.fixture
def site(machines: WalledSite) -> Iterator[WalledSite]:
    """The machines without firewalls."""
    machines.forget()
    yield machines
    machines.forget()


def findings(site: WalledSite, data: dict[str, Any] | None = None) -> list[Finding]:
    """What preflight says of firewalls, as of now."""
    report = check_site(look(site, data or good_site()))
    return [found for found in report.findings if found.id not in ("capacity-memory-too-small",)]


def wall(site: WalledSite, name: str, text: str) -> None:
    """Give a machine a firewall."""
    if "iptables" in text:
        site.shell(name, text)
    else:
        site.execute(name, "nft", "-f", "-", text=text)


def test_without_a_firewall_nothing_is_found(site: WalledSite) -> None:
    assert findings(site) == []
    assert findings(site) == [], "the second look meets the first one's listeners"


@pytest.mark.parametrize("admin", ADMINS)
def test_printed_rules_open_what_was_dropped(site: WalledSite, admin: str) -> None:
    for name in NODES:
        wall(site, name, ADMINS[admin])
    forwarded = admin != "iptables"  # there role pod_network lets pods through
    assert site.reaches("pod-head1", PODS["worker1"], POD_PORT) is not forwarded
    told = {found.host: found for found in findings(site)}
    assert {(found.id, found.host) for found in told.values()} == {("port-blocked", name) for name in NODES}
    assert (
        "tcp 6443 (join; kubelets and this run ask the API) from worker1, worker2" in told["head1"].observed
    )
    for port in ("tcp 10250", "tcp 7946", "udp 7946", "tcp 30585"):
        lacking = [name for name, found in told.items() if port not in found.observed]
        # A single head asks only the kubelets of others.
        assert lacking == (["head1"] if port == "tcp 10250" else []), port
    for name, found in told.items():
        for command in found.commands:
            site.shell(name, command)
    assert findings(site) == []
    assert site.reaches("pod-head1", PODS["worker1"], POD_PORT)


def test_an_accept_in_another_table_undoes_nothing(site: WalledSite) -> None:
    """The reason why the rules name the admin's own chain."""
    wall(site, "head1", POLICIES)
    wall(
        site,
        "head1",
        "table inet other { chain in { type filter hook input priority -10; tcp dport 6443 accept; }; }",
    )
    [found] = findings(site)
    assert (found.id, found.host) == ("port-blocked", "head1")
    assert all("inet admin" in command for command in found.commands)
