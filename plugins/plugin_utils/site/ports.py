# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ports that a site takes, and who may hold them."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import registry
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int, split_url

__all__ = [
    "HEAD_PORTS",
    "NODE_PORTS",
    "PROXY_PROCESSES",
    "REGISTRY_PROCESSES",
    "api_port",
    "public_port",
    "registry_at",
    "registry_is_ours",
    "registry_runs",
]

# Who may hold a port: what an earlier run of Ironbinder started there. The kernel keeps 15
# characters of a process's name.
HEAD_PORTS = {
    2379: ("etcd",),
    2380: ("etcd",),
    10257: ("kube-controller",),
    10259: ("kube-scheduler",),
}
NODE_PORTS = {10250: ("kubelet",), 10256: ("kube-proxy",)}
PROXY_PROCESSES = ("nginx",)
REGISTRY_PROCESSES = ("registry", "docker-proxy", "docker-registry", "nginx", "zot")


def api_port(site: Site) -> int:
    """Port of the API."""
    return as_int(site.values.get("site_api_port"), 6443)


def public_port(site: Site) -> int:
    """Port of the public URL: the one that it names, else that of its scheme."""
    parts = split_url(site.text("site_public_url"))
    return (parts.port if parts else None) or (443 if parts and parts.scheme == "https" else 80)


def registry_at(site: Site) -> tuple[str, int]:
    """Host and port of the site's registry. Where they cannot be read, its text and the port of its scheme."""
    text, plain = site.text(registry.HOST), site.flag("site_registry_plain_http_enabled")
    # A scheme and a path, which do not belong there, are another rule's matter.
    bare = text.rpartition("://")[2].partition("/")[0]
    try:
        return registry.registry_address(bare, plain)
    except registry.RegistryAddressError:
        name, _, port = bare.rpartition(":")
        return name if port.isdigit() else bare, 80 if plain else 443


def registry_is_ours(site: Site) -> bool:
    """Whether this site deploys its registry itself."""
    return bool(site.groups.get("registry"))


def registry_runs(site: Site) -> bool:
    """Whether the registry is expected to answer now: not ours to start, or started already."""
    port = registry_at(site)[1]
    return not registry_is_ours(site) or any(
        host.listening.get(port) in REGISTRY_PROCESSES for host in site.seen("registry")
    )
