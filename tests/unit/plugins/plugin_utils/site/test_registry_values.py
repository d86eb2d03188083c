# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The registry's part of the chart's values, for each kind of registry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_values import (
    RegistrySettings,
    registry_values,
)

KEY = json.dumps({"type": "service_account", "private_key": "-----BEGIN\n\\ü$\n"}, indent=2)


def values(host: str, prefix: str, username: str, password: str = "x", **more: Any) -> tuple[Any, Any]:
    return registry_values(
        RegistrySettings(
            registry_host=host,
            registry_prefix=prefix,
            registry_username=username,
            registry_password=password,
            **more,
        )
    )


@pytest.mark.parametrize(
    ("host", "prefix", "asked", "push_key", "pull_key"),
    [
        (
            "docker.io",
            "org/stfc-",
            {
                "url": "https://registry-1.docker.io",
                "token_url": "https://auth.docker.io/token?service=registry.docker.io",
                "auth_config_url": "https://index.docker.io/v1/",
            },
            "https://index.docker.io/v1/",
            "https://index.docker.io/v1/",
        ),
        (
            "gcr.io",
            "project/stfc-",
            {"url": "https://gcr.io", "token_url": "https://gcr.io/v2/token?service=gcr.io"},
            "https://gcr.io",
            "gcr.io",
        ),
        (
            "us-docker.pkg.dev",
            "project/repository/stfc-",
            {
                "url": "https://us-docker.pkg.dev",
                "token_url": "https://us-docker.pkg.dev/v2/token?service=us-docker.pkg.dev",
            },
            "https://us-docker.pkg.dev",
            "us-docker.pkg.dev",
        ),
        (
            "harbor.example.org",
            "project/stfc-",
            {"url": "https://harbor.example.org"},
            "https://harbor.example.org",
            "harbor.example.org",
        ),
    ],
)
def test_each_kind(host: str, prefix: str, asked: dict[str, str], push_key: str, pull_key: str) -> None:
    config, secrets = values(host, prefix, "user", KEY)
    assert config["config"]["DockerRegistry"] == asked
    assert config["config"]["BinderHub"] == {"use_registry": True, "image_prefix": f"{host}/{prefix}"}
    assert config["registry"] == {"url": push_key, "username": "user"}
    assert config["jupyterhub"]["imagePullSecret"]["registry"] == pull_key
    assert secrets == {"registry": {"password": KEY}, "jupyterhub": {"imagePullSecret": {"password": KEY}}}
    assert "private_key" not in json.dumps(config)


def test_a_token_service_is_told_where_the_site_names_one() -> None:
    url = "https://gitlab.example.org/jwt/auth?service=container_registry"
    config, _ = values("registry.example.org", "group/project/stfc-", "user", registry_token_url=url)
    assert config["config"]["DockerRegistry"] == {"url": "https://registry.example.org", "token_url": url}
    without, _ = values("registry.example.org", "group/project/stfc-", "user")
    assert without["config"]["DockerRegistry"] == {"url": "https://registry.example.org"}


@pytest.mark.parametrize("which", ["registry_password", "registry_pull_password"])
def test_a_key_that_ansible_has_read_is_refused(which: str) -> None:
    """Ansible before 2.19 makes a dictionary of what looks like one; its text would be no JSON any more."""
    given = {"password": "x", which.removeprefix("registry_"): json.loads(KEY)}
    password = given.pop("password")
    more = {"registry_pull_password": given["pull_password"]} if given else {}
    with pytest.raises(ValueError, match="_json_key_base64") as caught:
        values("gcr.io", "project/stfc-", "_json_key", password, **more)
    assert "BEGIN" not in str(caught.value)
