# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/artifacts.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import DAY, NOW, Case, case, found, good_site, packages, rules_in, texts, value

CASES = [
    value("no mirror URL", "artifact_mirror_url", "", ("mirror-url-missing", "artifact_mirror_url", "")),
    value(
        "mirror without scheme",
        "artifact_mirror_url",
        "mirror.example.org",
        ("mirror-url-malformed", "artifact_mirror_url", ""),
    ),
    value(
        "mirror with a slash",
        "artifact_mirror_url",
        "https://192.0.2.41/",
        ("mirror-url-malformed", "artifact_mirror_url", ""),
    ),
    value("mirror not used", "artifact_source", "upstream", ("mirror-url-unused", "artifact_mirror_url", "")),
    case(
        "mirror is down",
        packages(error="refused", detail="refused"),
        ("mirror-unreachable", "artifact_mirror_url", "worker1"),
    ),
    case(
        "mirror of another CA",
        packages(error="untrusted", detail="self-signed"),
        ("mirror-not-trusted", "site_ca_files", "worker1"),
    ),
    case("no mirror there", packages(status=404), ("mirror-is-none", "artifact_mirror_url", "worker1")),
    case("slow mirror", packages(status=200, seconds=9.0), ("mirror-slow", "artifact_mirror_url", "worker1")),
    case(
        "no way out",
        {
            **packages(error="resolve", detail="x"),
            "values/artifact_source": "upstream",
            "values/artifact_mirror_url": "",
        },
        ("upstream-unreachable", "artifact_source", "worker1"),
    ),
    value(
        "Docker mirror with a path",
        "site_docker_hub_mirrors",
        ["https://m.example.org/v2"],
        ("docker-mirror-malformed", "site_docker_hub_mirrors", ""),
    ),
    value(
        "Docker mirror without scheme",
        "site_docker_hub_mirrors",
        ["m.example.org"],
        ("docker-mirror-malformed", "site_docker_hub_mirrors", ""),
    ),
    case(
        "CA file missing",
        {"controller/ca_files/ca.crt": {"error": "No such file"}},
        ("ca-file-unreadable", "site_ca_files", ""),
    ),
    case(
        "CA expired",
        {"controller/ca_files/ca.crt": {"not_after": NOW - DAY}},
        ("ca-expired", "site_ca_files", ""),
    ),
    case(
        "a mirror without an image",
        {"controller/images": {"absent": {"quay.io/x/y:1": "https://192.0.2.41/v2/quay.io/x/y/manifests/1"}}},
        ("image-absent", "artifact_mirror_url", ""),
    ),
    case("a mirror with all of them", {"controller/images": {"absent": {}}}),
    value(
        "time server as URL",
        "site_ntp_servers",
        ["ntp://time.example.org"],
        ("ntp-server-malformed", "site_ntp_servers", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("artifacts") <= {rule for entry in CASES for rule, _, _ in entry.expected}


def test_many_images_are_one_finding_and_not_a_page() -> None:
    site = good_site()
    site["controller"]["images"] = {"absent": {f"quay.io/x/y:{number}": "u" for number in range(30)}}
    [text] = texts(site, "image-absent")
    assert "answers 404 to 30: quay.io/x/y:0, " in text
    assert "quay.io/x/y:11 and 18 more" in text
