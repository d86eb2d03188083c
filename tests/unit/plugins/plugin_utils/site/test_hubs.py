# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The defaults and the URLs of several hubs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import HubError, resolve_hubs

URL = "https://binder.example.org"
POOL = "192.0.2.101-192.0.2.104"
# What hubs are told of their own; a site that was made before names none of it.
OWN = (
    "public_url",
    "tls_certificate_file",
    "tls_key_file",
    "chart_version",
    "verify",
    "total_quota",
    "per_repo_quota",
    "parallel_builds",
)


def urls(hubs: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Give BinderHub's and JupyterHub's URL of each hub."""
    return {name: (hub["binder_url"], hub["hub_url"]) for name, hub in resolve_hubs(hubs, URL, POOL).items()}


def test_the_first_hub_of_each_host_has_the_short_paths() -> None:
    other = "https://private.example.org"
    told = urls(
        {
            "a": None,
            "b": {"public_url": f"{other}/"},
            "c": {},
            "d": {"public_url": "https://PRIVATE.example.org"},
        }
    )
    assert told == {
        "a": (f"{URL}/binderhub/", f"{URL}/jupyterhub/"),
        "b": (f"{other}/binderhub/", f"{other}/jupyterhub/"),
        "c": (f"{URL}/c/binderhub/", f"{URL}/c/jupyterhub/"),
        "d": ("https://PRIVATE.example.org/d/binderhub/", "https://PRIVATE.example.org/d/jupyterhub/"),
    }


def test_paths_that_are_named_stay() -> None:
    named = {"public_url": "https://b.example.org", "binder_base_url": "/"}
    assert urls({"a": {}, "b": named})["b"] == ("https://b.example.org/", "https://b.example.org/jupyterhub/")


def test_a_site_of_before_keeps_its_hubs_and_its_values() -> None:
    """The values for the chart are those of a hub that knows nothing of what is new."""
    hubs = resolve_hubs({"binder": {}, "second": {"node_port": "30600"}}, URL, POOL)
    assert [hub["binder_url"] for hub in hubs.values()] == [f"{URL}/binderhub/", f"{URL}/second/binderhub/"]
    assert [(hub["floating_ip"], hub["node_port"]) for hub in hubs.values()] == [
        ("192.0.2.101", 30585),
        ("192.0.2.102", 30600),
    ]
    settings = Settings(
        registry_host="registry.example.org",
        registry_prefix="binder/x-",
        total_quota=90,
        per_repo_quota=45,
        parallel_builds=8,
        hub_count=2,
    )
    for hub in hubs.values():
        before = {key: value for key, value in hub.items() if key not in OWN}
        assert hub_values(hub, settings, "a" * 64, "b" * 64) == hub_values(
            before, settings, "a" * 64, "b" * 64
        )


def test_what_a_hub_names_is_given_on() -> None:
    given = {"chart_version": "1.0.0-1", "total_quota": "7", "per_repo_quota": 0, "verify": {"spec": "a/b/c"}}
    hub = resolve_hubs({"a": given}, URL, POOL)["a"]
    assert [hub[key] for key in ("chart_version", "total_quota", "per_repo_quota", "parallel_builds")] == [
        "1.0.0-1",
        7,
        0,
        None,
    ]
    assert hub["verify"] == {"spec": "a/b/c"}
    assert hub["public_url"] == URL


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(HubError, match="tls_file"):
        resolve_hubs({"a": {"tls_file": "x"}}, URL, POOL)
