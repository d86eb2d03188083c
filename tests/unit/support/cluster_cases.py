# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A running site that has been asked for its cluster, and findings by rule, variable and host."""

from __future__ import annotations

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import RULES, check_site
from site_cases import Case, good_site, running_site

Found = tuple[str, str, str]

CLUSTER = {
    "source": "api",
    "made_here": True,
    "name": "stfc",
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/12",
    "api_endpoint": "192.0.2.11:6443",
}
NODES = ("head1", "worker1", "worker2")


def bare_site() -> dict[str, Any]:
    """The good site as the probe sees it before the first run: nothing of a cluster is there."""
    site = good_site()
    for name in NODES:
        site["hosts"][name]["probe"] |= {
            "cluster": {"source": "", "networks": [], "containerd_version": ""},
            "resolver": {"loopback": False, "usable": True},
        }
    return site


def cluster_site() -> dict[str, Any]:
    """The running site on its second run: the head tells the cluster's own configuration."""
    site = running_site()
    for name in NODES:
        site["hosts"][name]["probe"] |= {
            "cluster": {"source": "", "networks": ["routed"], "containerd_version": "2.4.2"},
            "resolver": {"loopback": False, "usable": True},
        }
    site["hosts"]["head1"]["probe"]["cluster"] |= CLUSTER
    return site


def change(site: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Give `site` with changes, each named by its way through the data, as `Case` has them."""
    return Case("", changes, frozenset()).changed(site)


def found(site: dict[str, Any]) -> set[Found]:
    """Rule, variable and host of every finding."""
    return {(finding.id, finding.variable, finding.host) for finding in check_site(site).findings}


def texts(site: dict[str, Any], rule: str) -> str:
    """What the findings of one rule say, and their remedies."""
    return "\n".join(
        f"{finding.observed} -> {finding.remedy}"
        for finding in check_site(site).findings
        if finding.id == rule
    )


def rules_of(module: str) -> set[str]:
    """The rules that one file registers."""
    return {entry.id for entry in RULES.values() if entry.check.__module__.endswith(f".rules.{module}")}
