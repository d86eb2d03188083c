# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Preflight asks for the same places that the roles fetch from."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifacts import (
    PACKAGES,
    artifact_urls,
    package_indexes,
)

ROLES = Path(__file__).parents[5] / "roles"
SITE = {
    "site_artifact_base": "https://mirror.example.org/",
    "site_metallb_version": "0.15.2",
    "site_helm_version": "3.22.0",
    "site_calico_version": "3.31.2",
    "site_pod_network_provider": "calico",
}


def of_role(role: str, variable: str, **values: object) -> str:
    """Compute a variable of a role as Ansible would, as far as it is made of these values."""
    texts = yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text())
    facts = {"architecture": "x86_64", "system": "Linux"}
    given = {
        "helm_client_host": "here",
        "hostvars": {"here": {"ansible_facts": facts}},
        "__helm_client": facts,
    }
    known: dict[str, object] = {**texts, **given, **values}
    text = f"{{{{ {variable} }}}}"
    while "{{" in text:
        text = jinja2.Template(text).render(known)
    return text.strip()


@pytest.mark.parametrize(
    ("machine", "system", "named"),
    [
        ("x86_64", "Linux", "linux-amd64"),
        ("aarch64", "Linux", "linux-arm64"),
        ("arm64", "Darwin", "darwin-arm64"),
    ],
)
def test_helm_is_for_the_host_that_runs_it(machine: str, system: str, named: str) -> None:
    """The controller may be another kind of machine than the nodes."""
    values = {"helm_artifact_base": SITE["site_artifact_base"], "helm_version": SITE["site_helm_version"]}
    client = {"architecture": machine, "system": system}
    told = artifact_urls(lambda name: SITE.get(name, ""), machine, system)["site_helm_version"]
    assert told == of_role("helm", "__helm_url", __helm_client=client, **values) + ".sha256sum"
    assert f"-{named}.tar.gz" in told


@pytest.mark.parametrize(
    ("variable", "role", "computed", "end"),
    [
        ("site_metallb_version", "metallb", "__metallb_manifest_url", ""),
        ("site_helm_version", "helm", "__helm_url", ".sha256sum"),
        ("site_calico_version", "pod_network", "__pod_network_calico_url", ""),
    ],
)
def test_urls_are_those_of_the_roles(variable: str, role: str, computed: str, end: str) -> None:
    """A role that fetches from elsewhere makes this test fail."""
    base = SITE["site_artifact_base"]
    values = {
        f"{role}_artifact_base": base,
        f"{role}_version": SITE.get(f"site_{role}_version"),
        "pod_network_calico_version": SITE["site_calico_version"],
    }
    found = artifact_urls(lambda name: SITE.get(name, ""), "x86_64")
    assert found[variable] == of_role(role, computed, **values) + end


def test_only_what_the_site_uses() -> None:
    """A provider without a manifest asks for none; a file is no URL; an unknown machine has no helm."""
    routed = {**SITE, "site_pod_network_provider": "routed", "site_pod_network_manifest": "https://m/n.yaml"}
    assert set(artifact_urls(lambda name: routed.get(name, ""), "riscv64")) == {"site_metallb_version"}
    own = {**SITE, "site_pod_network_manifest": "https://m/n.yaml"}
    assert (
        artifact_urls(lambda name: own.get(name, ""), "aarch64")["site_pod_network_manifest"]
        == "https://m/n.yaml"
    )
    file = {**SITE, "site_pod_network_manifest": "net.yaml"}
    assert set(artifact_urls(lambda name: file.get(name, ""), "x86_64")) == {
        "site_metallb_version",
        "site_helm_version",
    }
    assert artifact_urls(lambda name: "", "x86_64") == {}


def test_lists_of_packages() -> None:
    """Flat repositories and those with components; whatever is no repository is passed over."""
    flat = {"uri": "https://m/pkgs.k8s.io/v1.36/deb/", "suite": "/", "components": []}
    docker = {"uri": "https://m/docker", "suite": "bookworm", "components": ["stable", "test"]}
    place = "https://m/docker/dists/bookworm"
    assert package_indexes([flat, docker, 5, {}, {"uri": "cdrom:", "suite": "x"}], "aarch64") == [
        {
            "list": "https://m/pkgs.k8s.io/v1.36/deb/Packages.gz",
            "release": "https://m/pkgs.k8s.io/v1.36/deb/InRelease",
        },
        {"list": f"{place}/stable/binary-arm64/Packages.gz", "release": f"{place}/InRelease"},
        {"list": f"{place}/test/binary-arm64/Packages.gz", "release": f"{place}/InRelease"},
    ]
    assert package_indexes([docker], "riscv64") == []


def test_packages_are_those_of_the_contract() -> None:
    """A variable that does not exist would never be judged."""
    defaults = yaml.safe_load((ROLES / "site/defaults/main/contract.yml").read_text())
    defaults |= yaml.safe_load((ROLES / "site/defaults/main/versions.yml").read_text())
    assert set(PACKAGES) <= set(defaults)
