# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The values of the official BinderHub chart for one hub, from the site contract.

Keys: https://github.com/jupyterhub/binderhub/blob/main/helm-chart/binderhub/schema.yaml
and https://z2jh.jupyter.org/en/stable/resources/reference.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import (
    EXAMPLE_OF_CHART,
    is_exact_chart,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.auth_values import SignIn, auth_values
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.launch_values import (
    LaunchSettings,
    launch_arguments,
    launch_secrets,
    launch_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_values import (
    ProxySettings,
    proxy_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.quota_values import (
    QuotaSettings,
    quota_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    host_fault,
    prefix_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_values import (
    RegistrySettings,
    registry_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    describe,
    token_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.session_values import (
    SessionSettings,
    core_values,
    session_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage_values import (
    StorageSettings,
    storage_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.trust_values import (
    TrustSettings,
    builder_arguments,
    trust_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.watch_values import watch_values

__all__ = ["ONE_MANIFEST", "Settings", "ValuesError", "build_token_secret_of", "hub_values", "problems"]

# With its own attestations buildx has an index pushed, and BinderHub asks for a manifest only: it would build at every launch.
# https://docs.docker.com/build/metadata/attestations/
ONE_MANIFEST = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


class ValuesError(ValueError):
    """Values that cannot be computed. Its text names the variable and the remedy."""


@dataclass(frozen=True)
class Settings(
    RegistrySettings,
    SessionSettings,
    QuotaSettings,
    ProxySettings,
    TrustSettings,
    StorageSettings,
    LaunchSettings,
):
    """What all hubs of a site have in common."""

    build_node_selector: Mapping[str, str] = field(default_factory=dict)
    # Empty: the chart's own, which is years old.
    build_image: str = ""
    # As name:tag. Empty: the chart's own.
    hub_image: str = ""
    user_scheduler_replicas: int = 0
    image_cleaner_cordon_enabled: bool = False
    # Of a build that runs; 0 is no bound, as BinderHub has it.
    build_max_age_seconds: int = 14400


def problems(
    hubs: Mapping[str, Any],
    *,
    registry_host: str,
    registry_prefix: str,
    chart_version: str,
    chart_is_path: bool,
    api_tokens: Mapping[str, str],
    proxy_tokens: Mapping[str, str],
) -> list[str]:
    """List what keeps the hubs from being released, one sentence each; never a token's value.

    Args:
        hubs: {name: fields of `hubs.Hub`}.
        registry_host: host or host:port.
        registry_prefix: prefix of the images' names.
        chart_version: the pinned version.
        chart_is_path: whether the chart is a folder or file, which brings its version itself.
        api_tokens: {hub: 32 bytes in hex}.
        proxy_tokens: the same.
    """
    found = []
    for name, value, fault in (
        ("host", registry_host, host_fault(registry_host)),
        ("prefix", registry_prefix, prefix_fault(registry_prefix, registry_host)),
    ):
        if fault or not value:
            told = f"{fault.observed}: {fault.remedy}" if fault else "is empty"
            found.append(f"binderhub_registry_{name} {told}")
    if not (chart_is_path and not chart_version) and not is_exact_chart(chart_version):
        found.append(
            f"binderhub_chart_version is {chart_version!r}: pin one exact version, for example "
            f"{EXAMPLE_OF_CHART!r}; the chart has pre-releases only, so a range finds nothing lasting"
        )
    for variable, tokens in (("api", api_tokens), ("proxy", proxy_tokens)):
        for hub in hubs:
            fault_of_token = token_fault(describe(tokens.get(hub)))
            if fault_of_token:
                found.append(
                    f"binderhub_hub_{variable}_tokens.{hub} {fault_of_token}: run `make site NAME=<site>`, or put "
                    "the output of `openssl rand -hex 32` there in the site's secrets.yml"
                )
    return found


def _builds(settings: Settings, builder: object) -> dict[str, Any]:
    """Return the part about builds. `builder` is the type that the hub's own values name, if any."""
    selector = dict(settings.build_node_selector)
    return {
        "imageBuilderType": "host",
        "config": {
            "KubernetesBuildExecutor": {
                "docker_host": "unix:///var/run/docker.sock",
                "extra_envs": dict(ONE_MANIFEST),
                **({"build_image": settings.build_image} if settings.build_image else {}),
                **({"node_selector": selector} if selector else {}),
            },
            # The chart's image cleaner runs where this points, too.
            "BinderHub": {"build_node_selector": selector} if selector else {},
            "KubernetesCleaner": {"max_age": settings.build_max_age_seconds},
        },
        "imageCleaner": {
            # The host's Docker is pruned by its node, which sees cache too and acts before the kubelet does. The Docker
            # and Podman that the chart brings itself have nobody else.
            "enabled": builder in ("dind", "pink"),
            "cordon": settings.image_cleaner_cordon_enabled,
            "imageGCThresholdType": "relative",
            "imageGCThresholdHigh": 80,
            "imageGCThresholdLow": 60,
        },
    }


def _jupyterhub(hub: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    proxy: dict[str, Any] = {
        # The one LoadBalancer of a hub. MetalLB refuses this field beside its annotation for the same.
        "service": {"type": "LoadBalancer", "loadBalancerIP": hub["floating_ip"]}
    }
    if str(hub["hub_url"]).startswith("https://"):
        proxy["https"] = {"enabled": True, "type": "offload"}
    name, _, tag = settings.hub_image.rpartition(":")
    return {
        "hub": {
            **({"image": {"name": name, "tag": tag}} if settings.hub_image else {}),
            "baseUrl": hub["hub_base_url"],
            "db": {"type": settings.hub_database},
            "config": {
                "BinderSpawner": {"auth_enabled": False},
                # People come in by way of BinderHub, never by a login page.
                "JupyterHub": {"authenticator_class": "null"},
            },
        },
        "proxy": proxy,
    }


def build_token_secret_of(own: Mapping[str, Any], api_token: str, given: str) -> str:
    """Return what BinderHub signs build tokens with, in hexadecimal digits: links in open pages outlive its restart.

    BinderHub's own default is random, at each start and in each replica. A site whose secrets are from before there was
    one gets one out of the hub's API token, which is the same for as long as that is.

    Args:
        own: the hub's `values`, which may name one; then this is empty.
        api_token: what BinderHub shows to the hub.
        given: the site's own for this hub, or empty.
    """
    config = own.get("config")
    told = config.get("BinderHub") if isinstance(config, Mapping) else config
    # Secrets are merged over values, and would win, also over what is no mapping and for the chart to refuse.
    if told is not None and (not isinstance(told, Mapping) or "build_token_secret" in told):
        return ""
    return (
        given or hmac.digest(api_token.encode(), b"ironbinder BinderHub.build_token_secret", "sha256").hex()
    )


def hub_values(
    hub: Mapping[str, Any],
    settings: Settings,
    api_token: str,
    proxy_token: str,
    build_token_secret: str = "",
    *,
    sign_in: SignIn | None = None,
) -> dict[str, dict[str, Any]]:
    """Compute the chart's values of one hub.

    Args:
        hub: the fields of `hubs.Hub`. Its `values` and `secret_values` are merged over everything, last.
        settings: what all hubs share.
        api_token: what BinderHub shows to the hub.
        proxy_token: what the hub shows to its proxy.
        build_token_secret: what BinderHub signs build tokens with, 32 bytes in hex; empty derives it from `api_token`.
        sign_in: what the hub's `auth` takes.

    Returns:
        {"config": values that may be shown, "secrets": values that may not}; Helm merges the two.

    Raises:
        ValueError: the registry's prefix lacks a path level, or something lacks with which people sign in.
    """
    fault = prefix_fault(settings.registry_prefix, settings.registry_host)
    if fault or not settings.registry_prefix:
        told = f"{fault.observed}: {fault.remedy}" if fault else "is empty"
        raise ValuesError(f"binderhub_registry_prefix {told}")
    registry, registry_secrets = registry_values(settings)
    proxied, proxied_secrets = proxy_values(settings, hub)
    signed, signed_secrets = auth_values(hub, sign_in or SignIn())
    config = merge(
        {
            "service": {"type": "NodePort", "nodePort": hub["node_port"]},
            "config": {
                "BinderHub": {
                    "base_url": hub["binder_base_url"],
                    "hub_url": hub["hub_url"],
                    "hub_url_local": hub["hub_url_local"],
                    "auth_enabled": False,
                }
            },
            "jupyterhub": _jupyterhub(hub, settings),
        },
        core_values(settings, settings.user_scheduler_replicas),
        {"jupyterhub": session_values(settings)},
        _builds(settings, (hub.get("values") or {}).get("imageBuilderType")),
        quota_values(settings, hub),
        launch_values(settings),
        registry,
        trust_values(settings),
        watch_values(),
        storage_values(hub, settings),
        proxied,
        signed,
        hub.get("values") or {},
        builder_arguments(settings, hub.get("values") or {}, launch_arguments(settings)),
    )
    signing = build_token_secret_of(hub.get("values") or {}, api_token, build_token_secret)
    secrets = merge(
        {
            "jupyterhub": {
                "hub": {"services": {"binder": {"apiToken": api_token}}},
                "proxy": {"secretToken": proxy_token},
            }
        },
        registry_secrets,
        proxied_secrets,
        launch_secrets(settings),
        signed_secrets,
        {"config": {"BinderHub": {"build_token_secret": signing}}} if signing else {},
        hub.get("secret_values") or {},
    )
    return {"config": config, "secrets": secrets}
