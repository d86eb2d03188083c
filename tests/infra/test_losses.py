# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How soon a lost node is noticed and left, as each of those says that has a part in it. docs/reliability.md adds it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://head"]

Kubectl = Callable[..., Any]
TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
# The chart's own pods; people's are no part of it.
CORE = "component in (binder, hub, proxy, user-scheduler)"


def stays(pod: dict[str, Any]) -> dict[str, int]:
    """For how many seconds a pod stays with a lost node, by the taint."""
    return {
        entry["key"]: entry["tolerationSeconds"]
        for entry in pod["spec"]["tolerations"]
        if entry.get("effect") == "NoExecute" and "tolerationSeconds" in entry
    }


def test_the_controller_notices_a_lost_node_in_time(host: Any, site: Site) -> None:
    """The process that runs, whatever the manifest says."""
    [process] = host.process.filter(comm="kube-controller")
    assert f"--node-monitor-grace-period={site.contract['site_node_lost_seconds']}s" in process.args.split()


def test_an_upgrade_keeps_that(kubectl: Kubectl, site: Site) -> None:
    """kubeadm makes the manifest anew from what the cluster remembers."""
    config = kubectl("--namespace", "kube-system", "get", "configmap", "kubeadm-config")
    told = config["data"]["ClusterConfiguration"].split("controllerManager:")[1].split("\ndns:")[0]
    words = told.replace('"', "").split()
    wanted = ["name:", "node-monitor-grace-period", "value:", f"{site.contract['site_node_lost_seconds']}s"]
    assert words[words.index("node-monitor-grace-period") - 1 :][:4] == wanted


def test_every_kubelet_reports_four_times_as_often(kubectl: Kubectl, site: Site) -> None:
    for node in site.hosts("head", "workers"):
        # Runs with: its files may say something else.
        running = kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/configz", output="")
        assert f'"nodeLeaseDurationSeconds":{site.contract["site_node_lost_seconds"]},' in running


@pytest.mark.parametrize("name", ["hub", "DNS"])
def test_pods_that_all_others_need_leave_in_time(kubectl: Kubectl, site: Site, name: str) -> None:
    wanted = dict.fromkeys(TAINTS, site.contract["site_core_pods_wait_seconds"])
    places = [("kube-system", "k8s-app=kube-dns")]
    if name == "hub":
        places = [(str(hub["namespace"]), CORE) for hub in site.hubs.values()]
    for namespace, selector in places:
        pods = kubectl("--namespace", namespace, "get", "pods", "--selector", selector)["items"]
        assert pods
        assert {pod["metadata"]["name"]: stays(pod) for pod in pods if stays(pod) != wanted} == {}
