# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the action reads on the controller before it sends the probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.action.site_probe import _pushing, _read_cas, _urls

TOKEN_URL = "https://gitlab.example.org/jwt/auth"
THEIRS = {
    "site_registry_host": "registry.example.org",
    "site_registry_prefix": "group/stfc-",
    "site_registry_token_url": TOKEN_URL,
}


class Values:
    """What the site says, and nothing of the rest."""

    def __init__(self, groups: dict[str, list[str]], **values: Any) -> None:
        self.groups, self.values = groups, values

    def find(self, name: str) -> Any:
        return self.values.get(name, "")


@pytest.mark.parametrize("odd", ["~nobody-of-this-name/ca.pem", "/a\0b", "/no/such/file", "/" + "x" * 300, 5])
def test_a_file_that_cannot_be_stops_no_probe(tmp_path: Path, odd: object) -> None:
    """A rule reports it; the others are read."""
    (tmp_path / "ca.pem").write_text("a CA")
    assert _read_cas([odd, str(tmp_path / "ca.pem")]) == "a CA"


@pytest.mark.parametrize(
    ("purposes", "extra_hosts", "asked"),
    [
        (["core"], {}, True),
        (["user"], {}, False),
        # A machine with nothing on it does not know such names yet.
        (["core"], {"192.0.2.41": ["mirror.example.org", "iam.example.org"]}, False),
        (["core"], {"192.0.2.41": ["mirror.example.org"]}, True),
    ],
)
def test_a_node_that_runs_the_hub_asks_its_provider(
    purposes: list[str], extra_hosts: dict[str, list[str]], asked: bool
) -> None:
    values = {
        "site_extra_hosts": extra_hosts,
        "site_node_purposes": purposes,
        "site_hubs": {"private": {"auth": {"kind": "oidc", "issuer": "https://iam.example.org/"}}},
    }

    class Values:
        def find(self, variable: str, _host: str = "", default: Any = "") -> Any:
            return values.get(variable, default)

    expected = {"provider_private": "https://iam.example.org/.well-known/openid-configuration"}
    assert _urls(Values(), "head1") == (expected if asked else {})  # type: ignore[arg-type]


def pushing(groups: dict[str, list[str]], **values: Any) -> dict[str, Any]:
    site: Any = Values(groups, **{**THEIRS, **values})
    return _pushing(site)


def test_the_account_that_pushes_tries_it_at_somebody_elses_registry() -> None:
    told = {"registry_push_repository": "group/stfc-ironbinder-probe", "registry_push_tried": True}
    assert pushing({}) == {**told, "registry_token_url": TOKEN_URL}
    # What would carry the password where it must not go is a finding, and is not asked.
    for url in ("http://gitlab.example.org/jwt/auth", "https://u:p@gitlab.example.org/", "gitlab"):
        assert pushing({}, site_registry_token_url=url) == {**told, "registry_token_url": ""}


def test_the_sites_own_registry_is_not_asked_before_it_is_there() -> None:
    assert pushing({"registry": ["mirror1"]}) == {}


@pytest.mark.parametrize("prefix", ["", "stfc-", None, 5, "Group/stfc-"])
def test_a_prefix_that_is_none_is_not_pushed_to(prefix: object) -> None:
    assert pushing({}, site_registry_prefix=prefix) == {}
