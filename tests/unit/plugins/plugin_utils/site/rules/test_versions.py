# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/versions.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import ANSWER, Case, case, found, hubs, rules_in, value

CASES = [
    case(
        "versions whose files are not there",
        {
            "hosts/head1/probe/urls/site_metallb_version": {"url": "https://192.0.2.41/m", "status": 404},
            "controller/artifacts": {"site_helm_version": {"url": "https://192.0.2.41/h", "status": 404}},
            "values/site_metallb_version": "0.99.0",
            "values/site_helm_version": "9.9.9",
        },
        ("artifact-missing", "site_helm_version", ""),
        ("artifact-missing", "site_metallb_version", "head1"),
    ),
    case(
        "manifest that is not there",
        {"hosts/head1/probe/urls/site_pod_network_manifest": {"url": "https://192.0.2.41/n", "status": 403}},
        ("artifact-missing", "site_pod_network_manifest", "head1"),
    ),
    case(
        "file that a running site was made from",
        {
            "hosts/head1/probe/urls/site_metallb_version": {"url": "https://192.0.2.41/m", "status": 410},
            "values/site_metallb_version": "0.15.2",
        },
        ("artifact-gone", "site_metallb_version", "head1"),
        running=True,
    ),
    value(
        "chart latest",
        "site_binderhub_chart_version",
        "latest",
        ("chart-version-floating", "site_binderhub_chart_version", ""),
    ),
    value(
        "chart --devel",
        "site_binderhub_chart_version",
        "--devel",
        ("chart-version-floating", "site_binderhub_chart_version", ""),
    ),
    value(
        "chart range",
        "site_binderhub_chart_version",
        "^1.0.0",
        ("chart-version-floating", "site_binderhub_chart_version", ""),
    ),
    value(
        "chart star",
        "site_binderhub_chart_version",
        "1.0.*",
        ("chart-version-floating", "site_binderhub_chart_version", ""),
    ),
    case(
        "chart repository is down",
        {"controller/chart": {"error": "cannot be reached"}},
        ("chart-not-found", "site_binderhub_chart_repository", ""),
    ),
    case(
        "chart repository, seen from the head",
        {"hosts/head1/probe/urls/chart": {**ANSWER, "status": 404}},
        ("chart-not-found", "site_binderhub_chart_repository", "head1"),
    ),
    case(
        "chart version not there",
        {"controller/chart/versions": ["1.0.0"]},
        ("chart-version-unknown", "site_binderhub_chart_version", ""),
    ),
    case(
        "hub with any chart",
        hubs(a={"chart_version": "latest"}),
        ("chart-version-floating", "site_hubs.a.chart_version", ""),
    ),
    case(
        "hub with a chart for a later Kubernetes",
        {
            **hubs(a={"chart_version": "2.0.0"}),
            "controller/chart/versions": ["1.0.0-0.dev.git.3983.h383374de", "2.0.0"],
            "controller/chart/other_kube_versions": {"2.0.0": ">=1.37.0-0"},
        },
        ("chart-unfit-for-cluster", "site_hubs.a.chart_version", ""),
    ),
    case(
        "chart needs more",
        {"controller/chart/kube_version": ">=1.37.0-0"},
        ("chart-unfit-for-cluster", "site_binderhub_chart_version", ""),
    ),
    value(
        "Kubernetes with a v",
        "site_kubernetes_version",
        "v1.36.3",
        ("kubernetes-version-malformed", "site_kubernetes_version", ""),
    ),
    value(
        "Kubernetes of two numbers",
        "site_kubernetes_version",
        "1.36",
        ("kubernetes-version-malformed", "site_kubernetes_version", ""),
    ),
    value(
        "old Kubernetes",
        "site_kubernetes_version",
        "1.29.0",
        ("kubernetes-version-unsupported", "site_kubernetes_version", ""),
    ),
    value(
        "future Kubernetes",
        "site_kubernetes_version",
        "1.99.0",
        ("kubernetes-version-unsupported", "site_kubernetes_version", ""),
    ),
    value(
        "floating containerd",
        "site_containerd_version",
        "2.x",
        ("version-floating", "site_containerd_version", ""),
    ),
    value("Helm with a v", "site_helm_version", "v3.22.0", ("version-floating", "site_helm_version", "")),
    case(
        "chart that was made before this Kubernetes",
        {"controller/chart/kube_version": ">=1.28.0-0 <1.36.0-0"},
        ("chart-unfit-for-cluster", "site_binderhub_chart_version", ""),
    ),
    case(
        "chart that takes pre-releases of Kubernetes",
        {"controller/chart/kube_version": ">= 1.37.0-0 < 2"},
        ("chart-unfit-for-cluster", "site_binderhub_chart_version", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("versions") <= {rule for entry in CASES for rule, _, _ in entry.expected}
