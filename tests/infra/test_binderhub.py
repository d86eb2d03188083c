# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The hubs in the cluster: their releases, how they are reached, and where their secrets are not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from live_site import Site

testinfra_hosts = ["ansible://head"]


def test_newest_release_is_deployed(kubectl: Callable[..., Any], site: Site) -> None:
    for hub in site.hubs.values():
        owned = f"owner=helm,name={hub['release']}"
        revisions = kubectl("--namespace", hub["namespace"], "get", "secrets", "--selector", owned)["items"]
        labels = sorted(
            (revision["metadata"]["labels"] for revision in revisions), key=lambda each: int(each["version"])
        )
        assert labels, f"there is no release {hub['release']} in namespace {hub['namespace']}"
        assert labels[-1]["status"] == "deployed"


def test_every_deployment_is_available(kubectl: Callable[..., Any], site: Site) -> None:
    for hub in site.hubs.values():
        deployments = kubectl("--namespace", hub["namespace"], "get", "deployments")["items"]
        names = {deployment["metadata"]["name"] for deployment in deployments}
        assert names >= {"binder", "hub", "proxy"}
        short = [
            deployment["metadata"]["name"]
            for deployment in deployments
            if deployment["status"].get("availableReplicas", 0) < deployment["spec"]["replicas"]
        ]
        assert short == []


def test_binderhub_has_its_node_port(kubectl: Callable[..., Any], site: Site) -> None:
    for hub in site.hubs.values():
        spec = kubectl("--namespace", hub["namespace"], "get", "service", "binder")["spec"]
        assert (spec["type"], [port["nodePort"] for port in spec["ports"]]) == (
            "NodePort",
            [hub["node_port"]],
        )


def test_secrets_are_only_in_secrets(kubectl: Callable[..., Any], site: Site) -> None:
    secrets = site.secrets()
    assert len(secrets) >= 2 * len(site.hubs), "the site has no tokens, so nothing would be looked for"
    for hub in site.hubs.values():
        kinds = "configmaps,deployments,daemonsets,statefulsets,jobs,pods,services,events"
        text = kubectl("--namespace", hub["namespace"], "get", kinds, output="yaml")
        stored = kubectl("--namespace", hub["namespace"], "get", "secrets", output="yaml")
        assert "kind: Secret" in stored
        # Names only: a failing test must not print what it guards.
        leaked = [
            name
            for name, value in secrets.items()
            if value in text or base64.b64encode(value.encode()).decode() in text
        ]
        assert leaked == []
