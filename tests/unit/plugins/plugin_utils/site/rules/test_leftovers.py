# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/leftovers.py by a bad site of its own, and what the findings say."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, probe, rules_in, texts

SOURCE = {
    "file": "/etc/apt/sources.list.d/docker.list",
    "line": 1,
    "uri": "https://download.docker.com/linux/debian",
    "signed_by": "/etc/apt/keyrings/docker.asc",
}
LOCK = {"path": "/var/lib/dpkg/lock-frontend", "pid": 812, "process": "unattended-upgr"}
CLEAN = {"journal": False, "packages": {}, "ours": False}
KUBELET = "/etc/kubernetes/kubelet.conf"
PLANE = ["/etc/kubernetes/admin.conf", KUBELET, "/var/lib/etcd/member"]
OTHER = {"leftovers": [KUBELET], "ours": False, "server": "https://10.1.2.3:6443", "ca": ["b"]}
HEAD = {"leftovers": PLANE, "ours": True, "server": "https://192.0.2.11:6443", "ca": ["a"]}
API = {"source": "api", "made_here": True, "name": "stfc", "api_endpoint": "192.0.2.11:6443"}
JOINED = {"hosts/worker1/probe/kubernetes/joined": True}


def dpkg(**told: Any) -> dict[str, Any]:
    return {"hosts/worker1/probe/past/dpkg": {**CLEAN, **told}}


def nginx(**told: Any) -> dict[str, Any]:
    return {
        "hosts/proxy1/probe/past/nginx": {
            "version": "1.22.1-9",
            "default": "",
            "sites": [],
            "ours": False,
            **told,
        }
    }


def site_at(
    port: int, default: bool = False, address: str = "", names: tuple[str, ...] = ()
) -> dict[str, Any]:
    listens = [{"port": port, "address": address, "default": default}]
    return nginx(sites=[{"file": "/etc/nginx/conf.d/wiki.conf", "listens": listens, "names": list(names)}])


WAY = ("nginx-site-in-the-way", "site_public_url", "proxy1")
CASES = [
    probe("Docker's repository", "worker1", "past/apt", [SOURCE], ("apt-source-conflict", "", "worker1")),
    case("half installed", dpkg(packages={"x": "half-installed"}), ("package-half-installed", "", "worker1")),
    case("unconfigured", dpkg(packages={"x": "half-configured"}), ("dpkg-interrupted", "", "worker1")),
    case("a journal", dpkg(journal=True), ("dpkg-interrupted", "", "worker1")),
    # What is at work has these, too.
    case(
        "unattended-upgrades",
        {**dpkg(journal=True, packages={"x": "unpacked"}), "hosts/worker1/probe/past/locks": [LOCK]},
        ("package-manager-busy", "", "worker1"),
    ),
    case(
        "a worker elsewhere, before there is a head",
        {**JOINED, "hosts/worker1/probe/past/cluster": OTHER},
        ("node-of-another-cluster", "ansible_host", "worker1"),
    ),
    case(
        "a worker with another CA",
        {
            "hosts/head1/probe/past/cluster": HEAD,
            "hosts/head1/probe/cluster": API,
            # Even where its API had the same address once.
            "hosts/worker1/probe/past/cluster": {**OTHER, "ours": True, "server": "https://192.0.2.11:6443"},
        },
        ("node-of-another-cluster", "ansible_host", "worker1"),
    ),
    # `--limit worker1`, or a head that is down: nobody knows what the site's own cluster is.
    case(
        "a worker whose API has a name, and no head was seen",
        {
            **JOINED,
            "hosts/head1/state": "not run",
            "hosts/worker1/probe/past/cluster": {**OTHER, "server": "https://k8s.example.org:6443"},
        },
    ),
    case(
        "a worker of a cluster that may be adopted, and no head was seen",
        {
            **JOINED,
            "hosts/head1/state": "not run",
            "hosts/worker1/probe/past/cluster": {**OTHER, "server": "https://192.0.2.11:6443"},
        },
    ),
    case(
        "a head that is a worker elsewhere",
        {"hosts/head1/probe/past/cluster": OTHER},
        ("node-of-another-cluster", "ansible_host", "head1"),
    ),
    case(
        "an old control plane",
        {"hosts/head1/probe/past/cluster": {**HEAD, "ours": False}},
        ("cluster-leftovers", "", "head1"),
    ),
    case(
        "a worker of a cluster that was here",
        {**JOINED, "hosts/worker1/probe/past/cluster": {**OTHER, "server": "https://192.0.2.11:6443"}},
        ("cluster-leftovers", "", "worker1"),
    ),
    probe(
        "pods of an admin's",
        "worker1",
        "past/cluster",
        {"leftovers": ["/etc/kubernetes/manifests/web.yaml"], "ours": False, "server": "", "ca": []},
        ("cluster-leftovers", "", "worker1"),
    ),
    case(
        "an admin's default site",
        nginx(default="changed"),
        ("nginx-default-site", "site_adopt_nginx", "proxy1"),
    ),
    case("default_server", site_at(443, default=True), WAY),
    case("the hubs' name", site_at(443, names=("binder.example.org",)), WAY),
    case("the hubs' address", site_at(443, address="192.0.2.31"), WAY),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("leftovers") <= {rule for entry in CASES for rule, _, _ in entry.expected}


RUNS = {"hosts/head1/probe/past/cluster": HEAD, "hosts/head1/probe/cluster": API}
GOOD = [
    case("packages that Ironbinder was installing", dpkg(packages={"kubelet": "half-installed"}, ours=True)),
    case(
        "its own nodes",
        {**RUNS, "hosts/worker1/probe/past/cluster": {**OTHER, "ours": True, "ca": ["a"]}},
        running=True,
    ),
    # By another name, or address, of the same API; while its CA is exchanged.
    case(
        "a cluster to adopt",
        {**RUNS, "hosts/worker1/probe/past/cluster": {**OTHER, "ca": ["a", "b"]}},
        running=True,
    ),
    case("NGINX's own default site", nginx(default="packaged")),
    case("a default site with consent", {**nginx(default="changed"), "values/site_adopt_nginx": True}),
    case("a site by name", site_at(443, names=("wiki.example.org",))),
    case("a default site of another port", site_at(8080, default=True)),
    case("another address", site_at(443, address="192.0.2.99", default=True)),
]


@pytest.mark.parametrize("good", GOOD, ids=[entry.name for entry in GOOD])
def test_what_is_no_fault(good: Case) -> None:
    assert found(good.site()) == set()


def test_the_file_to_move_is_named() -> None:
    [told] = texts(CASES[0].site(), "apt-source-conflict")
    assert "/etc/apt/sources.list.d/docker.list, line 1" in told
    assert "mv /etc/apt/sources.list.d/docker.list /etc/apt/sources.list.d/docker.list.disabled" in told


def test_who_holds_the_lock() -> None:
    [told] = texts(CASES[4].site(), "package-manager-busy")
    assert "held by unattended-upgr (process 812)" in told
