# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/other_hubs.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import GONE, Case, case, found, hubs, rules_in, texts, value

OTHERS = "site_guard_other_hubs"
GOOD_HUB = {
    "namespace": "elsewhere",
    "release": "elsewhere",
    "node_port": 30600,
    "floating_ip": "198.51.100.12",
}
SECOND = {"namespace": "far", "release": "elsewhere", "node_port": 30601, "floating_ip": "198.51.100.13"}


def bad(name: str, rule: str, key: str, content: Any) -> Case:
    """A case in which one key of one hub is something else."""
    hub = {way: entry for way, entry in {**GOOD_HUB, key: content}.items() if entry is not GONE}
    return value(name, OTHERS, {"elsewhere": hub}, (rule, f"{OTHERS}.elsewhere.{key}", ""))


CASES = [
    value("a name that nft refuses", OTHERS, {"a b": GOOD_HUB}, ("other-hub-malformed", f"{OTHERS}.a b", "")),
    value("a name of a number", OTHERS, {7: GOOD_HUB}, ("other-hub-malformed", f"{OTHERS}.7", "")),
    value("no mapping", OTHERS, {"elsewhere": None}, ("other-hub-malformed", f"{OTHERS}.elsewhere", "")),
    bad("a key of nobody", "other-hub-malformed", "nodeport", 30600),
    bad("a key of site_hubs only", "other-hub-malformed", "hub_base_url", "/"),
    *(bad(f"no {key}", "other-hub-malformed", key, GONE) for key in GOOD_HUB),
    bad("namespace", "other-hub-malformed", "namespace", "Else_where"),
    bad("release", "other-hub-malformed", "release", ""),
    bad("port below", "other-hub-malformed", "node_port", 29999),
    bad("port above", "other-hub-malformed", "node_port", 32768),
    bad("port of words", "other-hub-malformed", "node_port", "http"),
    bad("address", "other-hub-malformed", "floating_ip", "198.51.100.300"),
    bad("address of IPv6", "other-hub-malformed", "floating_ip", "2001:db8::12"),
    bad("namespace of a hub", "other-hub-taken", "namespace", "binder"),
    bad("port of a hub", "other-hub-taken", "node_port", "30585"),
    value(
        "namespace of another",
        OTHERS,
        {"elsewhere": GOOD_HUB, "far": {**SECOND, "namespace": "elsewhere"}},
        ("other-hub-taken", f"{OTHERS}.far.namespace", ""),
    ),
    value(
        "port of another",
        OTHERS,
        {"elsewhere": GOOD_HUB, "far": {**SECOND, "node_port": 30600}},
        ("other-hub-taken", f"{OTHERS}.far.node_port", ""),
    ),
    case(
        "a hub of the site",
        {**hubs(a={}, b={}), f"values/{OTHERS}": {"b": GOOD_HUB}},
        ("other-hub-taken", f"{OTHERS}.b", ""),
    ),
]
GOOD = [
    value("none", OTHERS, {}),
    value("two", OTHERS, {"elsewhere": GOOD_HUB, "far": SECOND}),
    value("a port in quotes", OTHERS, {"else-where": {**GOOD_HUB, "node_port": "30600"}}),
]


@pytest.mark.parametrize("given", CASES, ids=[entry.name for entry in CASES])
def test_a_bad_site_is_seen(given: Case) -> None:
    assert found(given.site()) == given.expected


@pytest.mark.parametrize("given", GOOD, ids=[entry.name for entry in GOOD])
def test_a_good_site_has_no_finding(given: Case) -> None:
    assert found(given.site()) == set()


def test_every_rule_has_a_case() -> None:
    assert rules_in("other_hubs") == {rule for entry in CASES for rule, _, _ in entry.expected}


def test_findings_say_what_and_what_to_do() -> None:
    given = {entry.name: entry for entry in CASES}
    assert texts(given["a key of nobody"].site(), "other-hub-malformed") == [
        "is no key of such a hub -> did you mean node_port?"
    ]
    assert texts(given["no floating_ip"].site(), "other-hub-malformed") == [
        "is missing -> set it to the address of its service proxy-public, such as 192.0.2.12"
    ]
    assert texts(given["port of a hub"].site(), "other-hub-taken") == [
        "is 30585, which the hub binder of site_hubs has -> name the hub's own, or drop the entry"
    ]
