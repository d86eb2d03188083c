# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/past.py by a bad site of its own, and what the findings say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from site_cases import Case, case, fact, found, probe, rules_in, running_site, texts

DOCKER: dict[str, Any] = {
    "packages": {"docker.io": "20.10.24+dfsg1-1"},
    "snap": False,
    "ours": False,
    "containers": [{"name": "wiki", "restarts": True}, {"name": "db", "restarts": False}],
}
CONTAINERD: dict[str, Any] = {"packages": {"containerd": "1.6.20"}, "ours": False, "running": {"default": 2}}
CONSENT = {"hosts/worker1/variables/site_adopt_docker": True}
NONE = {**DOCKER, "packages": {}, "containers": []}
SWAPPED = {
    "hosts/worker1/facts/hostname": "worker2",
    "hosts/worker2/facts/hostname": "worker1",
}


def overriding(name: str, value: str) -> list[dict[str, str]]:
    return [{"file": "/etc/sysctl.d/99-sysctl.conf", "name": name, "value": value}]


CASES = [
    probe(
        "foreign Docker", "worker1", "past/docker", DOCKER, ("docker-foreign", "site_adopt_docker", "worker1")
    ),
    # The containerd that docker.io needs is no fault of its own.
    probe(
        "foreign Docker with its containerd",
        "worker1",
        "past",
        {"docker": DOCKER, "containerd": CONTAINERD},
        ("docker-foreign", "site_adopt_docker", "worker1"),
    ),
    # On a node without builds it is no docker-without-builds.
    case(
        "foreign Docker on the head",
        {
            "hosts/head1/probe/past/docker": DOCKER,
            "hosts/head1/probe/docker": {"socket": True, "engine": "docker"},
        },
        ("docker-foreign", "site_adopt_docker", "head1"),
    ),
    case(
        "foreign Docker with consent",
        {**CONSENT, "hosts/worker1/probe/past/docker": DOCKER},
        ("docker-adopted", "site_adopt_docker", "worker1"),
    ),
    # Its version is no second finding, neither package-will-change nor docker-version-changed.
    *(
        case(
            f"foreign Docker of another version, {'in a cluster' if running else 'by itself'}, {rule}",
            {
                **consent,
                "values/site_docker_version": "29.8.1",
                "hosts/worker1/probe/past/docker": {**DOCKER, "packages": {"docker-ce": "5:28.5.2-1"}},
                "hosts/worker1/probe/installed": {"docker-ce": "28.5.2"},
            },
            (rule, "site_adopt_docker", "worker1"),
            running=running,
        )
        for running in (False, True)
        for rule, consent in (("docker-foreign", {}), ("docker-adopted", CONSENT))
    ),
    probe(
        "Docker from a snap", "worker1", "past/docker", {**NONE, "snap": True}, ("docker-snap", "", "worker1")
    ),
    probe(
        "Debian's containerd",
        "worker1",
        "past/containerd",
        CONTAINERD,
        ("containerd-foreign", "site_adopt_docker", "worker1"),
    ),
    case(
        "Debian's containerd with consent",
        {**CONSENT, "hosts/worker1/probe/past/containerd": CONTAINERD},
        ("containerd-adopted", "site_adopt_docker", "worker1"),
    ),
    probe("CRI-O", "worker1", "past/crio", "1.30.4-1.1", ("crio-present", "", "worker1")),
    # One finding, whether it swaps now or only after the next start.
    case(
        "zram",
        {
            "hosts/worker1/probe/past/swap_units": ["zramswap.service"],
            "hosts/worker1/probe/swaps": ["/dev/zram0"],
        },
        ("swap-comes-back", "", "worker1"),
    ),
    probe(
        "dphys-swapfile",
        "worker1",
        "past/swap_units",
        ["dphys-swapfile.service"],
        ("swap-comes-back", "", "worker1"),
    ),
    probe(
        "cloud-init",
        "worker1",
        "past/cloud_hosts",
        "/var/lib/cloud/instance/cloud-config.txt",
        ("hosts-file-rewritten", "", "worker1"),
    ),
    probe(
        "AppArmor without its parser",
        "worker1",
        "past/apparmor",
        {"enabled": True, "parser": False},
        ("apparmor-without-parser", "", "worker1"),
    ),
    probe(
        "no forwarding",
        "worker1",
        "past/sysctls",
        overriding("net.ipv4.ip_forward", "0"),
        ("sysctl-overridden", "", "worker1"),
    ),
    case(
        "few watches",
        {
            "values/site_inotify_max_user_watches": 500_000,
            "hosts/worker1/probe/past/sysctls": overriding("fs.inotify.max_user_watches", "8192"),
        },
        ("sysctl-overridden", "site_inotify_max_user_watches", "worker1"),
    ),
    case("swapped names", SWAPPED, ("names-swapped", "ansible_host", "worker1")),
    case(
        "shifted names",
        {"hosts/worker1/facts/hostname": "worker2", "hosts/worker2/facts/hostname": "old"},
        ("names-swapped", "ansible_host", "worker1"),
        ("hostname-changes", "site_keep_hostname", "worker2"),
    ),
    fact(
        "another hostname",
        "worker1",
        "hostname",
        "pc17",
        ("hostname-changes", "site_keep_hostname", "worker1"),
    ),
]


def test_a_node_without_profiles_of_apparmor_refuses_nothing() -> None:
    """containerd since 1.6.17 and Docker since 23.0.1 look for the parser, and run containers without it."""
    [bad] = [entry for entry in CASES if entry.name == "AppArmor without its parser"]
    assert [finding.severity for finding in check_site(bad.site()).findings] == ["warning"]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("past") <= {rule for entry in CASES for rule, _, _ in entry.expected}


GOOD = [
    probe("Docker that Ironbinder brought", "worker1", "past/docker", {**DOCKER, "ours": True}),
    probe("containerd that Ironbinder brought", "worker1", "past/containerd", {**CONTAINERD, "ours": True}),
    # It stays, and nothing in it stops.
    probe(
        "the package that the site wants",
        "worker1",
        "past/containerd",
        {**CONTAINERD, "packages": {"containerd.io": "2.4.2-1"}},
    ),
    probe("as the role has it", "worker1", "past/sysctls", overriding("net.ipv4.ip_forward", "1")),
    probe("more watches", "worker1", "past/sysctls", overriding("fs.inotify.max_user_watches", "1048576")),
    probe("AppArmor", "worker1", "past/apparmor", {"enabled": True, "parser": True}),
    case(
        "a name that is to stay",
        {"hosts/worker1/facts/hostname": "pc17", "values/site_keep_hostname": True},
    ),
    case("a full name", {"hosts/worker1/facts/hostname": "pc17", "hosts/worker1/facts/fqdn": "worker1"}),
    case(
        "the name of a container",
        {"hosts/worker1/facts/hostname": "pc17", "hosts/worker1/facts/virtualization_type": "docker"},
    ),
]


@pytest.mark.parametrize("good", GOOD, ids=[entry.name for entry in GOOD])
def test_what_is_no_fault(good: Case) -> None:
    assert found(good.site()) == set()


def test_what_stops_is_said_by_name() -> None:
    """With what comes back and what does not; before the consent and after it."""
    site = CASES[0].site()
    [before] = texts(site, "docker-foreign")
    assert (
        "docker.io 20.10.24+dfsg1-1, in which runs wiki (starts again by its policy) and db (stays stopped)"
        in before
    )
    assert "set site_adopt_docker: true" in before
    site["values"]["site_adopt_docker"] = True
    [after] = texts(site, "docker-adopted")
    assert "wiki" in after and "db (stays stopped)" in after


def test_consent_is_of_a_host_and_not_of_its_neighbour() -> None:
    site = running_site()
    for name in ("worker1", "worker2"):
        site["hosts"][name]["probe"]["past"] = {"docker": DOCKER}
    site["values"]["site_adopt_docker"] = True
    site["hosts"]["worker2"]["variables"]["site_adopt_docker"] = False
    assert {(rule, host) for rule, _, host in found(site)} == {
        ("docker-adopted", "worker1"),
        ("docker-foreign", "worker2"),
    }


def test_swapped_names_have_one_remedy() -> None:
    [told] = texts(case("", SWAPPED).site(), "names-swapped")
    assert (
        "calls itself worker2, and the one at 192.0.2.22 worker1 -> exchange ansible_host of worker1 and worker2"
        in told
    )
