# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the base of people's images is made of: the Dockerfile, its tag, and what may not stand in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.filter.base_image_context import base_image_context
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.base_image import (
    BaseImage,
    context_of,
    image_fault,
    tag_of,
)

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nBB==\n-----END PRIVATE KEY-----\n"
PLAIN = BaseImage(base="docker.io/library/buildpack-deps:24.04")
FULL = replace(
    PLAIN,
    ca_certificates=f"our CA\n{PEM}{KEY}{PEM.replace('AA', 'CC')}",
    pip_index_url="https://pypi.example.org/simple",
    conda_channel_alias="https://conda.example.org",
    apt_mirrors={"http://archive.ubuntu.com/ubuntu": "https://mirror.example.org/ubuntu"},
    environment={"GREETING": 'a "b" $HOME \\'},
)


def test_a_base_of_nothing_but_another() -> None:
    assert context_of(PLAIN) == {
        "Dockerfile": (
            "FROM docker.io/library/buildpack-deps:24.04\n"
            'LABEL ironbinder.platform.base="docker.io/library/buildpack-deps:24.04" ironbinder.platform.revision="1"\n'
            "USER root\nARG BASE_USER=root\nUSER ${BASE_USER}\n"
        )
    }


def test_everything() -> None:
    files = context_of(FULL)
    text = files["Dockerfile"]
    certificates = [content for name, content in files.items() if name.endswith(".crt")]
    assert certificates == [PEM, PEM.replace("AA", "CC")], "one a file, and no key"
    assert "BB==" not in str(files)
    assert "update-ca-certificates" in text
    for name in (
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    ):
        assert f'ENV {name}="/etc/ssl/certs/ca-certificates.crt"' in text
    assert "s|http://archive.ubuntu.com/ubuntu|https://mirror.example.org/ubuntu|g" in text
    assert files["pip.conf"] == "[global]\nindex-url = https://pypi.example.org/simple\n"
    assert "channel_alias: https://conda.example.org\n" in files["condarc"]
    assert 'ENV GREETING="a \\"b\\" \\$HOME \\\\"' in text
    assert text.endswith("ARG BASE_USER=root\nUSER ${BASE_USER}\n")


@pytest.mark.parametrize(
    "change",
    [
        {"base": "docker.io/library/buildpack-deps:22.04"},
        {"ca_certificates": PEM},
        {"pip_index_url": ""},
        {"conda_channel_alias": ""},
        {"apt_mirrors": {}},
        {"environment": {}},
        {"revision": 2},
    ],
)
def test_whatever_changes_the_image_changes_its_tag(change: dict[str, Any]) -> None:
    assert tag_of(context_of(replace(FULL, **change))) != tag_of(context_of(FULL))


def test_words_around_a_certificate_change_nothing() -> None:
    same = replace(FULL, ca_certificates=FULL.ca_certificates.replace("our CA", "renamed"))
    assert tag_of(context_of(same)) == tag_of(context_of(FULL))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": "debian"}, "neither a tag nor a digest"),
        ({"base": "registry.example.org:5000/debian"}, "neither a tag nor a digest"),
        ({"base": "debian:12\nRUN rm -r /"}, "no name of an image"),
        (
            {"pip_index_url": "https://me:secret@pypi.example.org/simple"},
            "site_base_image_pip_index_url: has an account",
        ),
        ({"pip_index_url": "pypi.example.org"}, "no http or https URL"),
        ({"conda_channel_alias": "https://x/\nUSER root"}, "site_base_image_conda_channel_alias"),
        ({"apt_mirrors": {"http://a/": "http://b/|e rm -r /"}}, "site_base_image_apt_mirrors"),
        ({"environment": {"A B": "x"}}, "site_base_image_environment"),
        ({"environment": {"A": "x\nUSER root"}}, "site_base_image_environment"),
    ],
)
def test_what_may_not_stand_in_it(change: dict[str, Any], words: str) -> None:
    settings: dict[str, Any] = {**{"base": PLAIN.base}, **change}
    told = base_image_context(settings.pop("base"), **settings)
    assert (told["tag"], told["files"]) == ("", {})
    text = "{variable}: {observed}".format(**told["fault"])
    assert words in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "name",
    [
        "debian:12",
        "172.30.77.41:5000/a/b:1.2-3",
        "localhost:5000/x@sha256:" + "0" * 64,
        "docker.io/library/buildpack-deps:24.04@sha256:" + "a" * 64,
    ],
)
def test_names_that_do(name: str) -> None:
    assert image_fault(name) == ""


def test_no_base() -> None:
    assert base_image_context("") == {"tag": "", "files": {}, "fault": {}}


def test_values_of_another_type_are_found_by_their_type() -> None:
    assert base_image_context("debian:12", apt_mirrors=["x"]) == {"tag": "", "files": {}, "fault": {}}
