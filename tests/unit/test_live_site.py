# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tests of a live site know every variable of the contract that they look up: a missing one is seen on a site only."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/infra"))

from live_site import SECRETS, Site

# By its name, or by way of a mapping that has its name.
LOOK_UP = re.compile(r"""(?:\[|\.get\(|["']:)\s*["'](site_[a-z_0-9]+)["']""")
FILES = [*sorted((ROOT / "tests/infra").glob("*.py")), *sorted((ROOT / "molecule").glob("*/tests/*.py"))]


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Return what site_facts.yml writes down of each host."""
    [play] = yaml.safe_load((ROOT / "tests/infra/site_facts.yml").read_text())
    return set(play["vars"]["facts_contract"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_variable_that_is_looked_up_is_written_down(file: Path, known: set[str]) -> None:
    assert set(LOOK_UP.findall(file.read_text())) <= known


def test_look_ups_are_found() -> None:
    """Otherwise the test above says nothing."""
    found = {name for file in FILES for name in LOOK_UP.findall(file.read_text())}
    assert {"site_registry_host", "site_fence_probe_targets", "site_docker_version"} <= found


def test_what_is_written_down_is_in_the_contract(known: set[str]) -> None:
    specs = yaml.safe_load((ROOT / "roles/site/meta/argument_specs.yml").read_text())
    assert known <= set(specs["argument_specs"]["contract"]["options"])


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("http://site:s3c%40ret@proxy:3128", "s3c%40ret"),
        ("http://proxy:3128", ""),
        ("http://site@proxy:3128", ""),
        ("", ""),
    ],
)
def test_a_proxys_password_is_a_canary(url: str, password: str) -> None:
    """As it is written in the URL, since that is what programs are told."""
    assert site_of(url, "").secrets() == ({"site_http_proxy": password} if password else {})


def test_a_password_for_sudo_is_a_canary_beside_it() -> None:
    site = site_of("http://site:s3cret@proxy:3128", "sudo's")
    assert site.secrets() == {"site_http_proxy": "s3cret", "ansible_become_password.192.0.2.11": "sudo's"}
    assert site.sudo_passwords() == {"192.0.2.11": "sudo's"}


def test_each_password_for_sudo_is_watched_once() -> None:
    head = dict(site_of("", "one").told["head1"])
    others = {
        f"worker{number}": {**head, "connection": {"ansible_host": "", "ansible_become_password": sudo}}
        for number, sudo in enumerate(("one", "two", ""))
    }
    found = Site("", {"head1": head, **others}).secrets()
    assert found == {"ansible_become_password.192.0.2.11": "one", "ansible_become_password.worker1": "two"}


def test_secrets_below_a_hub_are_canaries() -> None:
    site = site_of("", "")
    values = dict(site.contract)
    values["site_hub_auth_secrets"] = {"private": {"client_secret": "one"}, "other": {"password": ""}}
    values["site_hub_api_tokens"] = {"private": "two"}
    told = {**site.told["head1"], "variables": values}
    assert Site("", {"head1": told}).secrets() == {
        "site_hub_auth_secrets.private.client_secret": "one",
        "site_hub_api_tokens.private": "two",
    }


def site_of(url: str, sudo: str) -> Site:
    """A site of one head behind this proxy, whose sudo asks for this."""
    values = {**dict.fromkeys(SECRETS, ""), "site_http_proxy": url, "site_https_proxy": ""}
    connection = {"ansible_host": "192.0.2.11", "ansible_become_password": sudo}
    return Site("", {"head1": {"groups": ["head"], "variables": values, "connection": connection}})
