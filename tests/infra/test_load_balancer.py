# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The floating addresses: the right service has each, and it answers from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from live_site import Site
from web import Client

testinfra_hosts = ["ansible://head"]


def test_only_the_hubs_have_floating_addresses(kubectl: Callable[..., Any], site: Site) -> None:
    services = kubectl("get", "services", "--all-namespaces")["items"]
    holders = {
        f"{service['metadata']['namespace']}/{service['metadata']['name']}": [
            entry.get("ip") for entry in service["status"].get("loadBalancer", {}).get("ingress", [])
        ]
        for service in services
        if service["spec"]["type"] == "LoadBalancer"
    }
    assert holders == {f"{hub['namespace']}/proxy-public": [hub["floating_ip"]] for hub in site.hubs.values()}


def test_floating_addresses_answer(site: Site, client: Client) -> None:
    for hub in site.hubs.values():
        answer = client.get(f"http://{hub['floating_ip']}{hub['hub_base_url']}hub/api")
        assert answer.status == 200
        assert answer.json()["version"]
