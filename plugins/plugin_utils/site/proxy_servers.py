# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The names under which the external NGINX answers, each with its hubs and its certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import PUBLIC_URL, host_of

__all__ = ["Certificate", "ProxyServer", "certificates", "proxy_servers"]

SITES_FILES = ("site_proxy_tls_certificate_file", "site_proxy_tls_key_file")
FILES = ("tls_certificate_file", "tls_key_file")
BASE_URLS = ("binder_base_url", "hub_base_url")


@dataclass(frozen=True)
class ProxyServer:
    """One host name. `hubs` are names, in the site's order. `own` is whether it is another one than the site's.

    `certificate_of` is the hub whose certificate it shows, `` for the site's. `paths` are all that it answers, and `logs` the
    beginnings of the names of their log files, in the same order.
    """

    host: str
    url: str
    hubs: tuple[str, ...]
    own: bool
    certificate_of: str = ""
    paths: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """A pair of files on the controller that somebody is shown, by the variables that name them, and the hosts it is for."""

    purpose: str
    hosts: tuple[str, ...]
    variables: tuple[str, str]
    files: tuple[str, str]


def proxy_servers(hubs: Mapping[str, Mapping[str, Any]], public_url: str) -> list[ProxyServer]:
    """Group hubs by the host name that people come to.

    Args:
        hubs: {name: fields of `hubs.Hub`}; a hub without `public_url` is at the site's.
        public_url: the site's.

    Returns:
        The site's own name first, which answers for names that nobody has, then the others in the order of `hubs`. A name at
        which there is no hub is not among them.
    """
    urls = {name: as_text(hub.get("public_url")) or public_url for name, hub in hubs.items()}
    hosts = list(dict.fromkeys(host_of(url) for url in urls.values()))
    site = host_of(public_url)
    found = []
    for host in sorted(hosts, key=lambda entry: entry != site):
        names = tuple(name for name in hubs if host_of(urls[name]) == host)
        own = host != site
        named = [name for name in names if any(as_text(hubs[name].get(file)) for file in FILES)]
        paths = tuple(as_text(hubs[name].get(key)) for key in BASE_URLS for name in names)
        found.append(
            ProxyServer(
                host=host,
                url=(urls[names[0]] if own else public_url).rstrip("/"),
                hubs=names,
                own=own,
                certificate_of=named[0] if own and named else "",
                paths=paths,
                logs=tuple(_log(path, host if own else "") for path in paths),
            )
        )
    return found


def _log(path: str, host: str) -> str:
    """Name a path's log files: /private/binderhub/ is private.binderhub, / is root; of another host behind its name."""
    return ".".join(part for part in (host, path.strip("/").replace("/", ".") or "root") if part)


def certificates(site: Site) -> Iterator[Certificate]:
    """Give every certificate that the proxy shows, where people come by https."""
    if not site.text(PUBLIC_URL).startswith("https://"):
        return
    hubs = site_hubs(site)
    servers = proxy_servers(hubs, site.text(PUBLIC_URL))
    hosts = tuple(server.host for server in servers if not server.certificate_of)
    if hosts or not servers:
        files = (site.text(SITES_FILES[0]), site.text(SITES_FILES[1]))
        yield Certificate("proxy", hosts or (host_of(site.text(PUBLIC_URL)),), SITES_FILES, files)
    for server in servers:
        name = server.certificate_of
        if name:
            variables = (f"site_hubs.{name}.{FILES[0]}", f"site_hubs.{name}.{FILES[1]}")
            pair = (as_text(hubs[name][FILES[0]]), as_text(hubs[name][FILES[1]]))
            yield Certificate(f"hub {name}", (server.host,), variables, pair)
