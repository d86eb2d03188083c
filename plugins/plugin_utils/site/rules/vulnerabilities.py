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
# Of a hub.
VALUE = "values.jupyterhub.hub.image"


def _images(site: Site) -> dict[str, str]:
    """Give the images of the site's hubs, {the variable that it comes from: image}."""
    found = {}
    for hub_name, hub in site.hubs.items():
        own_chart = as_text(hub.get("chart_version"))
        variable = f"site_hubs.{hub_name}.chart_version" if own_chart else CHART
        image = hub_image_of_chart(own_chart or site.text(CHART))
        if general := site.text(IMAGE):
            variable, image = IMAGE, general
        own = as_mapping(hub.get("values"))
        for key in ("jupyterhub", "hub", "image"):
            own = as_mapping(own.get(key))
        name, tag = as_text(own.get("name")), str(own.get("tag") or "")
        if name or tag:
            before, _, known = image.rpartition(":")
            variable, image = f"site_hubs.{hub_name}.{VALUE}", f"{name or before}:{tag or known}"
        found[variable] = image
    return found


@rule("known-vulnerability", WARNING, "The hub's image has known vulnerabilities.")
def known_vulnerability(site: Site) -> Iterator[Problem]:
    for variable, image in _images(site).items():
        known = vulnerabilities_of(image)
        # What is no image has a rule of its own.
        if not known or image_fault(image):
            continue
        newest = f"{HUB_IMAGE}:{NEWEST_HUB_IMAGE}"
        left = len(vulnerabilities_of(newest))
        mended = "mends all" if not left else f"mends all but {left}, and later ones more"
        # A hub's own values win over what is set for all.
        where = variable if variable.endswith(VALUE) else IMAGE
        yield Problem(
            f"brings {image} with JupyterHub {hub_programs(image)['jupyterhub']}, of which {len(known)} are known by {AS_OF}: "
            f"{', '.join(entry.id for entry in known)}",
            f"set {where} to a later {HUB_IMAGE}: {NEWEST_HUB_IMAGE} {mended}; docs/security.md says what each is about",
            variable,
        )


@rule("hub-image-malformed", ERROR, "The hub's image is none.", acceptable=False)
def hub_image_malformed(site: Site) -> Iterator[Problem]:
    image = site.text(IMAGE)
    if image and (fault := image_fault(image)):
        yield Problem(
            f"{image[:80]!r} {fault}", f"write name:tag, such as {HUB_IMAGE}:{NEWEST_HUB_IMAGE}", IMAGE
        )
