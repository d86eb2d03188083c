# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the public URL and the hubs behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import (
    HUB_LABEL,
    NODE_PORT_RANGE,
    hub_keys,
    site_hubs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_mapping,
    parse_ip,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_servers import BASE_URLS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import (
    PUBLIC_URL,
    host_addresses,
    host_of,
    known_name,
    public_addresses,
    public_hosts,
    public_urls,
)

FOLDER = re.compile(r"/([A-Za-z0-9._~-]+/)*")
EXAMPLE = "write scheme and host, such as https://binder.example.org"


@rule("public-url-malformed", ERROR, "A public URL has no http or https scheme, or no host.")
def public_url_malformed(site: Site) -> Iterator[Problem]:
    for variable, text in public_urls(site).items():
        if text and not host_of(text):
            yield Problem(
                f"{text[:80]!r} has no http:// or https:// with the name or address of a host behind it",
                EXAMPLE,
                variable,
            )


@rule("public-url-has-path", ERROR, "A public URL has more than scheme and host.")
def public_url_has_path(site: Site) -> Iterator[Problem]:
    for variable, text in public_urls(site).items():
        parts = split_url(text)
        if not parts or not host_of(text):
            continue
        extra = (
            parts.path.rstrip("/")
            or parts.query
            or parts.fragment
            or ("a user" if "@" in parts.netloc else "")
        )
        if extra:
            yield Problem(
                f"has {extra[:60]!r} beside scheme and host",
                "leave the host only; paths belong to a hub's binder_base_url and hub_base_url",
                variable,
            )


@rule("public-url-not-resolving", ERROR, "A public URL's host name does not resolve.")
def public_url_not_resolving(site: Site) -> Iterator[Problem]:
    for variable, host in public_hosts(site).items():
        known = known_name(site, host)
        if not parse_ip(host) and known.get("error"):
            yield Problem(
                f"{host} does not resolve on the controller: {str(known['error'])[:120]}",
                "add the name to DNS with the proxy's address, or correct it",
                variable,
            )


@rule("public-url-not-the-proxy", ERROR, "A public URL's host is not the proxy.")
def public_url_not_the_proxy(site: Site) -> Iterator[Problem]:
    proxies = [host for host in site.members("proxy") if parse_ip(host.address)]
    if not proxies or len(proxies) != len(site.members("proxy")):
        return
    own = {host.address for host in proxies} | {str(item.ip) for host in proxies for item in host.interfaces}
    for variable, name in public_hosts(site).items():
        found = {str(ip_address(address)) for address in host_addresses(site, name)}
        # Behind address translation the name is public, and the proxy's own address is not.
        translated = any(ip_address(address).is_global for address in found) and not any(
            ip_address(address).is_global for address in own
        )
        if found and not found & own and not translated:
            yield Problem(
                f"{name} is {', '.join(sorted(found))}, and the proxy has {', '.join(sorted(own))}",
                "point the name at the proxy, or put the machine that it names into the group proxy",
                variable,
                proxies[0].name,
            )


@rule("public-url-plain-http", WARNING, "People reach the hubs by plain HTTP on a public address.")
def public_url_plain_http(site: Site) -> Iterator[Problem]:
    parts = split_url(site.text(PUBLIC_URL))
    addresses = public_addresses(site, public_hosts(site).values())
    public = [address for address in addresses if ip_address(address).is_global]
    if parts and parts.scheme == "http" and public:
        yield Problem(
            f"is plain HTTP on the public address {public[0]}: launch tokens travel readable",
            "use https:// and set site_proxy_tls_certificate_file and site_proxy_tls_key_file",
            PUBLIC_URL,
        )


def _paths(site: Site) -> dict[str, str]:
    """Give every base path of every hub by the variable that sets it. What is no text is hub-setting-malformed's."""
    return {
        f"site_hubs.{name}.{key}": hub[key]
        for name, hub in site_hubs(site).items()
        for key in BASE_URLS
        if isinstance(hub[key], str)
    }


def _hub(variable: str) -> str:
    return variable.removeprefix("site_hubs.").rpartition(".")[0]


def _by_host(site: Site) -> Iterator[dict[str, str]]:
    """Give the base paths of each host: those of different hosts do not meet."""
    hubs, paths = site_hubs(site), _paths(site)
    hosts = {variable: host_of(hubs[_hub(variable)]["public_url"]) for variable in paths}
    for host in dict.fromkeys(hosts.values()):
        yield {variable: path for variable, path in paths.items() if hosts[variable] == host}


def _blamed(site: Site, variable: str, other: str) -> tuple[str, str]:
    """Of two paths that do not fit name the one that the inventory sets, and then its partner."""
    name, _, key = variable.removeprefix("site_hubs.").rpartition(".")
    return (variable, other) if site.hubs[name].get(key) is not None else (other, variable)


@rule("base-path-slashes", ERROR, "A base path is no folder between slashes, of plain characters.")
def base_path_slashes(site: Site) -> Iterator[Problem]:
    for variable, path in _paths(site).items():
        # As NGINX has it in a location, and a browser sends it.
        if not FOLDER.fullmatch(path) or {".", ".."} & set(path.split("/")):
            plain = re.sub(r"[^A-Za-z0-9._~/-]", "", path).split("/")
            bare = "/".join(part for part in plain if part not in ("", ".", ".."))
            yield Problem(f"is {path[:60]!r}", f"write it as /{bare}/" if bare else "write it as /", variable)


@rule("base-paths-equal", ERROR, "Two base paths are the same.")
def base_paths_equal(site: Site) -> Iterator[Problem]:
    for paths in _by_host(site):
        seen: dict[str, str] = {}
        for variable, path in paths.items():
            other = seen.setdefault(path.strip("/"), variable)
            if other != variable:
                named, partner = _blamed(site, variable, other)
                yield Problem(f"is {path}, as {partner} is", "give each its own path", named)


@rule("base-paths-nested", ERROR, "One base path lies below another.")
def base_paths_nested(site: Site) -> Iterator[Problem]:
    pairs = (
        ((variable, path.strip("/")), (other, above.strip("/")))
        for paths in _by_host(site)
        for variable, path in paths.items()
        for other, above in paths.items()
    )
    for (variable, path), (other, above) in pairs:
        if path != above and (path + "/").startswith(above + "/" if above else ""):
            yield Problem(
                f"{variable} /{path}/ lies below {other} /{above}/, so requests for the one reach the other",
                "put the paths beside each other, such as /binderhub/ and /jupyterhub/",
                _blamed(site, variable, other)[0],
            )


@rule(
    "hub-malformed",
    ERROR,
    "A hub's entry is no mapping, or has a key or name that is none.",
    acceptable=False,
)
def hub_malformed(site: Site) -> Iterator[Problem]:
    hubs = site.values.get("site_hubs")
    if isinstance(hubs, Mapping) and not hubs:
        yield Problem("there is no hub", "write `site_hubs: {binder: {}}`, or drop the line", "site_hubs")
    for name, hub in (hubs or {}).items() if isinstance(hubs, Mapping) else ():
        where = f"site_hubs.{name}"
        if not isinstance(name, str) or not HUB_LABEL.fullmatch(name):
            yield Problem(
                f"{str(name)[:60]!r} is no name for a hub",
                "use lower-case letters, digits and hyphens",
                where,
            )
        if hub is not None and not isinstance(hub, Mapping):
            yield Problem(f"is {str(hub)[:60]!r}, no mapping", f"write `{name}: {{}}`", where)
            continue
        for key in ("values", "secret_values"):
            if as_mapping(hub).get(key) is not None and not isinstance(as_mapping(hub)[key], Mapping):
                yield Problem(
                    "is no mapping", "write the chart's values below it, or drop it", f"{where}.{key}"
                )
        for key in as_mapping(hub):
            if key not in hub_keys():
                guess = closest(key, hub_keys())
                remedy = f"did you mean {guess}?" if guess else f"use {', '.join(hub_keys())}"
                yield Problem("is no key of a hub", remedy, f"{where}.{key}")


def _same(site: Site, key: str) -> Iterator[tuple[str, list[str], str]]:
    """Give every value of a key that several hubs have, with their names and the variable to change."""
    holders: dict[str, list[str]] = {}
    for name, hub in site_hubs(site).items():
        holders.setdefault(str(hub[key]), []).append(name)
    for value, names in holders.items():
        if value and len(names) > 1:
            # The last of those that the inventory sets; a default gives way where it is one.
            given = [name for name in names if site.hubs[name].get(key)] or names
            yield value, names, f"site_hubs.{given[-1]}.{key}"


@rule("hubs-share-address", ERROR, "Several hubs have one floating address and port.")
def hubs_share_address(site: Site) -> Iterator[Problem]:
    for address, names, variable in _same(site, "floating_ip"):
        yield Problem(
            f"{', '.join(names)} all want port 80 of {address}; only the first gets it, the rest stay <pending>",
            "give each hub an address of its own, and the pool one for each",
            variable,
        )


@rule("hubs-share-node-port", ERROR, "Several hubs have one NodePort.")
def hubs_share_node_port(site: Site) -> Iterator[Problem]:
    for port, names, variable in _same(site, "node_port"):
        yield Problem(
            f"{', '.join(names)} all have node port {port}",
            "drop node_port, or give each its own",
            variable,
        )


@rule("hubs-share-namespace", ERROR, "Several hubs have one namespace.")
def hubs_share_namespace(site: Site) -> Iterator[Problem]:
    for namespace, names, variable in _same(site, "namespace"):
        yield Problem(
            f"{', '.join(names)} are all in namespace {namespace}, where each has a service proxy-public",
            "give each hub its own namespace",
            variable,
        )


@rule("node-port-out-of-range", ERROR, "A hub's NodePort is outside of Kubernetes' range.")
def node_port_out_of_range(site: Site) -> Iterator[Problem]:
    for name, hub in site_hubs(site).items():
        if as_int(hub["node_port"]) not in NODE_PORT_RANGE:
            yield Problem(
                f"is {str(hub['node_port'])[:20]}",
                f"use a port from {NODE_PORT_RANGE[0]} to {NODE_PORT_RANGE[-1]}, or drop the line",
                f"site_hubs.{name}.node_port",
            )


@rule("namespace-malformed", ERROR, "A hub's namespace or release is no DNS label.")
def namespace_malformed(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        for key in ("namespace", "release"):
            given = hub.get(key)
            # As it is: a blank would go into the cluster with it.
            if given is not None and not (isinstance(given, str) and HUB_LABEL.fullmatch(given)):
                yield Problem(
                    f"is {str(given)[:60]!r}",
                    "use lower-case letters, digits and hyphens",
                    f"site_hubs.{name}.{key}",
                )
