# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Images that a chart's pods have, by the chart's own values and a hub's.

Keys: https://github.com/jupyterhub/binderhub/blob/main/helm-chart/binderhub/values.yaml and
https://z2jh.jupyter.org/en/stable/resources/reference.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_files import Chart
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_schema import (
    SETTINGS,
    TOKEN,
    coalesce,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import hub_values
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, as_text

__all__ = ["chart_images", "hub_images"]

Values = Mapping[str, Any]


def _at(values: Values, way: str) -> Any:
    found: Any = values
    for key in way.split("."):
        found = as_mapping(found).get(key)
    return found


def _always(_: Values) -> bool:
    return True


def _on(way: str) -> Callable[[Values], bool]:
    return lambda values: _at(values, way) is True


def _automatic_https(values: Values) -> bool:
    https = as_mapping(_at(values, "jupyterhub.proxy.https"))
    return https.get("enabled") is True and https.get("type") == "letsencrypt"


def _pulls_before(values: Values) -> bool:
    ways = ("jupyterhub.prePuller.hook.enabled", "jupyterhub.prePuller.continuous.enabled")
    return any(_at(values, way) is True for way in ways)


def _holds_places(values: Values) -> bool:
    placeholder = as_mapping(_at(values, "jupyterhub.scheduling.userPlaceholder"))
    return (
        _at(values, "jupyterhub.scheduling.podPriority.enabled") is True
        and placeholder.get("enabled") is not False
    )


def _builds_in(kind: str) -> Callable[[Values], bool]:
    return lambda values: values.get("imageBuilderType") == kind


# Where each image stands, what it is for, and when a pod has it. BinderHub names the image of every session.
_IMAGES: tuple[tuple[str, str, Callable[[Values], bool]], ...] = (
    ("image", "BinderHub", _always),
    ("jupyterhub.hub.image", "JupyterHub", _always),
    ("jupyterhub.proxy.chp.image", "the hub's proxy", _always),
    ("jupyterhub.proxy.traefik.image", "certificates of the chart's own", _automatic_https),
    ("jupyterhub.proxy.secretSync.image", "certificates of the chart's own", _automatic_https),
    (
        "jupyterhub.singleuser.networkTools.image",
        "sessions' init containers",
        _on("jupyterhub.singleuser.cloudMetadata.blockWithIptables"),
    ),
    ("jupyterhub.singleuser.image", "images that are pulled before they are needed", _pulls_before),
    (
        "jupyterhub.scheduling.userScheduler.image",
        "user-schedulers",
        _on("jupyterhub.scheduling.userScheduler.enabled"),
    ),
    ("jupyterhub.scheduling.userPlaceholder.image", "places held for sessions", _holds_places),
    (
        "jupyterhub.prePuller.hook.image",
        "images that are pulled before they are needed",
        _on("jupyterhub.prePuller.hook.enabled"),
    ),
    ("jupyterhub.prePuller.pause.image", "images that are pulled before they are needed", _pulls_before),
    ("imageCleaner.image", "the chart's image cleaner", _on("imageCleaner.enabled")),
    ("dind.daemonset.image", "builds in the chart's Docker", _builds_in("dind")),
    ("pink.daemonset.image", "builds in the chart's Podman", _builds_in("pink")),
)


def chart_images(chart: Chart, values: Values) -> dict[str, str]:
    """Give the images of a chart's pods, {name:tag: what it is for}.

    Args:
        chart: BinderHub's, with its subcharts.
        values: what helm is given for it.
    """
    whole = coalesce(values, chart.defaults)
    for key, _, subchart in chart.subcharts:
        whole[key] = coalesce(as_mapping(whole.get(key)), subchart.defaults)
    found: dict[str, str] = {}
    for way, used_for, is_used in _IMAGES:
        image = as_mapping(_at(whole, way))
        name, tag = as_text(image.get("name")), str(image.get("tag") or "")
        if name and is_used(whole):
            found.setdefault(f"{name}:{tag}" if tag else name, used_for)
    return found


def hub_images(
    chart: Chart, name: str, hub: Mapping[str, Any], *, user_scheduler_replicas: int, hub_image: str
) -> dict[str, str]:
    """Give the images of one hub of `site_hubs`, with the values that role binderhub hands to helm for it.

    Raises:
        HubError: the hub cannot be resolved.
        Exception: whatever comes of values that no chart takes.
    """
    settings = replace(SETTINGS, user_scheduler_replicas=user_scheduler_replicas, hub_image=hub_image)
    # Signing in brings no image, and takes secrets and a provider's answer, which nobody has here.
    told = {key: value for key, value in hub.items() if key != "auth"}
    entry = resolve_hubs({name: told}, "https://hub.example.org", "192.0.2.1")[name]
    values = hub_values(entry, settings, TOKEN, TOKEN)
    return chart_images(chart, merge(values["config"], values["secrets"]))
