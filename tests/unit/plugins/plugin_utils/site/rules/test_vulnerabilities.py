# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/vulnerabilities.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import Case, case, found, good_site, rules_in, texts, value

IMAGE, CHART = "site_hub_image", "site_binderhub_chart_version"
KNOWN, MALFORMED = "known-vulnerability", "hub-image-malformed"
OWN = f"values/{IMAGE}"
CASES = [
    value("the pinned chart's own image", IMAGE, "", (KNOWN, CHART, "")),
    value("an image that mends half", IMAGE, "quay.io/jupyterhub/k8s-hub:4.3.3", (KNOWN, IMAGE, "")),
    value(
        "the same from the site's own registry", IMAGE, "r.example.org/x/k8s-hub:4.3.3", (KNOWN, IMAGE, "")
    ),
    value("an image that nobody knows", IMAGE, "r.example.org/x/hub:1"),
    case(
        "a chart that nobody knows",
        {OWN: "", f"values/{CHART}": "1.0.0-0.dev.git.4400.h383374de", "controller/chart/versions": []},
    ),
    case(
        "the image of one hub",
        {"values/site_hubs": {"binder": {"values": {"jupyterhub": {"hub": {"image": {"tag": "4.2.0"}}}}}}},
        (KNOWN, "site_hubs", ""),
    ),
    case(
        "a hub that mends the chart's by itself",
        {
            OWN: "",
            "values/site_hubs": {"binder": {"values": {"jupyterhub": {"hub": {"image": {"tag": "9.1.0"}}}}}},
        },
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
