# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter import (
    binderhub_problems,
    binderhub_values,
    build_token_secrets,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import (
    chart_values as _binderhub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs

HUB = resolve_hubs({"binder": {}}, "http://proxy.example.org", "192.0.2.10")["binder"]


def test_values_come_through() -> None:
    result = binderhub_values.FilterModule().filters()["binderhub_values"](
        HUB, api_token="a", proxy_token="b", registry_host="r", registry_prefix="x/y-"
    )
    assert set(result) == {"config", "secrets"}


def test_the_build_token_secret_comes_through() -> None:
    common = {"api_token": "a", "proxy_token": "b", "registry_host": "r", "registry_prefix": "x/y-"}
    result = binderhub_values.binderhub_values(HUB, build_token_secret="c" * 64, **common)
    assert result["secrets"]["config"]["BinderHub"]["build_token_secret"] == "c" * 64


def test_launches_sign_by_what_binderhub_has() -> None:
    """Where the site gave one, and where it is derived; hubs with sign-in and hubs with words of their own are left out."""
    hubs = resolve_hubs(
        {
            "binder": {},
            "course": {},
            "private": {"auth": {"kind": "native"}},
            "own": {"values": {"config": {"BinderHub": {"build_token_secret": "d"}}}},
        },
        "http://proxy.example.org",
        "192.0.2.10-192.0.2.20",
    )
    tokens = dict.fromkeys(hubs, "a" * 64)
    found = build_token_secrets.build_token_secrets(hubs, tokens, {"course": "c" * 64})
    common = {"proxy_token": "b", "registry_host": "r", "registry_prefix": "x/y-"}
    released = binderhub_values.binderhub_values(HUB, api_token="a" * 64, **common)["secrets"]
    assert found == {
        "binder": released["config"]["BinderHub"]["build_token_secret"],
        "course": "c" * 64,
    }
    assert build_token_secrets.build_token_secrets(hubs, {}) == {}


@pytest.mark.parametrize(
    ("hub", "more"),
    [
        (HUB, {"registry_prefix": "x"}),
        (HUB, {"registry_prefix": "x/y", "nope": 1}),
        ({}, {"registry_prefix": "x/y"}),
    ],
)
def test_errors_are_ansibles(hub: dict[str, Any], more: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="binderhub_values"):
        binderhub_values.binderhub_values(hub, api_token="a", proxy_token="b", registry_host="r", **more)


def test_problems_come_through() -> None:
    good = {"registry_host": "r", "chart_version": "1.0.0", "api_tokens": {}, "proxy_tokens": {}}
    (found,) = binderhub_problems.FilterModule().filters()["binderhub_problems"](
        {}, registry_prefix="x", **good
    )
    assert "binderhub_registry_prefix" in found
    with pytest.raises(AnsibleFilterError, match="binderhub_problems"):
        binderhub_problems.binderhub_problems({}, nope=1)


def test_what_is_documented_is_what_is_taken() -> None:
    documented = set(yaml.safe_load(binderhub_values.DOCUMENTATION)["options"]) - {
        "_input",
        "api_token",
        "proxy_token",
        "build_token_secret",
        "auth_secrets",
        "verify_token",
        "auth_endpoints",
    }
    assert documented == {field.name for field in fields(_binderhub_values.Settings)}
    documented = set(yaml.safe_load(binderhub_problems.DOCUMENTATION)["options"]) - {"_input"}
    assert documented == set(inspect.signature(_binderhub_values.problems).parameters) - {"hubs"}
