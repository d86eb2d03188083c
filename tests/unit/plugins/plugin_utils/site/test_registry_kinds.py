# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where each kind of registry is asked, and what its names, robots and keys are."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.docker_hub import account_key
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import host_fault
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import (
    common_spelling,
    describe_key,
    endpoint,
    kind_of,
    level_fault,
    robot_project,
    token_url_fault,
)

HUB = "https://index.docker.io/v1/"
KEY = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key": "-----BEGIN PRIVATE KEY-----\nsecret\n",
    "client_email": "binder@my-project.iam.gserviceaccount.com",
}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (
            "docker.io",
            (
                "docker_hub",
                "registry-1.docker.io",
                "https://registry-1.docker.io",
                HUB,
                HUB,
                "https://auth.docker.io/token?service=registry.docker.io",
                "",
            ),
        ),
        (
            "gcr.io",
            (
                "google",
                "gcr.io",
                "https://gcr.io",
                "https://gcr.io",
                "gcr.io",
                "https://gcr.io/v2/token?service=gcr.io",
                "gcr.io/",
            ),
        ),
        (
            "registry.example.org:5000",
            (
                "other",
                "registry.example.org:5000",
                "https://registry.example.org:5000",
                "https://registry.example.org:5000",
                "registry.example.org:5000",
                "",
                "registry.example.org:5000/",
            ),
        ),
    ],
)
def test_endpoint(host: str, expected: tuple[str, ...]) -> None:
    told = endpoint(host)
    assert (
        told.kind,
        told.host,
        told.api_url,
        told.account_key,
        told.pull_key,
        told.token_url,
        told.image_names,
    ) == expected


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("docker.io", "docker_hub"),
        ("index.docker.io", "docker_hub"),
        ("registry.docker.io", "other"),
        ("docker.io:5000", "other"),
        ("docker.io:443", "docker_hub"),
        ("registry-1.docker.io", "docker_hub"),
        ("gcr.io", "google"),
        ("eu.gcr.io", "google"),
        ("notgcr.io", "other"),
        ("gcr.io.example.org", "other"),
        ("us-docker.pkg.dev", "google"),
        ("europe-west1-docker.pkg.dev", "google"),
        ("docker.pkg.dev", "other"),
        ("europe-west1-npm.pkg.dev", "other"),
        ("", "other"),
    ],
)
def test_kind_of(host: str, kind: str) -> None:
    assert kind_of(host) == kind


@pytest.mark.parametrize(
    ("host", "common"),
    [
        ("registry-1.docker.io", "docker.io"),
        ("Registry-1.docker.io:443", "docker.io"),
        ("hub.docker.com", "docker.io"),
        ("registry.hub.docker.com", "docker.io"),
        ("docker.io:443", "docker.io"),
        ("docker.io:5000", "docker.io"),
        ("Docker.io", "docker.io"),
        ("Index.docker.io", "index.docker.io"),
        ("GCR.io", "gcr.io"),
        ("eu.gcr.io:443", "eu.gcr.io"),
        ("Europe-west1-docker.pkg.dev:443", "europe-west1-docker.pkg.dev"),
        ("docker.io", ""),
        ("index.docker.io", ""),
        ("gcr.io", ""),
        ("europe-west1-docker.pkg.dev", ""),
        ("Registry.example.org:443", ""),
        ("docker.io.example.org:443", ""),
        ("[2001:DB8::1]:443", ""),
        ("", ""),
    ],
)
def test_common_spelling(host: str, common: str) -> None:
    assert common_spelling(host) == common
    assert common_spelling(common) == ""
    fault = host_fault(host)
    assert (fault.remedy if fault else "") == (f"write {common}" if common else "")


@pytest.mark.parametrize(
    "host",
    ["docker.io", "index.docker.io", "registry-1.docker.io", "docker.io:443", "registry-1.docker.io:443"],
)
def test_every_name_of_docker_hub_has_one_account(host: str) -> None:
    assert account_key(host) == endpoint(host).account_key == HUB


@pytest.mark.parametrize("host", ["docker.io", "gcr.io", "registry.example.org"])
def test_what_the_site_says_of_its_token_service_wins(host: str) -> None:
    assert endpoint(host, token_url="https://auth.example.org/t").token_url == "https://auth.example.org/t"


def test_plain_http_is_the_registrys_own() -> None:
    assert endpoint("192.0.2.41:5000", plain_http=True).api_url == "http://192.0.2.41:5000"
    # Docker Hub and its accounts have TLS whatever the site says.
    assert endpoint("docker.io", plain_http=True).api_url == "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("prefix", "host", "words"),
    [
        ("org/stfc-", "docker.io", ""),
        ("org/binder/stfc-", "docker.io", "such as org/stfc-"),
        ("org/binder/", "docker.io", "such as org/binder-"),
        ("project/stfc-", "gcr.io", ""),
        ("project/stfc-", "us-docker.pkg.dev", "such as my-project/binder/stfc-"),
        ("project/repository/stfc-", "us-docker.pkg.dev", ""),
        ("a/b/c/stfc-", "registry.example.org", ""),
    ],
)
def test_level_fault(prefix: str, host: str, words: str) -> None:
    fault = level_fault(prefix, host)
    assert words in fault[1] if fault else not words


@pytest.mark.parametrize(
    ("username", "project"),
    [
        ("robot$people+builder", "people"),
        ("robot$a.b-c_d+x+y", "a.b-c_d"),
        ("robot$builder", ""),
        ("robot$+builder", ""),
        ("robot$people+", ""),
        ("people+builder", ""),
        ("", ""),
    ],
)
def test_robot_project(username: str, project: str) -> None:
    assert robot_project(username) == project


@pytest.mark.parametrize(
    ("url", "plain_http", "fault"),
    [
        ("", False, ""),
        ("https://a.example.org/t?service=s", False, ""),
        ("http://a.example.org/t", True, ""),
        ("http://a.example.org/t", False, "without TLS"),
        ("https://u:p@a.example.org/t", False, "holds an account"),
        ("http://u@a.example.org/t", True, "holds an account"),
        ("a.example.org/t", False, "is no URL"),
        ("https:///t", False, "is no URL"),
        ("https://a.example.org:x/", False, "is no URL"),
    ],
)
def test_token_url_fault(url: str, plain_http: bool, fault: str) -> None:
    told = token_url_fault(url, plain_http)
    assert fault in told if fault else told == ""


def described(key: Any) -> dict[str, Any]:
    return describe_key(json.dumps(key, indent=2))


def test_a_key_is_described_without_its_secret() -> None:
    text = json.dumps(KEY, indent=2)
    told = {"missing": [], "type": "service_account", "project": "my-project"}
    assert describe_key(text) == {"form": "text", **told}
    packed = base64.b64encode(text.encode()).decode()
    assert describe_key(packed) == {"form": "base64", **told}
    # As `base64` without -w0 wraps it.
    assert (
        describe_key("\n".join(packed[at : at + 76] for at in range(0, len(packed), 76)))["form"] == "base64"
    )


@pytest.mark.parametrize("field", list(KEY))
@pytest.mark.parametrize("content", [None, "", " ", 5, {"a": "b"}])
def test_a_field_that_is_missing(field: str, content: Any) -> None:
    assert described({**KEY, field: content})["missing"] == [field]
    assert described({name: text for name, text in KEY.items() if name != field})["missing"] == [field]


@pytest.mark.parametrize(
    "value",
    ["", "password", "{", "[1]", '"text"', "12345678", "AAAA", "[" * 100000, None, 5, {"type": "x"}, "ü" * 9],
)
def test_what_is_no_key(value: Any) -> None:
    assert describe_key(value) == {"form": "", "missing": [], "type": "", "project": ""}
