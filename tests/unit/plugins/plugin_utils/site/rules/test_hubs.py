# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/hubs.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import PUBLIC, Case, case, found, hubs, probe, rules_in, value

CASES = [
    case(
        "anonymous on a public address",
        PUBLIC,
        ("anonymous-on-public-address", "site_anonymous_access_acknowledged", ""),
    ),
    case(
        "null authenticator on a public address",
        {
            **PUBLIC,
            **hubs(
                a={
                    "values": {
                        "config": {"BinderHub": {"auth_enabled": True}},
                        "jupyterhub": {"hub": {"config": {"JupyterHub": {"authenticator_class": "null"}}}},
                    }
                }
            ),
        },
        ("anonymous-on-public-address", "site_anonymous_access_acknowledged", ""),
    ),
    case(
        "network policy with routed",
        hubs(a={"values": {"jupyterhub": {"singleuser": {"networkPolicy": {"enabled": True}}}}}),
        ("network-policy-not-enforced", "site_hubs.a.values.jupyterhub.singleuser.networkPolicy.enabled", ""),
    ),
    value(
        "manifest of nothing",
        "site_pod_network_provider",
        "manifest",
        ("pod-network-manifest-missing", "site_pod_network_manifest", ""),
    ),
    case(
        "nobody builds",
        {f"hosts/worker{n}/variables/site_node_purposes": ["core"] for n in (1, 2)},
        ("no-build-node", "site_node_purposes", ""),
    ),
    case(
        "nobody runs hubs",
        {"hosts/head1/variables/site_node_purposes": ["user"]},
        ("no-core-node", "site_node_purposes", ""),
    ),
    case(
        "unknown purpose",
        {"hosts/worker1/variables/site_node_purposes": ["user", "gpu"]},
        ("node-purpose-unknown", "site_node_purposes", "worker1"),
    ),
    probe(
        "podman for Docker",
        "worker1",
        "docker",
        {"socket": True, "engine": "podman"},
        ("host-builds-without-docker", "", "worker1"),
    ),
    probe(
        "Docker is gone",
        "worker1",
        "docker",
        {"socket": False, "engine": ""},
        ("host-builds-docker-gone", "", "worker1"),
        running=True,
    ),
    case(
        "unknown builder",
        hubs(a={"values": {"imageBuilderType": "kaniko"}}),
        ("builder-type-unknown", "site_hubs.a.values.imageBuilderType", ""),
    ),
    value(
        "spec without ref",
        "site_verify_spec",
        "binder-examples",
        ("verify-spec-malformed", "site_verify_spec", ""),
    ),
    value(
        "unknown client host",
        "site_kubernetes_client_host",
        "worker1",
        ("client-host-unknown", "site_kubernetes_client_host", ""),
    ),
    value("port 70000", "site_api_port", 70000, ("api-port-invalid", "site_api_port", "")),
    value(
        "API address with a port",
        "site_api_address",
        "192.0.2.11:6443",
        ("api-address-malformed", "site_api_address", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("hubs") <= {rule for entry in CASES for rule, _, _ in entry.expected}
