# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whose certificates are asked for, and what a provider has to know."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.action.site_status import _ports, _sign_in


class Values:
    """What the site says, and nothing of the rest."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def find(self, name: str, default: Any = "") -> Any:
        return self.values.get(name, default)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("r.example.org:5000", [("registry", "r.example.org", 5000)]),
        ("docker.io", [("registry", "registry-1.docker.io", 443)]),
        ("", []),
    ],
)
def test_docker_hub_is_asked_where_it_answers(host: str, expected: list[tuple[str, str, int]]) -> None:
    values: Any = Values(site_registry_host=host, site_public_url="http://binder.example.org")
    assert list(_ports(values)) == expected


def test_each_name_of_the_hubs_is_asked_once() -> None:
    known: dict[str, Any] = {
        "site_public_url": "https://binder.example.org",
        "site_registry_host": "registry.example.org:5000",
        "site_resolved_hubs": {
            "binder": {"public_url": "https://binder.example.org"},
            "private": {"public_url": "https://private.example.org:8443"},
        },
    }
    values: Any = Values(**known)
    assert list(_ports(values)) == [
        ("public URL", "binder.example.org", 443),
        ("public URL", "private.example.org", 8443),
        ("registry", "registry.example.org", 5000),
    ]
    values = Values(**{**known, "site_public_url": "http://binder.example.org", "site_resolved_hubs": {}})
    assert [port for _, _, port in _ports(values)] == [5000]


@pytest.mark.parametrize(
    ("kind", "known"), [("oidc", True), ("github", True), ("native", False), ("none", False)]
)
def test_a_callback_is_shown_where_a_provider_has_to_know_it(kind: str, known: bool) -> None:
    told = "https://binder.example.org/jupyterhub/hub/oauth_callback"
    assert _sign_in({"auth": {"kind": kind}, "callback_url": told}) == {
        "kind": kind,
        "callback_url": told if known else "",
    }
