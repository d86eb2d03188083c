# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The trust matrix sees a CA and a name that are taken away; and builds get what the site hands on.

`verify` has seen it green before. Here a node's bundle of CAs is hidden for the seconds in which probes run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import testinfra  # type: ignore[import-untyped]
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import connect
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import BUNDLE_FILE
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_facts import Facts
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_run import Fences, Wish
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Verdict
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import TrustWish
from live_site import Site

testinfra_hosts = ["ansible://head"]


@pytest.fixture
def told(site: Site) -> Mapping[str, Any]:
    """Return the contract of a site with a CA of its own; others have nothing to hand on."""
    if not site.contract["site_ca_files"]:
        pytest.skip("this site has no CA of its own")
    return site.contract


@pytest.fixture
def worker(request: pytest.FixtureRequest, site: Site) -> tuple[str, Any]:
    """Return a node that builds: its name, and its machine."""
    name = site.hosts("workers")[0]
    inventory = request.config.option.ansible_inventory
    return name, testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory)


@pytest.fixture
def bundle_hidden(request: pytest.FixtureRequest, worker: tuple[str, Any]) -> Iterator[None]:
    """Put a file without certificates over the node's bundle; builds there trust nobody meanwhile."""
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: builds on a node fail for some seconds")
    _, host = worker
    host.run_expect([0], f"mount --bind /usr/lib/os-release {BUNDLE_FILE}")
    yield
    host.run_expect([0], f"umount {BUNDLE_FILE}")


def judge(site: Site, worker: tuple[str, Any], **changes: Any) -> Verdict:
    """Ask from the pods and from the node, and judge; with changes to what is asked."""
    told, (name, host) = site.contract, worker
    mirror = told["artifact_mirror_url"] if told["artifact_source"] == "mirror" else ""
    wish = TrustWish(
        **{
            "plain_registry": told["site_registry_plain_http_enabled"],
            "provider": told["site_verify_provider"],
            "spec": told["site_verify_spec"],
            "base_image": told["site_base_image"],
            "mounts_bundle": True,
            "extra_hosts": told["site_extra_hosts"],
            **changes,
        }
    )
    facts = Facts(
        hubs=site.hubs,
        public_url=told["site_public_url"],
        registry=told["site_registry_host"],
        mirror_url=mirror,
        addresses={given: [address] for address, names in wish.extra_hosts.items() for given in names},
    )
    matrix = Fences(connect(told["site_kubeconfig_file"]), SystemClock())
    run = matrix.start(Wish(facts, told["site_fence_probe_image"], roles=(), build_node=name, trust=wish))
    try:
        arguments = {"run": run, "role": "node", "node": name}
        found = host.ansible("ironbinder.platform.fence_probe_local", json.dumps(arguments), check=False)
        assert "reports" in found, found
    except BaseException:
        matrix.remove(run)
        raise
    # Of the others `verify` is the test.
    run["trust"]["places"] = ["node", "dockerd", "containerd", "build", "session"]
    verdict = matrix.judge_trust(run, matrix.reports(run, found["reports"], 90))
    assert verdict is not None
    return verdict


def test_pods_know_the_sites_names(told: Mapping[str, Any], kubectl: Callable[..., Any], site: Site) -> None:
    """As BinderHub does, which asks a repository for its commit before anybody builds."""
    names = [(name, address) for address, given in told["site_extra_hosts"].items() for name in given]
    if not names:
        pytest.skip("this site has no names of its own")
    namespace = next(iter(site.hubs.values()))["namespace"]
    for name, address in names:
        ask = f"import socket; print(socket.gethostbyname({name!r}))"
        found = kubectl("-n", namespace, "exec", "deployment/binder", "--", "python3", "-c", ask, output="")
        assert found.strip() == address


def test_a_ca_that_is_taken_away_is_seen(
    told: Mapping[str, Any], site: Site, worker: tuple[str, Any], bundle_hidden: None
) -> None:
    verdict = judge(site, worker)
    found = {(cell.origin.split()[0], cell.target): cell.verdict for cell in verdict.cells}
    assert found["build", "Git host"] == "unverified"
    # dockerd has the CA of its registries in a place of its own.
    assert found["dockerd", "registry"] == "verified"
    assert any(
        "build pod" in problem and "mounts its node's bundle" in problem for problem in verdict.problems
    )


def test_a_name_that_is_taken_away_is_seen(
    told: Mapping[str, Any], site: Site, worker: tuple[str, Any]
) -> None:
    """And all else is well: what the test before hid is there again."""
    verdict = judge(site, worker, provider="git", spec="https%3A%2F%2Fgit.gone.test%2Fhello.git/main")
    # One of each hub's build pod.
    assert len(verdict.problems) == len(site.hubs)
    for problem in verdict.problems:
        assert "build pod" in problem
        assert "unresolved" in problem
        assert "site_extra_hosts" in problem
