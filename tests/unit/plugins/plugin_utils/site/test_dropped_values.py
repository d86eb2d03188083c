# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs' own values that end sections of Ironbinder's, and those that only change a value."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.dropped_values import dropped_values
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site

SECRET = "s3cr3t-0f-4-unit-test"
SITE: dict[str, Any] = {
    "site_registry_host": "registry.example.org",
    "site_registry_prefix": "binder/site-",
    "site_registry_username": "builder",
}
OIDC = {"kind": "oidc", "issuer": "https://idp.example.org", "client_id": "binder", "allow_all": True}
NATIVE = {"auth": {"kind": "native"}}


def dropped(hub: Any, proxies: dict[str, str] | None = None, **site: Any) -> list[str]:
    """The paths of one hub."""
    found = dropped_values(
        Site.from_data({"values": {**SITE, **site}}), {"binder": hub}, proxies if proxies is not None else {}
    )
    assert {entry["hub"] for entry in found} <= {"binder"}
    assert SECRET not in str(found)
    return [entry["path"] for entry in found]


@pytest.mark.parametrize("auth", [{}, NATIVE, {"auth": OIDC}], ids=["open", "native", "oidc"])
@pytest.mark.parametrize("section", ["values", "secret_values"])
@pytest.mark.parametrize(
    ("own", "path"),
    [
        ({"jupyterhub": None}, "jupyterhub"),
        ({"jupyterhub": SECRET}, "jupyterhub"),
        ({"jupyterhub": [SECRET]}, "jupyterhub"),
        ({"jupyterhub": {"hub": None}}, "jupyterhub.hub"),
        ({"jupyterhub": {"hub": {"config": None}}}, "jupyterhub.hub.config"),
        ({"jupyterhub": {"hub": {"config": {"JupyterHub": False}}}}, "jupyterhub.hub.config.JupyterHub"),
        ({"config": None}, "config"),
        ({"config": {"BinderHub": None}}, "config.BinderHub"),
        ({"config": {"BinderHub": SECRET}}, "config.BinderHub"),
    ],
)
def test_what_ends_a_section(auth: dict[str, Any], section: str, own: dict[str, Any], path: str) -> None:
    """Once, where it stands."""
    assert dropped({**auth, section: own}) == [f"{section}.{path}"]


@pytest.mark.parametrize("section", ["values", "secret_values"])
@pytest.mark.parametrize(
    "own",
    [
        {},
        None,
        SECRET,
        {"jupyterhub": {}},
        {"jupyterhub": {"hub": {"config": {}}}},
        {"jupyterhub": {"hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}}}},
        {"jupyterhub": {"hub": {"config": {"JupyterHub": {"authenticator_class": None}}}}},
        {"jupyterhub": {"hub": {"db": {"type": None}}}},
        {"jupyterhub": {"singleuser": {"cmd": None, "extraFiles": None}}},
        {"config": {"GitHubRepoProvider": None, "BinderHub": {"template_path": None}}},
        {"replicas": None, "zzz": SECRET, 7: {}},
    ],
)
def test_what_changes_a_value(section: str, own: Any) -> None:
    assert dropped({**NATIVE, section: own}) == []


def test_secrets_survive_values() -> None:
    """They are merged over them, so that a null below ends nothing where all that is there is secret."""
    services = {"jupyterhub": {"hub": {"services": None}}}
    assert dropped({"values": services}) == []
    assert dropped({"secret_values": services}) == ["secret_values.jupyterhub.hub.services"]
    assert dropped({**NATIVE, "values": services}) == ["values.jupyterhub.hub.services"]


def test_both_sections_and_their_words() -> None:
    hub = {"values": {"config": None, "zzz": 1}, "secret_values": {"jupyterhub": {"proxy": SECRET}}, **NATIVE}
    told = dropped_values(Site.from_data({"values": SITE}), {"a": {}, "b": hub, "c": None, "d": 7}, {})
    assert [(entry["hub"], entry["path"]) for entry in told] == [
        ("b", "values.config"),
        ("b", "secret_values.jupyterhub.proxy"),
    ]
    first, second = (entry["message"] for entry in told)
    assert first.startswith("is empty, which drops everything that Ironbinder sets there: BinderHub, ")
    assert first.endswith(" and more")
    assert second.startswith("is no mapping, which drops everything that Ironbinder sets there: ")
    assert second.endswith(", secretToken")


def test_a_section_is_ours_where_the_site_sets_something_in_it() -> None:
    own = {"values": {"config": {"GitHubRepoProvider": None}, "extraEnv": None}}
    assert dropped(own) == []
    assert dropped(own, site_banned_specs={"gh": ["^spam/"]}) == ["values.config.GitHubRepoProvider"]
    assert dropped(own, {"http_proxy": "http://192.0.2.9:3128"}) == ["values.extraEnv"]
    assert dropped(own, {"http_proxy": f"http://me:{SECRET}@192.0.2.9:3128"}) == ["values.extraEnv"]
    assert dropped(own, site_ca_files=["/etc/ca.pem"]) == ["values.extraEnv"]


@pytest.mark.parametrize(
    ("site", "hub"),
    [
        ({"site_registry_prefix": "flat"}, NATIVE),
        ({"site_banned_specs": {"nobody": ["x"]}}, NATIVE),
        ({"site_total_quota": "many", "site_storage": []}, NATIVE),
        ({}, {**NATIVE, "node_port": "x", "unknown": 1}),
        ({}, {"auth": {"kind": "magic"}}),
        ({}, {"auth": SECRET}),
    ],
)
def test_a_site_that_is_wrong_elsewhere(site: dict[str, Any], hub: dict[str, Any]) -> None:
    own = {"values": {"jupyterhub": {"hub": {"config": None}}}}
    assert dropped({**hub, **own}, **site) == ["values.jupyterhub.hub.config"]


@pytest.mark.parametrize("odd", [None, [], SECRET, 7, {"binder": [SECRET]}])
def test_hubs_that_are_none(odd: Any) -> None:
    assert dropped_values(Site.from_data({"values": SITE}), odd, {}) == []
