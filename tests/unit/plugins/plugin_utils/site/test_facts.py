# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The part of facts and values that rules get to see, misspelt names, types, and the table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.facts import (
    reduce_facts,
    reduce_hubs,
    state_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import Finding, render_table
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest, unknown_names
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.value_types import type_fault
from site_cases import SPECS

FACTS = {"distribution": "Debian"}


def test_facts() -> None:
    """Interfaces come with all their networks; a name with a hyphen is found under its other spelling."""
    facts = {
        **FACTS,
        "interfaces": ["br-1", "lo"],
        "br_1": {
            "macaddress": "02:00:00:00:00:01",
            "ipv4": {"address": "192.0.2.11", "netmask": "255.255.255.0"},
            "ipv4_secondaries": [{"address": "198.51.100.1", "netmask": "255.255.255.0"}],
        },
        "default_ipv4": {"gateway": "192.0.2.1"},
    }
    told = reduce_facts(facts)
    assert [entry["cidr"] for entry in told["interfaces"]] == ["192.0.2.11/24", "198.51.100.1/24", ""]
    assert told["gateway"] == "192.0.2.1"
    assert reduce_facts({})["interfaces"] == []


def test_hubs_leave_their_secrets_behind() -> None:
    """Only what a rule reads leaves the inventory."""
    hubs = {
        "binder": {
            "node_port": 30600,
            "values": {
                "imageBuilderType": "dind",
                "config": {
                    "GitHubRepoProvider": {"access_token": "s3cret"},
                    "BinderHub": {"auth_enabled": True},
                },
            },
            "secret_values": {"jupyterhub": {"hub": {"cookieSecret": "s3cret"}}},
        },
        "odd": "text",
        "open": {"auth": {"endpoints": {"token_url": "https://x/", "client_secret": "s3cret"}}},
        "opener": {"auth": "s3cret"},
        "odder": {"values": "s3cret", "secret_values": ["s3cret"]},
    }
    told = reduce_hubs(hubs)
    assert "s3cret" not in json.dumps(told)
    assert told["binder"]["values"] == {
        "imageBuilderType": "dind",
        "config": {"BinderHub": {"auth_enabled": True}, "GitHubRepoProvider": {"access_token": "str"}},
    }
    assert told["binder"]["node_port"] == 30600
    assert told["open"]["auth"]["endpoints"] == {"token_url": "https://x/", "client_secret": "str"}
    assert told["opener"] == {"auth": "str"}
    assert told["odder"] == {"values": "str", "secret_values": "list"}
    assert reduce_hubs("text") == "text"


@pytest.mark.parametrize(
    ("facts", "asked", "probed", "state"),
    [
        (FACTS, {"msg": ""}, {"probe": {}}, "seen"),
        (FACTS, None, None, "unasked"),
        (FACTS, {"unreachable": True, "msg": "down"}, None, "unreachable"),
        (FACTS, {}, {"unreachable": True, "msg": "down"}, "unreachable"),
        ({}, {"skipped": True}, None, "unaddressed"),
        ({}, {"failed_modules": {"setup": {"module_stderr": "python3: not found"}}}, None, "failed"),
    ],
)
def test_state(facts: Any, asked: Any, probed: Any, state: str) -> None:
    """A host's state follows from what came of asking it, whatever a cache still knows."""
    assert state_of(facts, asked, probed)[0] == state


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("site_floting_pool", "site_floating_pool"),
        ("site_publc_url", "site_public_url"),
        ("artifact_sorce", "artifact_source"),
        ("Site_name", "site_name"),
        ("registry_host", "site_registry_host"),
        ("sites_floating_pool", "site_floating_pool"),
    ],
)
def test_misspelt_names(name: str, meant: str) -> None:
    """Misspelt names are seen, and come with what was meant."""
    assert unknown_names([name, "site_name"], SPECS) == [name]
    assert closest(name, list(SPECS)) == meant


def test_names_of_others() -> None:
    """Variables of other roles are none of our business."""
    assert (
        unknown_names(["docker_registry_mirrors", "foo", "lab_network", "nginx_port", "name", "hosts"], SPECS)
        == []
    )


@pytest.mark.parametrize(
    ("value", "spec", "fault"),
    [
        ("x", {"type": "str"}, ""),
        (1.36, {"type": "str"}, "is a number with a decimal point, '1.36', not text"),
        (True, {"type": "int"}, "is true or false, 'True', not a whole number"),
        ("6443", {"type": "int"}, ""),
        ("yes", {"type": "bool"}, ""),
        ("maybe", {"type": "bool"}, "is text, 'maybe', not true or false"),
        (None, {"type": "dict"}, "is nothing, not a mapping"),
        (["a", 1], {"type": "list", "elements": "str"}, "has entry 2, which is a number, '1', not text"),
        ("c", {"type": "str", "choices": ["a", "b"]}, "is 'c', not one of a, b"),
        (["a", "b"], {"type": "list", "elements": "str", "choices": ["a", "b"]}, ""),
        (
            ["a", "c"],
            {"type": "list", "elements": "str", "choices": ["a", "b"]},
            "has entry 2, which is 'c', not one of a, b",
        ),
        (object, {"type": "raw"}, ""),
        ("x", {"type": "no such type"}, ""),
    ],
)
def test_types(value: Any, spec: dict[str, Any], fault: str) -> None:
    """Types are judged more strictly than Ansible coerces them, with words that a person knows."""
    assert type_fault(value, spec) == fault


def test_table() -> None:
    """One block a finding, with its place; no finding is said, too."""
    finding = Finding("pool-malformed", "error", "site_floating_pool", "", "is reversed", "turn it round")
    assert render_table([finding]).splitlines() == [
        "error    pool-malformed  site_floating_pool",
        "         is reversed",
        "         -> turn it round",
        "1 error, 0 warnings: nothing was changed.",
    ]
    assert render_table([]) == "The site is ready: no finding."
