# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/ports.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, listening, probe, rules_in

CASES = [
    probe("API port taken", "head1", "listening", listening(6443, "haproxy"), ("port-taken", "", "head1")),
    probe(
        "kubelet's port taken by nobody to be seen",
        "worker1",
        "listening",
        listening(10250, ""),
        ("port-taken", "", "worker1"),
    ),
    probe(
        "apache on the proxy", "proxy1", "listening", listening(443, "apache2"), ("port-taken", "", "proxy1")
    ),
    probe(
        "registry's port taken",
        "mirror1",
        "listening",
        listening(5000, "python3"),
        ("port-taken", "", "mirror1"),
    ),
    probe(
        "newer kubelet",
        "worker1",
        "kubernetes/kubelet_version",
        "1.37.0",
        ("kubelet-newer-than-api", "", "worker1"),
        running=True,
    ),
    case(
        "downgrade",
        {"values/site_kubernetes_version": "1.36.1"},
        ("kubernetes-downgrade", "site_kubernetes_version", "head1"),
        running=True,
    ),
    case(
        "skips a minor version",
        {
            "hosts/head1/probe/kubernetes/api_version": "1.34.2",
            "hosts/head1/probe/kubernetes/kubelet_version": "1.34.2",
            "hosts/worker1/probe/kubernetes/kubelet_version": "1.34.2",
            "hosts/worker2/probe/kubernetes/kubelet_version": "1.34.2",
        },
        ("kubernetes-skips-minor", "site_kubernetes_version", "head1"),
        running=True,
    ),
    probe(
        "worker of a lost cluster",
        "worker1",
        "kubernetes/joined",
        True,
        ("half-made-cluster", "groups.workers", "worker1"),
        ("host-builds-docker-gone", "", "worker1"),
    ),
    case(
        "port of a registry without TLS that names none",
        {
            "values/site_registry_host": "192.0.2.41",
            "values/site_registry_plain_http_enabled": True,
            "hosts/mirror1/probe/listening": listening(80, "apache2"),
        },
        ("port-taken", "", "mirror1"),
        ("registry-plain-http-password", "site_registry_plain_http_enabled", ""),
    ),
    case(
        "port of a registry with TLS that names none",
        {
            "values/site_registry_host": "192.0.2.41",
            "hosts/mirror1/probe/listening": listening(443, "apache2"),
        },
        ("port-taken", "", "mirror1"),
    ),
    case(
        "downgrade to a patch of one figure",
        {"values/site_kubernetes_version": "1.36.9", "hosts/head1/probe/kubernetes/api_version": "1.36.10"},
        ("kubernetes-downgrade", "site_kubernetes_version", "head1"),
        running=True,
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("ports") <= {rule for entry in CASES for rule, _, _ in entry.expected}
