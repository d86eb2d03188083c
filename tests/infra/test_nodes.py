# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines that run pods and builds: the daemons are asked, not their files."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from live_site import Site

testinfra_hosts = ["ansible://head", "ansible://workers"]


@pytest.fixture
def told(host: Any, site: Site) -> Any:
    """Return the contract's values for the tested host."""
    return site.variables(host.backend.host)


def containerd_setting(host: Any, key: str) -> set[str]:
    """Return the values of a key wherever it stands in the configuration containerd runs with."""
    return set(
        re.findall(
            rf"^\s*{key} = ['\"]?([^'\"\n]*)", host.check_output("containerd config dump"), re.MULTILINE
        )
    )


def test_swap_is_off(host: Any) -> None:
    assert host.check_output("tail -n +2 /proc/swaps") == ""
    assert host.run("grep -E '^[^#]\\S*\\s+\\S+\\s+swap\\s' /etc/fstab").stdout == ""


@pytest.fixture
def builds(told: Any) -> None:
    """Pass by a machine on which nothing builds."""
    if not told["site_node_builds"]:
        pytest.skip("no build runs here")


def test_docker_is_only_where_builds_run(host: Any, told: Any) -> None:
    """A machine that had Docker before keeps it, and preflight says so; in the lab none had."""
    assert host.service("docker").is_running is told["site_node_builds"]
    assert host.file("/var/run/docker.sock").exists is told["site_node_builds"]


@pytest.mark.parametrize("name", ["containerd", "kubelet"])
def test_daemon_runs_and_starts_at_boot(host: Any, name: str) -> None:
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


@pytest.mark.usefixtures("builds")
def test_docker_starts_at_boot_and_comes_back(host: Any) -> None:
    assert host.service("docker").is_enabled
    assert host.check_output("systemctl show --property=Restart --value docker") not in ("", "no")


@pytest.mark.parametrize("name", ["containerd", "kubelet"])
def test_daemon_comes_back_by_itself(host: Any, name: str) -> None:
    assert host.check_output("systemctl show --property=Restart --value %s", name) not in ("", "no")


@pytest.mark.usefixtures("builds")
def test_docker_uses_the_mirrors(host: Any, told: Any) -> None:
    mirrors = json.loads(host.check_output("docker info --format '{{json .RegistryConfig.Mirrors}}'")) or []
    assert [mirror.rstrip("/") for mirror in mirrors] == [
        mirror.rstrip("/") for mirror in told["site_docker_hub_mirrors"]
    ]


@pytest.mark.usefixtures("builds")
def test_docker_pulls(host: Any, told: Any) -> None:
    image = told["site_docker_probe_image"]
    # An image that is here already would prove nothing.
    host.run("docker image rm --force %s", image)
    pulled = host.run("docker pull --quiet %s", image)
    assert pulled.rc == 0, pulled.stderr


@pytest.mark.usefixtures("builds")
def test_docker_trusts_and_knows_the_registry(host: Any, told: Any) -> None:
    # The daemon meets the registry's certificate before any answer; an image that is not there is an answer.
    pulled = host.run("docker pull --quiet %s", f"{told['site_registry_host']}/ironbinder/absent:none")
    assert pulled.rc != 0
    assert not re.search(
        "x509|certificate|HTTP response to HTTPS|refused|timeout|no such host", pulled.stderr
    ), pulled.stderr


PINNED = {
    "containerd.io": "site_containerd_version",
    "kubelet": "site_kubernetes_machine_version",
    "kubeadm": "site_kubernetes_machine_version",
    "kubectl": "site_kubernetes_machine_version",
    "kubernetes-cni": "site_kubernetes_cni_version",
}
PINNED_FOR_BUILDS = {
    "docker-ce": "site_docker_version",
    "docker-ce-cli": "site_docker_version",
    "docker-buildx-plugin": "site_docker_buildx_version",
}


def test_packages_are_those_that_are_pinned_and_held(host: Any, told: Any) -> None:
    pinned = {**PINNED, **(PINNED_FOR_BUILDS if told["site_node_builds"] else {})}
    asked = host.check_output(
        "dpkg-query --show --showformat '${Package} ${Version} ${db:Status-Want}\\n' " + " ".join(pinned)
    )
    rows = [line.split() for line in asked.splitlines()]
    # Without epoch and revision.
    found = {name: (version.split(":")[-1].split("-")[0], want) for name, version, want in rows}
    assert found == {name: (told[variable], "hold") for name, variable in pinned.items()}


def test_containerd_reads_an_admins_drop_in(host: Any) -> None:
    """Asked of the program that the daemon is, without a restart of the daemon."""
    drop_in = "/etc/containerd/conf.d/99-ironbinder-test.toml"
    try:
        host.check_output(
            "sh -c %s",
            f"mkdir -p /etc/containerd/conf.d && printf 'version = 3\\noom_score = -7\\n' > {drop_in}",
        )
        assert containerd_setting(host, "oom_score") == {"-7"}
    finally:
        host.run("rm -f %s", drop_in)
    assert containerd_setting(host, "oom_score") == {"0"}


def test_containerd_and_kubelet_use_the_same_cgroup_driver(host: Any) -> None:
    kubelet = re.search(
        r"^cgroupDriver: (\w+)$", host.check_output("cat /var/lib/kubelet/config.yaml"), re.MULTILINE
    )
    driver = {"true": "systemd", "false": "cgroupfs"}
    assert kubelet
    assert {driver[value] for value in containerd_setting(host, "SystemdCgroup")} == {kubelet[1]}


def test_containerd_pulls_as_it_does_for_pods(host: Any, told: Any) -> None:
    folders = containerd_setting(host, "config_path") - {""}
    assert len(folders) == 1, f"containerd has these folders of registry settings: {folders}"
    image = told["site_pause_image"]
    if told["site_image_mirrors"]:
        registry = image.split("/")[0]
        assert told["site_image_mirrors"][registry] in host.check_output(
            f"cat {folders.pop()}/{registry}/hosts.toml"
        )
        folders = containerd_setting(host, "config_path") - {""}
    # In a namespace of its own, so that it is pulled whatever the kubelet has.
    pulled = host.run("ctr --namespace ironbinder-test images pull --hosts-dir %s %s", folders.pop(), image)
    host.run("ctr --namespace ironbinder-test images remove %s", image)
    assert pulled.rc == 0, pulled.stderr


def test_kernel_forwards_what_pods_send(host: Any) -> None:
    assert host.sysctl("net.ipv4.ip_forward") == 1
