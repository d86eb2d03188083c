# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/contract.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import GONE, Case, case, found, rules_in, value

CASES = [
    value("no name", "site_name", "", ("value-missing", "site_name", "")),
    value("no pool", "site_floating_pool", "", ("value-missing", "site_floating_pool", "")),
    value("no pool, as a list", "site_floating_pool", [], ("value-missing", "site_floating_pool", "")),
    value(
        "no public URL",
        "site_public_url",
        None,
        ("value-missing", "site_public_url", ""),
        ("wrong-type", "site_public_url", ""),
    ),
    value(
        "chart version missing",
        "site_binderhub_chart_version",
        "",
        ("value-missing", "site_binderhub_chart_version", ""),
    ),
    case(
        "template that fails",
        {
            "errors": [{"variable": "site_name", "host": "", "message": "'nope' is undefined"}],
            "values/site_name": GONE,
        },
        ("value-not-computable", "site_name", ""),
    ),
    case(
        "misspelt variable",
        {"unknown": [{"variable": "site_floting_pool", "host": ""}]},
        ("unknown-variable", "site_floting_pool", ""),
    ),
    value(
        "number for a version", "site_kubernetes_version", 1.36, ("wrong-type", "site_kubernetes_version", "")
    ),
    value("text for a list", "site_ca_files", "ca.crt", ("wrong-type", "site_ca_files", "")),
    value("number in a list of texts", "site_ntp_servers", [1], ("wrong-type", "site_ntp_servers", "")),
    value("no such source", "artifact_source", "internet", ("wrong-type", "artifact_source", "")),
    case(
        "wrong type on one host",
        {"hosts/worker1/variables/site_api_port": "many"},
        ("wrong-type", "site_api_port", "worker1"),
    ),
    value("name with blanks", "site_name", "My Site", ("site-name-malformed", "site_name", "")),
    case(
        "computed value set",
        {"given": ["site_resolved_hubs"]},
        ("computed-value-set", "site_resolved_hubs", ""),
    ),
    value("hubs as a list", "site_hubs", ["a"], ("wrong-type", "site_hubs", "")),
    case(
        "role's variable in the inventory",
        {"renamed": [{"variable": "binderhub_hub_database", "host": ""}]},
        ("variable-renamed", "binderhub_hub_database", ""),
    ),
    case(
        "role's variable on one host",
        {"renamed": [{"variable": "kubernetes_node_kubelet_args", "host": "worker1"}]},
        ("variable-renamed", "kubernetes_node_kubelet_args", "worker1"),
    ),
    case(
        "a system of one's own",
        {"given": ["site_supported_systems"], "values/site_supported_systems": ["Debian 12", "Debian 13"]},
        ("computed-value-set", "site_supported_systems", ""),
    ),
    case(
        "misspelt variable of one host",
        {"unknown": [{"variable": "site_node_adress", "host": "worker1"}]},
        ("unknown-variable", "site_node_adress", "worker1"),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("contract") <= {rule for entry in CASES for rule, _, _ in entry.expected}
