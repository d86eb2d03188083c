# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which images a chart's pods have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_files import Chart, find_chart
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_images import (
    chart_images,
    hub_images,
)

ROOT = Path(__file__).parents[5]


def image(name: str, tag: str) -> dict[str, str]:
    """An image as charts write it."""
    return {"name": name, "tag": tag}


# As the official charts have them: a chart of its own for JupyterHub, whose defaults BinderHub's overrides.
JUPYTERHUB = {
    "hub": {"image": image("q/k8s-hub", "4")},
    "proxy": {
        "chp": {"image": image("q/chp", "5")},
        "traefik": {"image": image("traefik", "v3")},
        "secretSync": {"image": image("q/secret-sync", "4")},
        "https": {"enabled": False, "type": "letsencrypt"},
    },
    "singleuser": {
        "image": image("q/sample", "4"),
        "networkTools": {"image": image("q/tools", "4")},
        "cloudMetadata": {"blockWithIptables": True},
    },
    "scheduling": {
        "userScheduler": {"enabled": True, "image": image("r/kube-scheduler", "v1")},
        "userPlaceholder": {"enabled": True, "image": image("r/pause", "3")},
        "podPriority": {"enabled": False},
    },
    "prePuller": {
        "hook": {"enabled": True, "image": image("q/awaiter", "4")},
        "continuous": {"enabled": True},
        "pause": {"image": image("r/pause", "3")},
    },
}
CHART = Chart(
    {
        "image": image("q/k8s-binderhub", "1"),
        "imageBuilderType": "host",
        "imageCleaner": {"enabled": True, "image": image("q/cleaner", "1")},
        "dind": {"daemonset": {"image": image("docker", "28")}},
        "pink": {"daemonset": {"image": image("q/podman", "v5")}},
        "jupyterhub": {"prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}}},
    },
    None,
    (("jupyterhub", "", Chart(JUPYTERHUB, None)),),
)
PLAIN = {"q/k8s-binderhub:1", "q/k8s-hub:4", "q/chp:5"}


def names(hub: dict[str, Any] | None = None, schedulers: int = 0, hub_image: str = "") -> set[str]:
    """Images of one hub."""
    return set(
        hub_images(CHART, "binder", hub or {}, user_scheduler_replicas=schedulers, hub_image=hub_image)
    )


def test_what_a_hub_has_and_no_more() -> None:
    assert names() == PLAIN


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ({"imageBuilderType": "dind"}, {"docker:28", "q/cleaner:1"}),
        ({"imageBuilderType": "pink"}, {"q/podman:v5", "q/cleaner:1"}),
        (
            {"jupyterhub": {"proxy": {"https": {"enabled": True, "type": "letsencrypt"}}}},
            {"traefik:v3", "q/secret-sync:4"},
        ),
        (
            {"jupyterhub": {"singleuser": {"cloudMetadata": {"blockWithIptables": True}}}},
            {"q/tools:4"},
        ),
        (
            {"jupyterhub": {"prePuller": {"hook": {"enabled": True}}}},
            {"q/awaiter:4", "q/sample:4", "r/pause:3"},
        ),
        ({"jupyterhub": {"scheduling": {"podPriority": {"enabled": True}}}}, {"r/pause:3"}),
    ],
)
def test_what_a_hubs_own_values_bring(values: dict[str, Any], more: set[str]) -> None:
    assert names({"values": values}) == PLAIN | more


def test_what_the_site_brings() -> None:
    assert names(schedulers=2) == PLAIN | {"r/kube-scheduler:v1"}
    assert names(hub_image="x.org/hub:2") == PLAIN - {"q/k8s-hub:4"} | {"x.org/hub:2"}


def test_charts_without_a_tag() -> None:
    assert chart_images(Chart({"image": {"name": "q/x"}}, None), {}) == {"q/x": "BinderHub"}


def test_of_the_labs_chart() -> None:
    chart = find_chart(str(ROOT / "lab/chart"), "binderhub", "")
    found = hub_images(chart, "binder", {}, user_scheduler_replicas=0, hub_image="")
    assert sorted(name.rpartition("/")[2].partition(":")[0] for name in found) == [
        "configurable-http-proxy",
        "k8s-binderhub",
        "k8s-hub",
    ]
