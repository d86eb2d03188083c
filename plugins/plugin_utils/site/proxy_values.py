# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The part of the chart's values that leads BinderHub, its build pods and their RUN steps through the site's HTTP proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import has_provider

__all__ = ["ProxySettings", "proxy_values"]

# Docker's client writes these into every build as arguments that leave no trace in the image and its cache.
# https://docs.docker.com/engine/cli/proxy/#configure-the-docker-client
_DOCKER = {"http_proxy": "httpProxy", "https_proxy": "httpsProxy", "no_proxy": "noProxy"}


@dataclass(frozen=True, kw_only=True)
class ProxySettings:
    """What a site says of its proxy: http_proxy, https_proxy and no_proxy, in lower and in upper case."""

    proxy_environment: Mapping[str, str] = field(default_factory=dict)


def proxy_values(settings: ProxySettings, hub: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what may be shown and what may not, as the proxy's URL holds an account or none.

    repo2docker's image writes a Docker configuration with the proxies of its environment only where there is none, and with
    a registry's account there is one: the chart's, which `buildDockerConfig` is merged into.
    https://github.com/jupyterhub/repo2docker/blob/main/docker/entrypoint

    Args:
        settings: the site's.
        hub: the hub. Its own values win; secrets are merged over them by Helm, so what they name is left out there.
    """
    environment = dict(settings.proxy_environment)
    if not environment:
        return {}, {}
    docker = {key: environment[name] for name, key in _DOCKER.items() if name in environment}
    values: dict[str, Any] = {
        # With the first address of the services' range in no_proxy, by which the pod finds the API server.
        "extraEnv": environment,
        "config": {
            "KubernetesBuildExecutor": {"extra_envs": environment},
            "BinderHub": {"buildDockerConfig": {"proxies": {"default": docker}}},
        },
    }
    if has_provider(hub):
        # The hub asks it. Not for http: the hub's own proxy has a name without a dot, which no list of exceptions has.
        told = {name: value for name, value in environment.items() if not name.lower().startswith("http_")}
        values["jupyterhub"] = {"hub": {"extraEnv": told}}
    if not any("@" in value for name, value in environment.items() if name.lower() != "no_proxy"):
        return values, {}
    return {}, _without(values, hub.get("values") or {})


def _without(values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what `own` says too, at whatever depth it is no mapping any more."""
    left: dict[str, Any] = {}
    for key, value in values.items():
        told = own.get(key)
        if key not in own:
            left[key] = value
        elif isinstance(value, Mapping) and isinstance(told, Mapping):
            inner = _without(value, told)
            if inner:
                left[key] = inner
    return left
