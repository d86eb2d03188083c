# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tell the probe what to ask for, as far as the site contract can be read."""

from __future__ import annotations

import secrets
import time
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import discovery_url
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifacts import (
    PACKAGES,
    artifact_urls,
    package_indexes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.pool import (
    PoolError,
    parse_pool,
    pool_addresses,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.port_plan import (
    flow_site,
    listen_seconds,
    packets,
    wanted_listeners,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.providers import providers_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    prefix_fault,
    registry_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import (
    TOKEN_URL,
    token_url_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import probed_name
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues

# A pool is seldom larger; asking for more would only take time.
MOST_NEIGHBOURS = 64
# Each node tries the heads and a few nodes after it; together they try every node.
PEERS_AFTER = 2
# A shorter password is a finding anyway, and hiding it would blot out the whole answer.
SHORTEST_PASSWORD = 6


class ActionModule(ActionBase):
    """Fills in the options of the module site_probe."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module on the host, with what its place in the site asks for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        site = SiteValues(self._loader, self._templar, variables)
        host = str(variables["inventory_hostname"])
        given = dict(self._task.args)
        arguments = self._arguments(site, host)
        # A look that is not followed by attempts opens nothing.
        if boolean(given.pop("tries_ports", False), strict=False):
            arguments |= _ports(site, host)
        arguments |= given
        result.update(self._execute_module("ironbinder.platform.site_probe", arguments, task_vars=task_vars))
        result.pop("invocation", None)
        return result

    def _arguments(self, site: SiteValues, host: str) -> dict[str, Any]:
        found: dict[str, Any] = {"asked_epoch": time.time()}
        groups = site.groups
        if any(host in groups.get(group, []) for group in ("head", "workers", "proxy", "registry")):
            found["listen_name"] = host
        nodes = list(dict.fromkeys(groups.get("head", []) + groups.get("workers", [])))
        if host not in nodes:
            return found
        found["ca_pem"] = _read_cas(site.find("site_ca_files", default=[]))
        facts = site.raw(host).get("ansible_facts") or {}
        machine = str(facts.get("architecture") or "")
        # What the site says of its proxy, before what this machine's environment happens to say.
        found["proxy_environment"] = site.find("site_http_proxy_environment", host, default={})
        found["urls"] = _urls(site, host)
        repositories = site.find("site_apt_repositories", host, default=[])
        found["package_indexes"] = package_indexes(
            repositories if isinstance(repositories, list) else [], machine
        )
        found["package_names"] = [name for names in PACKAGES.values() for name in names]
        found["peers"] = _peers(site, host, groups.get("head", []), nodes)
        if host in groups.get("head", []):
            urls = artifact_urls(lambda name: as_text(site.find(name)), machine)
            if site.find("site_kubernetes_client_host") != host:
                urls.pop("site_helm_version", None)
            found["urls"] |= urls
            found["neighbours"] = _neighbours(site.find("site_floating_pool"))
        plain = site.find("site_registry_plain_http_enabled") is True
        found["registry_url"] = registry_url(site.find("site_registry_host"), plain)
        password = site.find("site_registry_password")
        if isinstance(password, str) and len(password) >= SHORTEST_PASSWORD:
            found["registry_username"] = str(site.find("site_registry_username"))
            found["registry_password"] = password
        if host == groups.get("head", [host])[0]:
            found |= _pulling(site) | _pushing(site)
        return found


def _ports(site: SiteValues, host: str) -> dict[str, Any]:
    """Ports that others are to try, and what the machine's firewall is asked about."""
    flows = flow_site(site)
    return {
        "listen": wanted_listeners(flows, host),
        "listen_token": secrets.token_hex(8),
        "listen_seconds": listen_seconds(len(site.groups.get("all", [])), int(constants.DEFAULT_FORKS)),
        "packets": packets(flows, host, site.node_address),
    }


def _pulling(site: SiteValues) -> dict[str, str]:
    """The account that is to pull only, and where it tries to push. One machine that tries is enough."""
    password, prefix = site.find("site_registry_pull_password"), site.find("site_registry_prefix")
    if not isinstance(password, str) or len(password) < SHORTEST_PASSWORD:
        return {}
    if not isinstance(prefix, str) or not prefix or prefix_fault(prefix):  # rules report it
        return {}
    return {
        "registry_pull_username": str(site.find("site_registry_pull_username")),
        "registry_pull_password": password,
        "registry_push_repository": f"{prefix}ironbinder-probe",
    }


def _pushing(site: SiteValues) -> dict[str, Any]:
    """What the account that pushes tries at somebody else's registry; role registry proves the site's own."""
    name, prefix = site.find("site_registry_host"), site.find("site_registry_prefix")
    ours = bool(site.groups.get("registry"))
    if ours or not isinstance(prefix, str) or not prefix or prefix_fault(prefix, as_text(name)):
        return {}
    url, plain = as_text(site.find(TOKEN_URL)), site.find("site_registry_plain_http_enabled") is True
    return {
        "registry_push_repository": f"{prefix}ironbinder-probe",
        "registry_push_tried": True,
        # What preflight refuses is told no password.
        "registry_token_url": "" if token_url_fault(url, plain) else url,
    }


def _read_cas(paths: Any) -> str:
    texts = []
    for path in paths if isinstance(paths, list) else []:
        try:
            texts.append(Path(str(path)).expanduser().read_text(errors="replace"))
        except (OSError, RuntimeError, ValueError):  # the rule ca-file-unreadable reports it
            continue
    return "\n".join(texts)


def _urls(site: SiteValues, host: str) -> dict[str, str]:
    found = {}
    repositories = site.find("site_apt_repositories", host, default=[])
    keys = (
        [entry.get("key_url") for entry in repositories if isinstance(entry, dict)]
        if isinstance(repositories, list)
        else []
    )
    if keys and isinstance(keys[0], str) and keys[0].startswith(("http://", "https://")):
        found["packages"] = keys[0]
    chart = site.find("site_binderhub_chart_repository")
    if site.find("site_kubernetes_client_host") == host and str(chart).startswith(("http://", "https://")):
        found["chart"] = f"{str(chart).rstrip('/')}/index.yaml"
    if "core" in as_list(site.find("site_node_purposes", host)):
        asked = providers_of(Site(values={"site_hubs": site.find("site_hubs")}))
        # Names that the site gives its machines itself are known there once stage nodes has come by.
        given = [
            name for names in as_mapping(site.find("site_extra_hosts")).values() for name in as_list(names)
        ]
        found |= {
            probed_name(hub): discovery_url(issuer)
            for hub, issuer in asked.items()
            if urlsplit(issuer).hostname not in given
        }
    return found


def _peers(site: SiteValues, host: str, heads: list[str], nodes: list[str]) -> list[str]:
    place = nodes.index(host)
    after = [nodes[(place + step) % len(nodes)] for step in range(1, PEERS_AFTER + 1)]
    own = site.node_address(host)
    addresses = [site.node_address(other) for other in dict.fromkeys([*heads, *after]) if other != host]
    return [address for address in dict.fromkeys(addresses) if address and address != own]


def _neighbours(pool: Any) -> list[str]:
    try:
        addresses = islice(pool_addresses(parse_pool(pool)), MOST_NEIGHBOURS)
        return [address for address in addresses if getattr(parse_ip(address), "version", 0) == 4]
    except PoolError:  # the rule pool-malformed reports it
        return []
