# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Several hubs on one cluster: each is what the site says of it, under its own name and with its own certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from live_site import Site
from web import Client

NOBODYS = "nobodys-name.example.org"


def shown(site: Site, url: str, name: str = "") -> bytes:
    """Return the certificate that people are shown at a URL, or under another name at the same place, if they can trust it."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    for file in site.contract["site_ca_files"]:
        context.load_verify_locations(file)
    context.check_hostname = not name
    with (
        socket.create_connection((parts.hostname, parts.port or 443), 10) as line,
        context.wrap_socket(line, server_hostname=name or parts.hostname) as speaking,
    ):
        return speaking.getpeercert(binary_form=True) or b""


def told(file: str) -> bytes:
    """Return the first certificate of a file, which is the server's own."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(Path(file).read_text().partition(end)[0].strip() + f"\n{end}\n")


@pytest.fixture
def encrypted(site: Site) -> Mapping[str, Mapping[str, Any]]:
    """Return the hubs that people reach by https."""
    found = {name: hub for name, hub in site.hubs.items() if hub["hub_url"].startswith("https://")}
    if not found:
        pytest.skip("people come by http here")
    return found


def test_each_hub_shows_its_own_certificate(site: Site, encrypted: Mapping[str, Mapping[str, Any]]) -> None:
    files = {
        name: hub.get("tls_certificate_file") or site.contract["site_proxy_tls_certificate_file"]
        for name, hub in encrypted.items()
    }
    assert {name: shown(site, hub["hub_url"]) for name, hub in encrypted.items()} == {
        name: told(file) for name, file in files.items()
    }


def test_a_name_that_nobody_has_is_shown_the_sites(
    site: Site, encrypted: Mapping[str, Mapping[str, Any]]
) -> None:
    file = site.contract["site_proxy_tls_certificate_file"]
    if not file:
        pytest.skip("every name has a certificate of its own")
    for hub in encrypted.values():
        assert shown(site, hub["hub_url"], NOBODYS) == told(file)


def test_no_two_hubs_are_in_one_place(site: Site) -> None:
    for key in ("namespace", "floating_ip", "node_port", "binder_url", "hub_url"):
        places = [hub[key] for hub in site.hubs.values()]
        assert len(places) == len(set(places)), key


def test_a_hub_does_not_take_the_token_of_another(site: Site, client: Client) -> None:
    tokens = site.contract["site_hub_api_tokens"]
    for name, hub in site.hubs.items():
        answers = {
            other: client.get(f"{hub['hub_url']}hub/api/user", {"Authorization": f"token {token}"}).status
            for other, token in tokens.items()
        }
        assert answers == {other: 200 if other == name else 403 for other in tokens}
