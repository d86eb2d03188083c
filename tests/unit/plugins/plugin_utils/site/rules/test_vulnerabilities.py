# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/vulnerabilities.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.vulnerabilities import HUB_IMAGE
from site_cases import Case, case, found, good_site, rules_in, texts, value

IMAGE, CHART = "site_hub_image", "site_binderhub_chart_version"
KNOWN, MALFORMED = "known-vulnerability", "hub-image-malformed"
OWN, HUBS, VERSIONS = f"values/{IMAGE}", "values/site_hubs", "controller/chart/versions"
VALUE = "site_hubs.binder.values.jupyterhub.hub.image"
OLD, UNKNOWN = "1.0.0-0.dev.git.3524.h1234567", "1.0.0-0.dev.git.4400.h383374de"


def tag(value: object) -> dict[str, Any]:
    """A hub whose own values name a tag of the hub's image."""
    return {"values": {"jupyterhub": {"hub": {"image": {"tag": value}}}}}


CASES = [
    value("the pinned chart's own image", IMAGE, "", (KNOWN, CHART, "")),
    value("an image that mends half", IMAGE, "quay.io/jupyterhub/k8s-hub:4.3.3", (KNOWN, IMAGE, "")),
    value(
        "the same from the site's own registry", IMAGE, "r.example.org/x/k8s-hub:4.3.3", (KNOWN, IMAGE, "")
    ),
    value("an image that nobody knows", IMAGE, "r.example.org/x/hub:1"),
    case(
        "a chart that nobody knows",
        {OWN: "", f"values/{CHART}": UNKNOWN, VERSIONS: []},
    ),
    value("an image by tag and digest", IMAGE, f"{HUB_IMAGE}:4.3.3@sha256:{'a' * 64}", (KNOWN, IMAGE, "")),
    value("an image by digest alone", IMAGE, f"{HUB_IMAGE}@sha256:{'a' * 64}"),
    case("the image of one hub", {HUBS: {"binder": tag("4.2.0")}}, (KNOWN, VALUE, "")),
    case("a hub that mends the chart's by itself", {OWN: "", HUBS: {"binder": tag("9.1.0")}}),
    case("a tag that YAML reads as a number", {OWN: "", HUBS: {"binder": tag(9.1)}}),
    case(
        "a hub with a chart of its own",
        {OWN: "", f"values/{CHART}": UNKNOWN, HUBS: {"binder": {"chart_version": OLD}}, VERSIONS: []},
        (KNOWN, "site_hubs.binder.chart_version", ""),
    ),
    case(
        "a site's chart that no hub has",
        {OWN: "", f"values/{CHART}": OLD, HUBS: {"binder": {"chart_version": UNKNOWN}}, VERSIONS: []},
    ),
    case(
        "an image for all, and a hub with a chart of its own",
        {HUBS: {"binder": {"chart_version": OLD}}, VERSIONS: []},
    ),
    value("no tag", IMAGE, "quay.io/jupyterhub/k8s-hub", (MALFORMED, IMAGE, "")),
    value("a URL", IMAGE, "https://quay.io/jupyterhub/k8s-hub:4.4.0", (MALFORMED, IMAGE, "")),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("vulnerabilities") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_the_remedy_names_what_mends_it() -> None:
    site = good_site()
    site["values"][IMAGE] = ""
    [text] = texts(site, KNOWN)
    assert "k8s-hub:4.2.0 with JupyterHub 5.3.0" in text
    assert "CVE-2026-33709, CVE-2026-33175" in text
    assert "set site_hub_image to a later quay.io/jupyterhub/k8s-hub: 4.4.0 mends all but" in text


def test_each_hub_is_judged_by_its_own_chart() -> None:
    site = good_site()
    site["values"][IMAGE] = ""
    site["values"]["site_hubs"] = {"binder": {}, "old": {"chart_version": OLD}}
    one, other = texts(site, KNOWN)
    assert "k8s-hub:4.2.0 with" in one
    assert "k8s-hub:4.0.0 with" in other


def test_the_remedy_for_a_hubs_own_image_is_there() -> None:
    """Values win, so what is set for all has no effect."""
    site = good_site()
    site["values"]["site_hubs"] = {"binder": tag("4.2.0")}
    [text] = texts(site, KNOWN)
    assert f"set {VALUE} to a later quay.io/jupyterhub/k8s-hub: 4.4.0 mends" in text
    assert IMAGE not in text
