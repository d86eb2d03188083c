# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule by a bad site of its own, and sites that must have no finding."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import RULES, check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import CRASHED
from site_cases import (
    ANSWER,
    DAY,
    GONE,
    NOW,
    OWN_LOGIN,
    PUBLIC,
    Case,
    case,
    fact,
    file,
    good_site,
    host,
    hubs,
    listening,
    packages,
    probe,
    registry_answers,
    running_site,
    secret,
    tls,
    value,
)

CASES = [
    # groups and hosts
    case("no head group", {"groups/head": GONE}, "group-missing"),
    case("no proxy group", {"groups/proxy": GONE}, "group-missing"),
    case("empty head group", {"groups/head": []}, "group-empty"),
    case(
        "group worker for workers",
        {"groups/worker": ["worker1", "worker2"], "groups/workers": GONE},
        "group-misspelt",
        "no-workers",
    ),
    case("no workers", {"groups/workers": []}, "no-workers"),
    case("head among the workers", {"groups/workers": ["head1", "worker1"]}, "host-in-exclusive-groups"),
    case("proxy among the workers", {"groups/workers": ["worker1", "proxy1"]}, "host-in-exclusive-groups"),
    case("two heads", {"groups/head": ["head1", "worker1"], "groups/workers": ["worker2"]}, "even-heads"),
    case(
        "three heads",
        {"groups/head": ["head1", "worker1", "worker2"], "groups/workers": []},
        "several-heads",
        "no-workers",
    ),
    case(
        "two names for one machine",
        {"hosts/worker2/variables/ansible_host": "192.0.2.21"},
        "duplicate-address",
    ),
    fact("one hostname twice", "worker2", "hostname", "machine21", "duplicate-hostname"),
    probe("cloned machine", "worker2", "machine_id", f"{21:032x}", "duplicate-machine-id"),
    case(
        "no address yet",
        {"hosts/worker2/variables/ansible_host": "", "hosts/worker2/state": "unaddressed"},
        "address-missing",
    ),
    case(
        "address of itself",
        {"hosts/worker2/variables/site_node_address": "127.0.0.1"},
        "node-address-unusable",
        "routed-needs-one-network",
    ),
    case(
        "host is down",
        {"hosts/worker2/state": "unreachable", "hosts/worker2/message": "timed out"},
        "host-unreachable",
    ),
    case(
        "no python",
        {"hosts/worker2/state": "failed", "hosts/worker2/message": "python3: not found"},
        "host-facts-failed",
    ),
    case(
        "somebody else's host is down",
        {
            "hosts/backup1": {"variables": {"ansible_host": "192.0.2.60"}, "state": "unreachable"},
            "groups/backup": ["backup1"],
        },
        "spare-host-unreachable",
    ),
    # the contract
    value("no name", "site_name", "", "value-missing"),
    value("no pool", "site_floating_pool", "", "value-missing"),
    value("no pool, as a list", "site_floating_pool", [], "value-missing"),
    value("no public URL", "site_public_url", None, "value-missing", "wrong-type"),
    value("chart version missing", "site_binderhub_chart_version", "", "value-missing"),
    case(
        "template that fails",
        {
            "errors": [{"variable": "site_name", "host": "", "message": "'nope' is undefined"}],
            "values/site_name": GONE,
        },
        "value-not-computable",
    ),
    case(
        "misspelt variable", {"unknown": [{"variable": "site_floting_pool", "host": ""}]}, "unknown-variable"
    ),
    value("number for a version", "site_kubernetes_version", 1.36, "wrong-type"),
    value("text for a list", "site_ca_files", "ca.crt", "wrong-type"),
    value("number in a list of texts", "site_ntp_servers", [1], "wrong-type"),
    value("no such source", "artifact_source", "internet", "wrong-type"),
    case("wrong type on one host", {"hosts/worker1/variables/site_api_port": "many"}, "wrong-type"),
    value("name with blanks", "site_name", "My Site", "site-name-malformed"),
    case("computed value set", {"given": ["site_resolved_hubs"]}, "computed-value-set"),
    # machines
    fact("old Debian", "worker1", "distribution_version", "11.9", "os-unsupported"),
    fact("other distribution", "worker1", "distribution", "Fedora", "os-unsupported"),
    fact("32 bits", "proxy1", "architecture", "armv7l", "architecture-unsupported"),
    fact("one ARM node", "worker1", "architecture", "aarch64", "architectures-mixed"),
    fact("head with 1 GB", "head1", "memtotal_mb", 1000, "memory-too-small"),
    fact("worker with 1 GB", "worker1", "memtotal_mb", 1000, "memory-too-small"),
    fact("head with one processor", "head1", "processor_vcpus", 1, "cpu-too-small"),
    fact("old python", "worker1", "python_version", "3.8.10", "python-too-old"),
    probe("full disk", "worker1", "disk/free_mb", 900, "disk-too-small"),
    probe("scarce disk", "worker1", "disk/free_mb", 9_000, "disk-scarce"),
    probe("swap", "worker1", "swaps", ["/dev/sda2"], "swap-on"),
    probe("cgroup v1", "worker1", "cgroup/version", 1, "cgroup-v1"),
    probe(
        "no memory controller", "worker1", "cgroup/controllers", ["cpu", "pids"], "cgroup-controllers-missing"
    ),
    probe("no overlay", "worker1", "modules/overlay", "absent", "kernel-module-missing"),
    probe("no modules to be seen", "worker1", "modules/overlay", "unknown", "kernel-module-unknown"),
    probe("clock behind", "worker1", "epoch", NOW - 600, "clock-skew"),
    probe("clock ahead", "proxy1", "epoch", NOW + 600, "clock-skew"),
    case("no sudo", {"hosts/worker1/probe": {"failed": "sudo: a password is required"}}, "no-sudo"),
    probe("ordinary user", "worker1", "root", False, "no-sudo"),
    probe(
        "no route",
        "worker1",
        "peers",
        {"192.0.2.11": "unreachable: No route to host"},
        "no-route-between-nodes",
    ),
    probe("firewall", "worker1", "peers", {"192.0.2.11": "timeout"}, "node-silent-to-node"),
    # ports and what runs
    probe("API port taken", "head1", "listening", listening(6443, "haproxy"), "port-taken"),
    probe(
        "kubelet's port taken by nobody to be seen",
        "worker1",
        "listening",
        listening(10250, ""),
        "port-taken",
    ),
    probe("apache on the proxy", "proxy1", "listening", listening(443, "apache2"), "port-taken"),
    probe("registry's port taken", "mirror1", "listening", listening(5000, "python3"), "port-taken"),
    probe(
        "newer kubelet",
        "worker1",
        "kubernetes/kubelet_version",
        "1.37.0",
        "kubelet-newer-than-api",
        running=True,
    ),
    case("downgrade", {"values/site_kubernetes_version": "1.36.1"}, "kubernetes-downgrade", running=True),
    case(
        "skips a minor version",
        {
            "hosts/head1/probe/kubernetes/api_version": "1.34.2",
            "hosts/head1/probe/kubernetes/kubelet_version": "1.34.2",
            "hosts/worker1/probe/kubernetes/kubelet_version": "1.34.2",
            "hosts/worker2/probe/kubernetes/kubelet_version": "1.34.2",
        },
        "kubernetes-skips-minor",
        running=True,
    ),
    probe(
        "worker of a lost cluster",
        "worker1",
        "kubernetes/joined",
        True,
        "half-made-cluster",
        "host-builds-docker-gone",
    ),
    # networks
    value("pod range with host bits", "site_pod_subnet", "10.244.0.1/16", "subnet-malformed"),
    value("pods in the services' range", "site_pod_subnet", "10.100.0.0/16", "subnets-overlap"),
    value("pods on Docker's bridge", "site_pod_subnet", "172.16.0.0/12", "subnet-overlaps-docker"),
    value("services on the nodes' network", "site_service_subnet", "192.0.0.0/12", "subnet-overlaps-node"),
    case(
        "nodes on Docker's network",
        {
            "hosts/worker1/facts/interfaces": [
                {"name": "eth0", "mac": "02:00:00:00:00:15", "cidr": "192.0.2.21/24"},
                {"name": "eth1", "mac": "", "cidr": "172.17.4.2/24"},
            ]
        },
        "nodes-overlap-docker",
    ),
    value("pods of two nodes for three", "site_pod_subnet", "10.244.0.0/23", "pod-subnet-too-small"),
    value("services too small", "site_service_subnet", "10.96.0.0/26", "service-subnet-size"),
    value("services too large", "site_service_subnet", "11.0.0.0/8", "service-subnet-size"),
    value("IPv6 pods", "site_pod_subnet", "2001:db8::/56", "subnet-not-ipv4"),
    case(
        "routed over two networks",
        {
            "hosts/worker2/variables/ansible_host": "198.51.100.22",
            "hosts/worker2/facts/interfaces": [
                {"name": "eth0", "mac": "02:00:00:00:00:16", "cidr": "198.51.100.22/24"}
            ],
        },
        "routed-needs-one-network",
    ),
    # floating pool
    value("malformed pool", "site_floating_pool", "192.0.2.101..103", "pool-malformed"),
    value("reversed pool", "site_floating_pool", "192.0.2.103-192.0.2.101", "pool-malformed"),
    value("pool with a bad entry", "site_floating_pool", ["192.0.2.101", 7], "pool-malformed"),
    value("pool as a number", "site_floating_pool", 7, "pool-malformed"),
    value("IPv6 pool", "site_floating_pool", "2001:db8::1-2001:db8::9", "pool-not-ipv4"),
    value(
        "pool twice", "site_floating_pool", ["192.0.2.100-192.0.2.105", "192.0.2.105"], "pool-ranges-overlap"
    ),
    value("pool elsewhere", "site_floating_pool", "198.51.100.1-198.51.100.9", "pool-outside-nodes-subnet"),
    value("pool over a node", "site_floating_pool", "192.0.2.20-192.0.2.21", "pool-overlaps-host"),
    value(
        "pool over the broadcast", "site_floating_pool", "192.0.2.254-192.0.2.255", "pool-holds-network-edge"
    ),
    value("pool over the gateway", "site_floating_pool", "192.0.2.1-192.0.2.2", "pool-holds-gateway"),
    probe("a stranger answers", "head1", "arp", {"192.0.2.102": "52:54:00:aa:bb:cc"}, "pool-address-answers"),
    case(
        "one address, two hubs",
        {**hubs(a={}, b={}), "values/site_floating_pool": "192.0.2.101"},
        "pool-too-small",
    ),
    case("hub outside of the pool", hubs(a={"floating_ip": "192.0.2.200"}), "hub-address-outside-pool"),
    value("API address in the pool", "site_api_address", "192.0.2.101", "api-address-in-pool"),
    # URLs and hubs
    value("URL without scheme", "site_public_url", "binder.example.org", "public-url-malformed"),
    value(
        "URL with a broken port", "site_public_url", "https://binder.example.org:x", "public-url-malformed"
    ),
    value("URL with a path", "site_public_url", "https://binder.example.org/hub", "public-url-has-path"),
    case(
        "name does not resolve",
        {"controller/names/binder.example.org": {"error": "Name or service not known"}},
        "public-url-not-resolving",
    ),
    case(
        "name of another machine",
        {"controller/names/binder.example.org/addresses": ["192.0.2.99"]},
        "public-url-not-the-proxy",
    ),
    case(
        "plain HTTP for everybody",
        {
            **PUBLIC,
            "values/site_public_url": "http://binder.example.org",
            "values/site_anonymous_access_acknowledged": True,
        },
        "public-url-plain-http",
    ),
    case("path without slash", hubs(a={"hub_base_url": "/jupyterhub"}), "base-path-slashes"),
    case("equal paths", hubs(a={"hub_base_url": "/x/", "binder_base_url": "/x/"}), "base-paths-equal"),
    case("nested paths", hubs(a={"binder_base_url": "/jupyterhub/binder/"}), "base-paths-nested"),
    case("hub at the root", hubs(a={"binder_base_url": "/"}), "base-paths-nested"),
    case("hub with an unknown key", hubs(a={"namespaces": "x"}), "hub-malformed"),
    case("hub that is text", hubs(a="yes"), "hub-malformed"),
    case("no hub", hubs(), "hub-malformed"),
    value("hubs as a list", "site_hubs", ["a"], "wrong-type"),
    case(
        "three hubs on one address",
        hubs(**{hub: {"floating_ip": "192.0.2.101"} for hub in "abc"}),
        "hubs-share-address",
    ),
    case(
        "two hubs on one NodePort",
        hubs(a={"node_port": 30600}, b={"node_port": 30600}),
        "hubs-share-node-port",
    ),
    case("two hubs in one namespace", hubs(a={}, b={"namespace": "a"}), "hubs-share-namespace"),
    case("NodePort out of range", hubs(a={"node_port": 80}), "node-port-out-of-range"),
    case("namespace with capitals", hubs(a={"namespace": "Binder"}), "namespace-malformed"),
    # registry
    value(
        "registry with a scheme", "site_registry_host", "https://192.0.2.41:5000", "registry-host-has-scheme"
    ),
    value("registry with a path", "site_registry_host", "192.0.2.41/images", "registry-host-malformed"),
    value("registry with a bad port", "site_registry_host", "192.0.2.41:99999", "registry-host-malformed"),
    value("prefix without a level", "site_registry_prefix", "stfc-", "registry-prefix-without-level"),
    value(
        "prefix of one level and no name", "site_registry_prefix", "binder/", "registry-prefix-without-level"
    ),
    value("prefix with capitals", "site_registry_prefix", "Binder/stfc-", "registry-prefix-malformed"),
    value(
        "prefix with the registry",
        "site_registry_prefix",
        "192.0.2.41:5000/b/x-",
        "registry-prefix-malformed",
    ),
    case(
        "registry is down",
        registry_answers(error="timeout", detail="timed out"),
        "registry-unreachable",
        running=True,
    ),
    case("no registry there", registry_answers(status=404), "registry-is-none", running=True),
    case(
        "registry of another CA",
        registry_answers(error="untrusted", detail="self-signed"),
        "registry-ca-not-trusted",
        running=True,
    ),
    case(
        "registry without TLS",
        registry_answers(error="not-tls", detail="wrong version"),
        "registry-plain-http",
        running=True,
    ),
    value(
        "password over plain HTTP", "site_registry_plain_http_enabled", True, "registry-plain-http-password"
    ),
    case("wrong password", {OWN_LOGIN: {**ANSWER, "status": 401}}, "registry-login-refused", running=True),
    case(
        "somebody's registry wants an account",
        {
            **registry_answers(status=401, challenge="Basic realm=x"),
            "groups/registry": [],
            "values/site_registry_username": "",
            "secrets/values/site_registry_password/empty": True,
        },
        "registry-wants-login",
        running=True,
    ),
    value("password without a user", "site_registry_username", "", "registry-account-incomplete"),
    case(
        "own registry for everybody",
        {"values/site_registry_username": "", "secrets/values/site_registry_password/empty": True},
        "registry-own-without-account",
    ),
    # artefacts
    value("no mirror URL", "artifact_mirror_url", "", "mirror-url-missing"),
    value("mirror without scheme", "artifact_mirror_url", "mirror.example.org", "mirror-url-malformed"),
    value("mirror with a slash", "artifact_mirror_url", "https://192.0.2.41/", "mirror-url-malformed"),
    value("mirror not used", "artifact_source", "upstream", "mirror-url-unused"),
    case("mirror is down", packages(error="refused", detail="refused"), "mirror-unreachable"),
    case("mirror of another CA", packages(error="untrusted", detail="self-signed"), "mirror-not-trusted"),
    case("no mirror there", packages(status=404), "mirror-is-none"),
    case(
        "versions that no repository has",
        {
            "values/site_kubernetes_version": "1.36.99",
            **{
                f"hosts/{name}/probe/packages": {
                    "kubelet": ["1.36.3-1.1", "1.36.10-1.1"],
                    "containerd.io": ["2.4.1-1"],
                }
                for name in ("worker1", "worker2")
            },
        },
        "package-version-unknown",
    ),
    case(
        "versions whose files are not there",
        {
            "hosts/head1/probe/urls/site_metallb_version": {"url": "https://192.0.2.41/m", "status": 404},
            "controller/artifacts": {"site_helm_version": {"url": "https://192.0.2.41/h", "status": 404}},
            "values/site_metallb_version": "0.99.0",
            "values/site_helm_version": "9.9.9",
        },
        "artifact-missing",
    ),
    case(
        "manifest that is not there",
        {"hosts/head1/probe/urls/site_pod_network_manifest": {"url": "https://192.0.2.41/n", "status": 403}},
        "artifact-missing",
    ),
    case(
        "file that a running site was made from",
        {
            "hosts/head1/probe/urls/site_metallb_version": {"url": "https://192.0.2.41/m", "status": 410},
            "values/site_metallb_version": "0.15.2",
        },
        "artifact-gone",
        running=True,
    ),
    case("slow mirror", packages(status=200, seconds=9.0), "mirror-slow"),
    case(
        "no way out",
        {
            **packages(error="resolve", detail="x"),
            "values/artifact_source": "upstream",
            "values/artifact_mirror_url": "",
        },
        "upstream-unreachable",
    ),
    value(
        "Docker mirror with a path",
        "site_docker_hub_mirrors",
        ["https://m.example.org/v2"],
        "docker-mirror-malformed",
    ),
    value(
        "Docker mirror without scheme",
        "site_docker_hub_mirrors",
        ["m.example.org"],
        "docker-mirror-malformed",
    ),
    case("CA file missing", {"controller/ca_files/ca.crt": {"error": "No such file"}}, "ca-file-unreadable"),
    case("CA expired", {"controller/ca_files/ca.crt": {"not_after": NOW - DAY}}, "ca-expired"),
    value("time server as URL", "site_ntp_servers", ["ntp://time.example.org"], "ntp-server-malformed"),
    # versions
    value(
        "chart latest",
        "site_binderhub_chart_version",
        "latest",
        "chart-version-floating",
        "chart-version-unknown",
    ),
    value(
        "chart --devel",
        "site_binderhub_chart_version",
        "--devel",
        "chart-version-floating",
        "chart-version-unknown",
    ),
    value(
        "chart range",
        "site_binderhub_chart_version",
        "^1.0.0",
        "chart-version-floating",
        "chart-version-unknown",
    ),
    value(
        "chart star",
        "site_binderhub_chart_version",
        "1.0.*",
        "chart-version-floating",
        "chart-version-unknown",
    ),
    case("chart repository is down", {"controller/chart": {"error": "cannot be reached"}}, "chart-not-found"),
    case(
        "chart repository, seen from the head",
        {"hosts/head1/probe/urls/chart": {**ANSWER, "status": 404}},
        "chart-not-found",
    ),
    case("chart version not there", {"controller/chart/versions": ["1.0.0"]}, "chart-version-unknown"),
    case("chart needs more", {"controller/chart/kube_version": ">=1.37.0-0"}, "chart-unfit-for-cluster"),
    value("Kubernetes with a v", "site_kubernetes_version", "v1.36.3", "kubernetes-version-malformed"),
    value("Kubernetes of two numbers", "site_kubernetes_version", "1.36", "kubernetes-version-malformed"),
    value("old Kubernetes", "site_kubernetes_version", "1.29.0", "kubernetes-version-unsupported"),
    value("future Kubernetes", "site_kubernetes_version", "1.99.0", "kubernetes-version-unsupported"),
    value("floating containerd", "site_containerd_version", "2.x", "version-floating"),
    # what hubs do
    case("anonymous on a public address", PUBLIC, "anonymous-on-public-address"),
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
        "anonymous-on-public-address",
    ),
    case(
        "network policy with routed",
        hubs(a={"values": {"jupyterhub": {"singleuser": {"networkPolicy": {"enabled": True}}}}}),
        "network-policy-not-enforced",
    ),
    value("manifest of nothing", "site_pod_network_provider", "manifest", "pod-network-manifest-missing"),
    case(
        "nobody builds",
        {f"hosts/worker{n}/variables/site_node_purposes": ["core"] for n in (1, 2)},
        "no-build-node",
    ),
    case("nobody runs hubs", {"hosts/head1/variables/site_node_purposes": ["user"]}, "no-core-node"),
    case(
        "unknown purpose",
        {"hosts/worker1/variables/site_node_purposes": ["user", "gpu"]},
        "node-purpose-unknown",
    ),
    probe(
        "podman for Docker",
        "worker1",
        "docker",
        {"socket": True, "engine": "podman"},
        "host-builds-without-docker",
    ),
    probe(
        "Docker is gone",
        "worker1",
        "docker",
        {"socket": False, "engine": ""},
        "host-builds-docker-gone",
        running=True,
    ),
    case("unknown builder", hubs(a={"values": {"imageBuilderType": "kaniko"}}), "builder-type-unknown"),
    value("spec without ref", "site_verify_spec", "binder-examples", "verify-spec-malformed"),
    value("unknown client host", "site_kubernetes_client_host", "worker1", "client-host-unknown"),
    value("port 70000", "site_api_port", 70000, "api-port-invalid"),
    value("API address with a port", "site_api_address", "192.0.2.11:6443", "api-address-malformed"),
    # secrets
    case("no token", {"secrets/values/site_hub_api_tokens.binder": GONE}, "token-missing"),
    case(
        "empty token",
        {"secrets/values/site_hub_api_tokens.binder": secret(empty=True, length=0)},
        "token-missing",
    ),
    case("short token", {"secrets/values/site_hub_api_tokens.binder": secret(length=32)}, "token-malformed"),
    case(
        "token not in hex",
        {"secrets/values/site_hub_api_tokens.binder": secret(hex=False)},
        "token-malformed",
    ),
    case("changeme", {"secrets/values/site_registry_password": secret(default=True)}, "secret-default"),
    case(
        "password that is a number",
        {"secrets/values/site_registry_password": secret(text=False, length=0)},
        "secret-not-text",
    ),
    case("short password", {"secrets/values/site_registry_password": secret(length=5)}, "password-short"),
    case(
        "token of a hub that is gone", {"secrets/values/site_hub_api_tokens.old": secret()}, "token-of-no-hub"
    ),
    case(
        "one token for both",
        {"secrets/equal": [["site_hub_proxy_tokens.binder", "site_hub_api_tokens.binder"]]},
        "secrets-equal",
    ),
    case(
        "staging's token",
        {"secrets/shared": [{"variable": "site_hub_api_tokens.binder", "site": "staging"}]},
        "secrets-shared",
    ),
    case("world-readable secrets", file(mode=0o644, encrypted=False, tracked=None), "secrets-file-readable"),
    case("secrets in git", file(encrypted=False), "secrets-file-in-git"),
    case("secrets almost in git", file(encrypted=False, tracked=False), "secrets-file-not-ignored"),
    # TLS
    value("no certificate", "site_proxy_tls_certificate_file", "", "tls-files-missing"),
    case("unreadable key", tls(key_error="proxy.key: No such file"), "tls-file-unreadable"),
    case("another key", tls(key_matches=False), "tls-key-mismatch"),
    case("readable key", tls(key_mode=0o644), "tls-key-readable"),
    case("expired certificate", tls(not_after=NOW - DAY), "tls-expired"),
    case("certificate of tomorrow", tls(not_before=NOW + DAY), "tls-expired"),
    case("certificate of this week", tls(not_after=NOW + 5 * DAY), "tls-expires-soon"),
    case("certificate of another name", tls(names=["other.example.org"]), "tls-name-missing"),
    case("incomplete chain", tls(chain_missing="CN=Intermediate"), "tls-chain-incomplete"),
    case("no cryptography", {"controller/tls": {"library_missing": True}}, "tls-library-missing"),
]


def found(site: dict[str, Any]) -> dict[str, list[str]]:
    """The findings' texts by rule."""
    told: dict[str, list[str]] = {}
    for finding in check_site(site).findings:
        told.setdefault(finding.id, []).append(
            f"{finding.variable} {finding.host}: {finding.observed} -> {finding.remedy}"
        )
    return told


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected rules see the fault, and each says what to do."""
    told = found(bad.site())
    assert set(told) == bad.expected, told
    assert all(len(text) > 20 for texts in told.values() for text in texts)


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    # Files of rules with a test file of their own have their cases there.
    elsewhere = {
        path.stem.removeprefix("test_") for path in (Path(__file__).parent / "rules").glob("test_*.py")
    }
    rules = {
        entry.id for entry in RULES.values() if entry.check.__module__.rpartition(".")[2] not in elsewhere
    }
    assert rules <= set().union(*(entry.expected for entry in CASES)) <= set(RULES)
    assert len(CASES) >= 70
    assert len({entry.name for entry in CASES}) == len(CASES)


@pytest.mark.parametrize("site", [good_site(), running_site()], ids=["before the first run", "after a run"])
def test_good_site(site: dict[str, Any]) -> None:
    """A site without a fault has no finding, whether or not it already runs."""
    assert found(site) == {}


def lab_site() -> dict[str, Any]:
    """Containers as machines: the computer's processor and memory, cgroup v1, no modules' folder, plain HTTP."""
    site = running_site()
    site["values"] |= {"site_public_url": "http://192.0.2.31", "site_anonymous_access_acknowledged": True}
    for entry in site["hosts"].values():
        entry["facts"] |= {"virtualization_type": "docker"}
        entry["probe"] |= {"cgroup": {"version": 1, "controllers": ["cpu", "memory", "pids", "cpuset"]}}
    return site


def test_lab() -> None:
    """The lab has warnings at most."""
    report = check_site(lab_site())
    assert report.errors == 0, found(lab_site())
    assert {finding.id for finding in report.findings} == {"cgroup-v1"}


@pytest.mark.parametrize(
    "data",
    [{}, {"values": None}, {"groups": [], "hosts": "x"}, {"hosts": {"a": None}, "groups": {"head": ["a"]}}],
)
def test_hardly_a_site(data: dict[str, Any]) -> None:
    """Nothing at all is reported like anything else."""
    told = found(data)
    assert CRASHED not in told
    assert "value-missing" in told


def test_errors_come_first_and_are_counted() -> None:
    """The table has errors before warnings, and its last line counts both."""
    site = Case("both", {"groups/workers": [], "values/site_name": ""}, frozenset()).site()
    report = check_site(site).as_data()
    assert [finding["severity"] for finding in report["findings"]] == ["error", "warning"]
    assert report["table"].splitlines()[-1] == "1 error, 1 warning: nothing was changed."
    assert json.loads(json.dumps(report)) == report


def large_site(count: int) -> dict[str, Any]:
    """A good site with `count` workers."""
    site = good_site()
    names = [f"worker{number}" for number in range(count)]
    urls = site["hosts"]["worker1"]["probe"]["urls"]
    for number, name in enumerate(names):
        entry = host(f"198.51.{100 + number // 250}.{number % 250 + 1}", number, urls=urls)
        entry["facts"]["hostname"] = name
        entry["probe"]["machine_id"] = f"m{number}"
        site["hosts"][name] = entry
    site["groups"]["workers"] = names
    return site


def seconds(count: int) -> float:
    """How long a check of `count` workers takes, at best."""
    site = large_site(count)
    best = 1e9
    for _ in range(3):
        started = time.perf_counter()
        check_site(site)
        best = min(best, time.perf_counter() - started)
    return best


def test_two_hundred_hosts_in_two_seconds() -> None:
    """The validators alone keep to their time, and four times the hosts take about four times as long."""
    small, large = seconds(200), seconds(800)
    assert small <= 2.0
    assert large <= 7 * small
