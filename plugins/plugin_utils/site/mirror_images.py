# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which images a site's mirror lacks, asked as containerd does, and which images its hubs have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifact_list import (
    image_place,
    site_artifacts,
    upstream_and_mirrored,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_files import (
    Chart,
    ChartError,
    ChartSource,
    Get,
    load_chart,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_images import hub_images
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import HubError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_int,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import LOCAL

__all__ = ["AskImage", "Find", "absent_images", "hubs_by_chart", "images_of_hubs", "look_at_mirror"]

# More than the largest site has, and as many at a time as no mirror minds.
MOST_IMAGES, AT_ONCE = 100, 8

# Gives the status of a manifest's URL. Raises HttpFailure.
AskImage = Callable[[str], int]
# Gives a variable of the contract, computed; an empty text where it cannot be.
Find = Callable[[str], Any]


def images_of_hubs(find: Find, get: Get, *, upstream_too: bool) -> tuple[dict[str, str], list[str]]:
    """Give the images of a site's hubs and of their storage, {name:tag: what it is for}, and why they are not known.

    Args:
        find: gives a variable of the contract.
        get: gives a URL's content, and may raise anything.
        upstream_too: read the chart where its project has it, where the site's mirror does not.
    """
    repository = as_text(find("site_binderhub_chart_repository"))
    places = [repository]
    if upstream_too:
        mirror = as_text(find("artifact_mirror_url")).rstrip("/")
        places.append(upstream_and_mirrored(repository, mirror)[0])
    name = as_text(find("site_binderhub_chart"))
    found, notes = _of_storage(find), []
    for version, hubs in hubs_by_chart(find).items():
        try:
            chart = _read([ChartSource(place, name, version) for place in dict.fromkeys(places)], get)
        except ChartError as error:
            notes.append(f"images of the hubs {', '.join(hubs)}: the chart was not read, as {error}")
            continue
        for hub, told in hubs.items():
            try:
                found |= hub_images(
                    chart,
                    hub,
                    told,
                    user_scheduler_replicas=as_int(find("site_user_scheduler_replicas")),
                    hub_image=as_text(find("site_hub_image")),
                )
            except HubError as error:
                notes.append(f"images of the hub {hub}: its values were not read, as {error}")
            except (
                Exception
            ) as error:  # values have more shapes than anybody thinks of; the text may hold one of them
                reason = f"they cannot be computed ({type(error).__name__})"
                notes.append(f"images of the hub {hub}: its values were not read, as {reason}")
    return found, notes


def hubs_by_chart(find: Find) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Give the hubs of each version of the chart, the site's or one of their own: {version: {hub: its entry}}."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, hub in as_mapping(find("site_hubs")).items():
        told = as_mapping(hub)
        version = as_text(told.get("chart_version")) or as_text(find("site_binderhub_chart_version"))
        found.setdefault(version, {})[name] = told
    return found


def _of_storage(find: Find) -> dict[str, str]:
    told = as_mapping(find("site_storage"))
    if told.get("kind") != LOCAL:
        return {}
    helper = as_text(told.get("helper_image")) or as_text(find("site_local_path_helper_image"))
    provisioner = f"docker.io/rancher/local-path-provisioner:v{as_text(find('site_local_path_version'))}"
    return {provisioner: "volumes", helper: "folders of volumes"}


def _read(sources: Sequence[ChartSource], get: Get) -> Chart:
    """Read the chart from the first place that has it. Raises ChartError with what the first place said."""
    faults = []
    for source in sources:
        try:
            return load_chart(source, get)
        except ChartError as error:
            faults.append(error)
    raise faults[0]


def absent_images(images: Iterable[str], endpoints: Mapping[str, Any], ask: AskImage) -> dict[str, str]:
    """Give the images that a mirror says it does not have, {name:tag: the URL that was asked}.

    Nothing is said of images where the mirror cannot be reached: other rules tell that once.

    Args:
        images: their names.
        endpoints: {registry: URL below which the mirror has its images}, as containerd is told. Others are not asked for.
        ask: gives the status of a manifest.
    """
    urls = {}
    for image in images:
        host, path, reference = image_place(image)
        if endpoint := as_text(endpoints.get(host)).rstrip("/"):
            urls[image] = f"{endpoint}/{path}/manifests/{reference}"
    lost = Event()

    def status(url: str) -> int:
        if lost.is_set():
            return 0
        try:
            return ask(url)
        except HttpFailure:
            lost.set()
            return 0

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        asked = dict(zip(urls, pool.map(status, list(urls.values())[:MOST_IMAGES])))
    # Whatever else a mirror answers, a login asked for say, is no word about the image.
    return {} if lost.is_set() else {image: urls[image] for image, told in asked.items() if told == 404}


def look_at_mirror(find: Find, get: Get, ask: AskImage) -> dict[str, Any]:
    """Ask a site's mirror for every image of its pins and hubs: `absent` {image: URL}. Never raises."""
    if as_text(find("artifact_source")) != "mirror" or not as_text(find("artifact_mirror_url")):
        return {"absent": {}}
    # Where the head talks to the cluster, the controller need not reach the mirror.
    if as_text(find("site_kubernetes_client_host")) not in ("", "localhost"):
        return {"absent": {}}
    try:
        hubs, _ = images_of_hubs(find, get, upstream_too=False)
        listed, _ = site_artifacts(lambda name: as_text(find(name)), hubs, [], [])
        images = [entry.name for entry in listed if entry.kind == "image"]
        return {"absent": absent_images(images, as_mapping(find("site_image_mirrors")), ask)}
    except (
        Exception
    ) as error:  # values have more shapes than anybody thinks of, and others tell what is wrong
        return {"absent": {}, "error": type(error).__name__}
