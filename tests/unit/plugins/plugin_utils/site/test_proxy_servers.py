# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs by the host name that people come to."""

from __future__ import annotations

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_servers import (
    certificates,
    proxy_servers,
)

URL = "https://binder.example.org"
PATHS = {"binder_base_url": "/binderhub/", "hub_base_url": "/jupyterhub/"}
TLS = {"tls_certificate_file": "b.crt", "tls_key_file": "b.key"}


def of(url: str, **more: Any) -> dict[str, Any]:
    return {**PATHS, "public_url": url, **more}


def test_hubs_without_a_host_of_their_own_are_at_the_sites() -> None:
    (server,) = proxy_servers(
        {"a": PATHS, "b": of(f"{URL}/", binder_base_url="/", hub_base_url="/b/hub/")}, URL
    )
    assert (server.host, server.url, server.hubs, server.own) == (
        "binder.example.org",
        URL,
        ("a", "b"),
        False,
    )
    assert server.paths == ("/binderhub/", "/", "/jupyterhub/", "/b/hub/")
    assert server.logs == ("binderhub", "root", "jupyterhub", "b.hub")


def test_the_sites_name_is_the_first() -> None:
    hubs = {"b": of("https://B.example.org/", **TLS), "a": of(URL), "c": of("https://c.example.org")}
    servers = proxy_servers(hubs, URL)
    assert [(server.host, server.certificate_of) for server in servers] == [
        ("binder.example.org", ""),
        ("b.example.org", "b"),
        ("c.example.org", ""),
    ]
    assert servers[1].url == "https://B.example.org"
    assert servers[1].logs == ("b.example.org.binderhub", "b.example.org.jupyterhub")


def shown(hubs: dict[str, Any], url: str = URL) -> list[tuple[str, tuple[str, ...], tuple[str, str]]]:
    values = {"site_public_url": url, "site_hubs": hubs, "site_proxy_tls_certificate_file": "site.crt"}
    site = Site.from_data({"values": values})
    return [(entry.purpose, entry.hosts, entry.files) for entry in certificates(site)]


def test_certificates_and_the_hosts_they_are_for() -> None:
    own = {"public_url": "https://b.example.org", **TLS}
    with_b = ("hub b", ("b.example.org",), ("b.crt", "b.key"))
    assert shown({"a": {}, "b": own, "c": {"public_url": "https://c.example.org"}}) == [
        ("proxy", ("binder.example.org", "c.example.org"), ("site.crt", "")),
        with_b,
    ]
    # Where nobody comes to the site's own name its certificate is not asked for.
    assert shown({"b": own}) == [with_b]
    assert shown({}) == [("proxy", ("binder.example.org",), ("site.crt", ""))]
    assert shown({"a": {}, "b": own}, "http://binder.example.org") == []
