# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A node's address and purpose, the same for rules, probes and stages."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.filter.node_addresses import node_addresses
from ansible_collections.ironbinder.platform.plugins.filter.node_purposes import FilterModule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Host, Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import (
    PURPOSE_LABEL,
    builds_on,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues
from site_data import ROLE

ADDRESSES = [
    ({}, "worker1"),
    ({"ansible_host": "192.0.2.21"}, "192.0.2.21"),
    ({"ansible_host": " 192.0.2.21 "}, "192.0.2.21"),
    ({"ansible_host": ""}, ""),
    ({"ansible_host": None}, "worker1"),
    ({"ansible_host": "198.51.100.1", "site_node_address": "192.0.2.21"}, "192.0.2.21"),
    ({"ansible_host": "198.51.100.1", "site_node_address": ""}, "198.51.100.1"),
    ({"site_node_address": None}, "worker1"),
]


class Templar:
    """Gives every value as it is."""

    def copy_with_new_env(self, **_given: Any) -> Templar:
        """The same."""
        return self

    def template(self, value: Any) -> Any:
        """The same."""
        return value


class HostVars(dict[str, Any]):
    """What Ansible gives of a host, uncomputed."""

    def raw_get(self, host: str) -> Any:
        """The host's variables."""
        return self.get(host, {})


@pytest.mark.parametrize(("variables", "address"), ADDRESSES)
def test_one_address(variables: dict[str, Any], address: str) -> None:
    """The filter that stages use, the rules' model, and the probe's view of the contract agree."""
    assert node_addresses(["worker1"], {"worker1": variables}) == {"worker1": address}
    assert Host("worker1", variables=variables).address == address
    around = {"hostvars": HostVars(worker1=variables), "groups": {}}
    values = SiteValues(None, Templar(), around)
    values.__dict__["defaults"] = {}
    assert values.node_address("worker1") == address


@pytest.mark.parametrize(
    ("groups", "purposes"),
    [
        ({"head": ["h"], "workers": ["w"]}, {"h": ["core"], "w": ["user"]}),
        ({"head": ["h"], "workers": []}, {"h": ["core", "user"]}),
        ({"head": ["h"]}, {"h": ["core", "user"]}),
    ],
)
def test_one_purpose(groups: dict[str, list[str]], purposes: dict[str, list[str]]) -> None:
    """The contract's filter and the rules agree."""
    site = Site.from_data({"groups": groups, "hosts": {}})
    ask = FilterModule().filters()["node_purposes"]
    for name, wanted in purposes.items():
        assert ask(name, groups) == wanted
        assert site.purposes(site.hosts[name]) == wanted
    told = Site.from_data({"groups": groups, "hosts": {"h": {"variables": {"site_node_purposes": ["user"]}}}})
    assert told.purposes(told.hosts["h"]) == ["user"]


EVERYWHERE: dict[str, str] = {}
BUILDERS = [
    (["user"], {PURPOSE_LABEL: "user"}, True),
    (["core", "user"], {PURPOSE_LABEL: "user"}, True),
    (["core"], {PURPOSE_LABEL: "user"}, False),
    (["core"], {PURPOSE_LABEL: "core"}, True),
    (["core"], {"kubernetes.io/os": "linux"}, True),
    (["core"], EVERYWHERE, True),
    ([], {PURPOSE_LABEL: "user"}, False),
]


@pytest.mark.parametrize(("purposes", "selector", "builds"), BUILDERS)
def test_preflight_and_the_playbooks_mean_the_same_nodes_that_build(
    purposes: list[str], selector: dict[str, str], builds: bool
) -> None:
    """The contract says it in Ansible's words, for the machine at hand; the rules for every machine."""
    assert builds_on(purposes, selector) is builds
    contract = yaml.safe_load((ROLE / "defaults/main/contract.yml").read_text())["site_node_builds"]
    words = {"site_node_purposes": purposes, "site_build_node_selector": selector}
    assert jinja2.Environment(autoescape=True).from_string(contract).render(words) == str(builds)
