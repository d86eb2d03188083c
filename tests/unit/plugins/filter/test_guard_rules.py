# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The filter that writes rules of nftables from what a site opens."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter.guard_rules import guard_rules


def test_each_port_is_a_rule_and_each_name_a_set() -> None:
    entries = [
        "198.51.100.7",
        {"network": "198.51.100.0/24", "ports": [443, "8000-8100"]},
        {"host": "git.example.org", "ports": ["22"]},
        {"network": "198.51.100.0/24", "ports": [53], "protocol": "udp"},
        {"network": "198.51.100.0/24", "protocol": "udp"},
    ]
    assert guard_rules(entries, prefix="build_host_") == {
        "rules": [
            "ip daddr 198.51.100.7/32 accept",
            "ip daddr 198.51.100.0/24 tcp dport 443 accept",
            "ip daddr 198.51.100.0/24 tcp dport 8000-8100 accept",
            "ip daddr @build_host_3 tcp dport 22 accept",
            "ip daddr 198.51.100.0/24 udp dport 53 accept",
            "ip daddr 198.51.100.0/24 meta l4proto udp accept",
        ],
        "sets": {"build_host_3": ["git.example.org"]},
    }


def test_errors_are_those_of_filters() -> None:
    with pytest.raises(AnsibleFilterError, match="8100-8000 is reversed"):
        guard_rules([{"network": "198.51.100.0/24", "ports": ["8100-8000"]}], prefix="x")
