# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/packages.py by a bad site of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from site_cases import Case, Found, case, found, good_site, rules_in, running_site, texts, value

DOCKER_DEBIAN = "https://192.0.2.41/download.docker.com/linux/debian"
LISTS = [
    "https://192.0.2.41/k/Packages.gz",
    f"{DOCKER_DEBIAN}/dists/bookworm/stable/binary-amd64/Packages.gz",
]
NODES = ("head1", "worker1", "worker2")
OFFERED = {
    "kubelet": ["1.36.3-1.1"],
    "kubeadm": ["1.36.3-1.1"],
    "kubectl": ["1.36.3-1.1"],
    "kubernetes-cni": ["1.9.1-1.1"],
    "containerd.io": ["2.4.2-1~debian.12~bookworm", "2.3.5-1~debian.12~bookworm"],
    "docker-ce": ["5:29.8.1-1~debian.12~bookworm", "5:28.5.2-1~debian.12~bookworm"],
    "docker-ce-cli": ["5:29.8.1-1~debian.12~bookworm"],
    "docker-buildx-plugin": ["0.37.1-1~debian.12~bookworm"],
}
INSTALLED = {
    "containerd.io": "2.4.2",
    "docker-ce": "29.8.1",
    "docker-ce-cli": "29.8.1",
    "docker-buildx-plugin": "0.37.1",
    "kubernetes-cni": "1.9.1",
}
PINS = {
    "values/site_docker_version": "29.8.1",
    "values/site_docker_buildx_version": "0.37.1",
    "values/site_kubernetes_cni_version": "1.9.1",
}


def offers(change: dict[str, Any], *names: str) -> dict[str, Any]:
    """All lists were read by all nodes; those of `names` found something else, None for no such package."""
    told: dict[str, Any] = {f"hosts/{name}/probe/read_lists": LISTS for name in NODES}
    for name in NODES:
        here = {**OFFERED, **(change if name in names else {})}
        told[f"hosts/{name}/probe/packages"] = {key: entry for key, entry in here.items() if entry}
    return {**PINS, **told}


def has(change: dict[str, str], *names: str) -> dict[str, Any]:
    """Machines with packages; those of `names` with others."""
    return PINS | {
        f"hosts/{name}/probe/installed": {**INSTALLED, **(change if name in names else {})} for name in NODES
    }


CASES = [
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
        ("package-version-unknown", "site_containerd_version", "worker1 and 1 more"),
        ("package-version-unknown", "site_kubernetes_version", "worker1 and 1 more"),
    ),
    case(
        "version of Docker that no repository has: the head builds nothing",
        {**offers({}), "values/site_docker_version": "29.9.9"},
        ("package-version-unknown", "site_docker_version", "worker1 and 1 more"),
    ),
    case(
        "one of two packages in that version",
        offers({"docker-ce-cli": ["5:28.5.2-1~debian.12~bookworm"]}, "worker1"),
        ("package-version-unknown", "site_docker_version", "worker1"),
    ),
    case(
        "mirror without docker-ce",
        offers({"docker-ce": None, "docker-ce-cli": None}, *NODES),
        ("package-missing", "site_docker_version", "worker1 and 1 more"),
    ),
    case(
        "mirror without kubernetes-cni",
        offers({"kubernetes-cni": None}, *NODES),
        ("package-missing", "site_kubernetes_cni_version", "head1 and 2 more"),
    ),
    case(
        "node of a cluster that had another Docker",
        {**offers({"docker-ce": None}, "worker2"), **has({"docker-ce": ""}, "worker2")},
        ("package-missing", "site_docker_version", "worker2"),
        running=True,
    ),
    case(
        "mirror without Docker's repository",
        {
            f"hosts/{name}/probe/gone_lists": {
                LISTS[1]: f"{DOCKER_DEBIAN}/dists/bookworm/Release answers 404"
            }
            for name in NODES
        },
        ("package-list-gone", "artifact_mirror_url", "head1 and 2 more"),
    ),
    case(
        "repository of the site's own that is gone",
        {
            "hosts/worker1/probe/gone_lists": {
                "https://apt.example.org/x/Packages.gz": "https://apt.example.org/x/Release answers 404"
            }
        },
        ("package-list-gone", "site_apt_repositories", "worker1"),
    ),
    case(
        "older containerd on machines without pods",
        has({"containerd.io": "1.7.27"}, "worker1", "worker2"),
        ("package-will-change", "site_containerd_version", "worker1 and 1 more"),
    ),
    case(
        "newer Docker on machines without pods: the head's is left alone",
        has({"docker-ce": "30.0.0"}, "head1", "worker2"),
        ("package-will-change", "site_docker_version", "worker2"),
    ),
    case(
        "another Docker on a node that builds",
        has({"docker-ce": "28.5.2"}, "worker1"),
        ("docker-version-changed", "site_docker_version", "worker1"),
        running=True,
    ),
    case(
        "another kubernetes-cni",
        has({"kubernetes-cni": "1.8.0"}, *NODES),
        ("kubernetes-cni-version-changed", "site_kubernetes_cni_version", "head1 and 2 more"),
    ),
    value(
        "digest that is none",
        "site_pod_network_manifest_digest",
        "c74c5a07",
        ("manifest-digest-malformed", "site_pod_network_manifest_digest", ""),
    ),
    value("floating Docker", "site_docker_version", "29.x", ("version-floating", "site_docker_version", "")),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("packages") <= {rule for entry in CASES for rule, _, _ in entry.expected}


@pytest.mark.parametrize(
    "changes",
    [offers({}), has({}), {**PINS, "hosts/worker1/probe/packages": {}}],
    ids=["offered", "installed", "unasked"],
)
def test_what_is_right_is_no_finding(changes: dict[str, Any]) -> None:
    """With all versions there, with all installed, and where nobody looked at a list."""
    for site in (good_site(), running_site()):
        assert found(case("", changes).changed(site)) == set()


def test_a_list_that_could_not_be_read_leaves_the_last_word_to_apt() -> None:
    """The version, and the package, may be there: a site is not refused for what nobody has seen."""
    site = case("", offers({"docker-ce": None, "kubelet": ["1.36.2-1.1"]}, "worker1")).changed(good_site())
    expected = {
        ("package-missing", "site_docker_version", "worker1"),
        ("package-version-unknown", "site_kubernetes_version", "worker1"),
    }
    assert found(site) == expected
    site["hosts"]["worker1"]["probe"]["unread_lists"] = ["https://192.0.2.41/other/Packages.gz"]
    assert found(site) == set()


def test_what_a_site_of_an_earlier_release_has_refuses_nothing() -> None:
    """It named no version of these, so its nodes have what was newest on their day, and no value would suit them all."""
    changes = has({"docker-ce": "28.5.2", "kubernetes-cni": "1.7.1"}, "worker1")
    changes["hosts/worker2/probe/installed"] = {**INSTALLED, "docker-ce": "29.1.0", "kubernetes-cni": "1.8.0"}
    report = check_site(case("", changes, running=True).site())
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    assert len(report.findings) == 4


UPGRADE = ["kubernetes-version-changed", "containerd-version-changed", "docker-version-changed"]
KUBE = "site_kubernetes_version"


def kubelets(version: str, *names: str) -> dict[str, Any]:
    """Nodes that run this kubelet."""
    return {f"hosts/{name}/probe/kubernetes/kubelet_version": version for name in names}


def old_site(**change: str) -> dict[str, Any]:
    """All nodes have these, and Kubernetes 1.35.4, as a change from what is wanted."""
    return {
        **has(change, *NODES),
        **kubelets("1.35.4", *NODES),
        "hosts/head1/probe/kubernetes/api_version": "1.35.4",
    }


# What a run before an upgrade finds on nodes that have other versions than are wanted.
DUE: list[tuple[str, dict[str, Any], set[Found]]] = [
    ("all that is wanted is there", offers({}), set()),
    (
        "containerd, Docker and Kubernetes that no repository has",
        {
            **offers({}),
            f"values/{KUBE}": "1.36.9",
            "values/site_containerd_version": "2.4.9",
            "values/site_docker_version": "29.9.9",
        },
        {
            ("package-version-unknown", KUBE, "head1 and 2 more"),
            ("package-version-unknown", "site_containerd_version", "head1 and 2 more"),
            ("package-version-unknown", "site_docker_version", "worker1 and 1 more"),
        },
    ),
    (
        "workers that follow later in a version that no repository has",
        {**offers({}), "values/site_kubernetes_nodes_version": "1.36.2"},
        {("package-version-unknown", "site_kubernetes_nodes_version", "worker1 and 1 more")},
    ),
    (
        "workers that stay, in a repository of their own",
        {
            **offers(
                {name: ["1.35.9-1.1"] for name in ("kubelet", "kubeadm", "kubectl")}, "worker1", "worker2"
            ),
            "values/site_kubernetes_nodes_version": "1.35.4",
        },
        set(),
    ),
    (
        "a control plane alone that is behind",
        {
            **offers({"kubeadm": ["1.36.2-1.1"]}, *NODES),
            **kubelets("1.36.3", *NODES),
            "hosts/head1/probe/kubernetes/api_version": "1.36.2",
        },
        {("package-version-unknown", KUBE, "head1")},
    ),
    (
        "a version that is none: its own rule tells, and no repository is asked for it",
        {**offers({"containerd.io": None}, *NODES), "values/site_containerd_version": "2.x"},
        {("version-floating", "site_containerd_version", "")},
    ),
    (
        "mirror with kubeadm and no kubelet",
        offers({"kubelet": None}, *NODES),
        {("package-missing", KUBE, "head1 and 2 more")},
    ),
    (
        "the same for workers that follow later",
        {
            **offers({"kubelet": None}, "worker1", "worker2"),
            "values/site_kubernetes_nodes_version": "1.36.2",
        },
        {
            ("package-missing", "site_kubernetes_nodes_version", "worker1 and 1 more"),
            ("package-version-unknown", "site_kubernetes_nodes_version", "worker1 and 1 more"),
        },
    ),
    (
        "mirror without the repository of the new minor version",
        {
            f"hosts/{name}/probe/{key}": told
            for name in NODES
            for key, told in (
                ("unread_lists", LISTS[:1]),
                ("gone_lists", {LISTS[0]: "https://192.0.2.41/k/Release answers 404"}),
            )
        },
        {("package-list-gone", "artifact_mirror_url", "head1 and 2 more")},
    ),
    (
        "a repository that could not be read",
        {
            **offers({"kubelet": None}, *NODES),
            **{f"hosts/{name}/probe/unread_lists": LISTS[:1] for name in NODES},
        },
        set(),
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected"), [entry[1:] for entry in DUE], ids=[entry[0] for entry in DUE]
)
def test_what_an_upgrade_would_lack(changes: dict[str, Any], expected: set[Found]) -> None:
    """It is refused before the control plane is changed and a node emptied."""
    site = case("", {**old_site(**{"containerd.io": "2.3.5", "docker-ce": "28.5.2"}), **changes}).changed(
        running_site()
    )
    assert found({**site, "settled": UPGRADE}) == expected


def test_nodes_that_have_what_is_wanted_ask_no_repository() -> None:
    """A mirror loses old versions, and whole repositories, and nothing is installed from it."""
    newer = {name: ["9.9.9-1"] for name in OFFERED}
    site = case("", {**offers(newer, *NODES), **has({}), "hosts/worker1/probe/packages": {}}).changed(
        running_site()
    )
    assert found(site) == found({**site, "settled": UPGRADE}) == set()
    for name in NODES:
        site["hosts"][name]["probe"]["gone_lists"] = {LISTS[0]: "https://192.0.2.41/k/Release answers 404"}
    assert found({**site, "settled": UPGRADE}) == set()


def test_docker_of_a_node_stays_but_in_an_upgrade() -> None:
    """Where nodes may differ, no repository needs to have the wanted one."""
    changes = {
        **offers({"docker-ce": ["5:28.5.2-1"], "docker-buildx-plugin": None}, *NODES),
        **has({"docker-ce": "28.5.2"}, "worker1"),
    }
    site = case("", changes).changed(running_site())
    assert found(site) == {("docker-version-changed", "site_docker_version", "worker1")}
    assert found({**site, "settled": UPGRADE}) == {
        ("package-version-unknown", "site_docker_version", "worker1")
    }


REMEDIES = [
    (
        "mirror without docker-ce",
        "package-missing",
        "asks for docker-ce, docker-ce-cli 29.8.1, and .* -> put it on https://192.0.2.41/download.docker.com: .* "
        "https://download.docker.com$",
    ),
    (
        "mirror without Docker's repository",
        "package-list-gone",
        f"Release answers 404: .* -> mirror https://download.docker.com/linux/debian as {DOCKER_DEBIAN}$",
    ),
    (
        "older containerd on machines without pods",
        "package-will-change",
        "1.7.27 .* older: .*raises it.*containerd is restarted",
    ),
    (
        "newer Docker on machines without pods: the head's is left alone",
        "package-will-change",
        "30.0.0 .* newer: .*takes it back.*Docker is restarted",
    ),
]


@pytest.mark.parametrize(("name", "rule", "said"), REMEDIES)
def test_remedies_name_what_to_do(name: str, rule: str, said: str) -> None:
    """The text is what a person acts on."""
    (bad,) = [entry for entry in CASES if entry.name == name]
    (text,) = texts(bad.site(), rule)
    assert re.search(said, text), text
