# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about known vulnerabilities of what a site pins."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.base_image import image_fault
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.versions import CHART
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.vulnerabilities import (
    AS_OF,
    HUB_IMAGE,
    NEWEST_HUB_IMAGE,
    hub_image_of_chart,
    hub_programs,
    vulnerabilities_of,
)

IMAGE = "site_hub_image"


def _images(site: Site) -> dict[str, str]:
    """Give the images of the site's hubs, {image: the variable that it comes from}."""
    general = (site.text(IMAGE), IMAGE)
    if not general[0]:
        general = (hub_image_of_chart(site.text(CHART)), CHART)
    found = {}
    for hub in site.hubs.values():
        own = as_mapping(as_mapping(hub).get("values"))
        for key in ("jupyterhub", "hub", "image"):
            own = as_mapping(own.get(key))
        name, tag = as_text(own.get("name")), as_text(own.get("tag"))
        before, _, known = general[0].rpartition(":")
        image = f"{name or before}:{tag or known}"
        found[image] = "site_hubs" if name or tag else general[1]
    return found


@rule("known-vulnerability", WARNING, "The hub's image has known vulnerabilities.")
def known_vulnerability(site: Site) -> Iterator[Problem]:
    for image, variable in _images(site).items():
        known = vulnerabilities_of(image)
        # What is no image has a rule of its own.
        if not known or image_fault(image):
            continue
        newest = f"{HUB_IMAGE}:{NEWEST_HUB_IMAGE}"
        left = len(vulnerabilities_of(newest))
        mended = "mends all" if not left else f"mends all but {left}, and later ones more"
        yield Problem(
            f"brings {image} with JupyterHub {hub_programs(image)['jupyterhub']}, of which {len(known)} are known by {AS_OF}: "
            f"{', '.join(entry.id for entry in known)}",
            f"set {IMAGE} to a later {HUB_IMAGE}: {NEWEST_HUB_IMAGE} {mended}; docs/security.md says what each is about",
            variable,
        )


@rule("hub-image-malformed", ERROR, "The hub's image is none.", acceptable=False)
def hub_image_malformed(site: Site) -> Iterator[Problem]:
    image = site.text(IMAGE)
    if image and (fault := image_fault(image)):
        yield Problem(
            f"{image[:80]!r} {fault}", f"write name:tag, such as {HUB_IMAGE}:{NEWEST_HUB_IMAGE}", IMAGE
        )
