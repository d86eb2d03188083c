# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The registry of people's images, as values of the BinderHub chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import (
    DOCKER_HUB,
    endpoint,
)

__all__ = ["RegistrySettings", "registry_values"]


@dataclass(frozen=True)
class RegistrySettings:
    """What a site says of its registry."""

    registry_host: str
    registry_prefix: str
    registry_username: str = ""
    registry_password: str = ""
    # The account of sessions, where the registry has one that only pulls.
    registry_pull_username: str = ""
    registry_pull_password: str = ""
    registry_plain_http_enabled: bool = False
    # Empty: what is known of the host.
    registry_token_url: str = ""


def registry_values(settings: RegistrySettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the registry's part of the config and of the secrets.

    Without a `token_url` BinderHub shows its account to the registry itself, and where that sends it on, to whom it names.
    https://github.com/jupyterhub/binderhub/blob/main/binderhub/registry.py

    Raises:
        ValueError: a password is no text. Ansible before 2.19 makes a dictionary of a key file in a template.
    """
    if not all(
        isinstance(text, str) for text in (settings.registry_password, settings.registry_pull_password)
    ):
        raise ValueError(
            "binderhub_registry_password or binderhub_registry_pull_password is no text: put it in quotes, and a key file in "
            "base64, with the account _json_key_base64"
        )
    place = endpoint(
        settings.registry_host, settings.registry_plain_http_enabled, settings.registry_token_url
    )
    asked = {"url": place.api_url, **({"token_url": place.token_url} if place.token_url else {})}
    if place.kind == DOCKER_HUB:
        asked["auth_config_url"] = place.account_key
    config: dict[str, Any] = {
        "registry": {"url": place.account_key, "username": settings.registry_username, "password": ""},
        "config": {
            "BinderHub": {
                "use_registry": True,
                "image_prefix": f"{settings.registry_host}/{settings.registry_prefix}",
            },
            "DockerRegistry": asked,
        },
    }
    secrets: dict[str, Any] = {}
    if settings.registry_username:
        del config["registry"]["password"]
        secrets["registry"] = {"password": settings.registry_password}
    # Sessions pull what builds pushed, by an account of their own where there is one.
    pulling = (settings.registry_username, settings.registry_password)
    if settings.registry_pull_username:
        pulling = (settings.registry_pull_username, settings.registry_pull_password)
    if not pulling[0]:
        return config, secrets
    config["jupyterhub"] = {
        "imagePullSecret": {
            "create": True,
            "automaticReferenceInjection": True,
            "registry": place.pull_key,
            "username": pulling[0],
        }
    }
    return config, {**secrets, "jupyterhub": {"imagePullSecret": {"password": pulling[1]}}}
