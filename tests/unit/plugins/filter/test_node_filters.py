# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Filters of the roles node and containerd, as Jinja calls them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter import (
    containerd_hosts,
    digest_name,
    pem_certificates,
)


def test_a_name_follows_from_the_text_and_is_the_one_that_machines_have() -> None:
    name = digest_name.FilterModule().filters()["digest_name"]
    # printf https://pkgs.k8s.io/x | sha1sum
    assert name("https://pkgs.k8s.io/x", "ironbinder-", ".asc") == "ironbinder-62727d4ea8be.asc"
    assert name("https://pkgs.k8s.io/y") != name("https://pkgs.k8s.io/x")


def test_certificates_are_reached_by_their_name() -> None:
    split = pem_certificates.FilterModule().filters()["pem_certificates"]
    assert split("x") == []


def test_a_registry_without_a_host_is_named() -> None:
    hosts = containerd_hosts.FilterModule().filters()["containerd_hosts"]
    assert list(hosts({"quay.io": "https://m"}, mark="us")) == ["quay.io/hosts.toml"]
    with pytest.raises(AnsibleFilterError, match="containerd_hosts: KeyError\\('host'\\)"):
        hosts({}, registries=[{"plain_http_enabled": True}], mark="us")
