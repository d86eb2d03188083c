# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole inventory as data for the rules, without its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.facts import (
    reduce_facts,
    reduce_hubs,
    state_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.failures import failure_of, words_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import PROXIES
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_forms import describe_proxy
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import describe_key
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.renamed import RENAMED
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import add_resolved
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    PASSWORDS,
    SECRETS,
    describe,
    equal_secrets,
    flatten,
    shared_secrets,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_files import (
    describe_files,
    other_sites,
    secret_files,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import unknown_names
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import (
    LOCALHOST,
    SiteValues,
    load_yaml,
    plain,
)

# Variables of Ansible's that tell how a host is reached.
CONNECTION = ("ansible_host", "ansible_connection")
# Computed for each host from its facts; only what they are computed from is checked.
COMPUTED = (
    "site_apt_repositories",
    "site_client_python",
    "site_cluster_hosts",
    "site_http_proxy_environment",
    "site_http_proxy_openings",
    "site_image_mirrors",
    "site_kubernetes_machine_version",
    "site_node_address",
    "site_node_addresses",
    "site_node_builds",
    "site_node_purposes",
    "site_resolved_hubs",
    "site_resolved_no_proxy",
)


def collect(site: SiteValues, names: Mapping[str, str]) -> dict[str, Any]:
    """Describe the site as `Site.from_data` reads it."""
    values: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for variable in site.specs:
        if variable not in COMPUTED or variable in site.raw():
            _compute(site, variable, LOCALHOST, values, errors)
    given = [name for name in site.specs if name in site.raw()]
    told_secrets = secrets(site, values)
    for variable in SECRETS:
        values.pop(variable, None)
    if "site_hubs" in values:
        values["site_hubs"] = reduce_hubs(values["site_hubs"])
    # What only a default lacks follows from the group or value that it is computed from.
    own = [error for error in errors if error["variable"] in given]
    groups = site.groups
    hosts = {}
    for host in dict.fromkeys(name for members in groups.values() for name in members):
        hosts[host] = _host(site, host, names, own)
    add_resolved(hosts, groups)
    return {
        "values": values,
        "specs": plain(site.specs),
        "given": given,
        "errors": own,
        "unknown": _everywhere(site, list(hosts), lambda names: _unknown(names, site)),
        "renamed": _everywhere(site, list(hosts), lambda names: _renamed(site, names)),
        "groups": groups,
        "hosts": hosts,
        "secrets": told_secrets,
    }


def _compute(
    site: SiteValues, variable: str, host: str, values: dict[str, Any], errors: list[dict[str, str]]
) -> None:
    try:
        values[variable] = site.get(variable, host)
    except Exception as error:  # whatever a person's template raises is a finding
        where = "" if host == LOCALHOST else host
        said = "it cannot be computed; secrets are not shown" if variable in SECRETS else str(error)
        errors.append({"variable": variable, "host": where, "message": said})


def _host(
    site: SiteValues, host: str, names: Mapping[str, str], errors: list[dict[str, str]]
) -> dict[str, Any]:
    raw = site.raw(host)
    variables: dict[str, Any] = {}
    for name in CONNECTION:
        if name in raw:
            _compute(site, name, host, variables, errors)
    for name in site.own(host):
        if name not in SECRETS:
            _compute(site, name, host, variables, errors)
    if "site_hubs" in variables:
        variables["site_hubs"] = reduce_hubs(variables["site_hubs"])
    facts = raw.get("ansible_facts") or {}
    asked, probed = raw.get(names["facts"]), raw.get(names["probe"])
    state, message = state_of(facts, asked, probed)
    probe: dict[str, Any] = {}
    if probed is not None and state == "seen":
        probe = plain(probed.get("probe")) or {"failed": failure_of(probed) or "no answer"}
        ports = raw.get(names.get("ports", ""))
        probe["tried"] = plain(ports.get("tried") or []) if isinstance(ports, Mapping) else []
        # What was skipped has no words either; what failed is not marked so, as the play goes on.
        if isinstance(ports, Mapping) and not ports.get("skipped") and (said := failure_of(ports)):
            probe["untried"] = words_of(said)
    return {
        "variables": variables,
        "facts": plain(reduce_facts(facts)) if state == "seen" else {},
        "probe": probe,
        "state": state,
        "message": message,
    }


def _renamed(site: SiteValues, names: list[str]) -> list[str]:
    """Pick the names that roles no longer read from an inventory; from the command line they still do."""
    return [name for name in names if name in RENAMED and name not in site.extra]


def _everywhere(
    site: SiteValues, hosts: list[str], pick: Callable[[list[str]], list[str]]
) -> list[dict[str, str]]:
    """Pick from the names of variables that the whole site sets, and from those of each host beyond that."""

    def names(host: str) -> list[str]:
        own = [
            name
            for name in site.raw(host)
            if not name.startswith(("ansible_", "inventory_", "_", "preflight_"))
        ]
        return pick(own)

    everywhere = names(LOCALHOST)
    found = [{"variable": name, "host": ""} for name in everywhere]
    for host in hosts:
        found += [{"variable": name, "host": host} for name in names(host) if name not in everywhere]
    return found


def secrets(site: SiteValues, values: Mapping[str, Any]) -> dict[str, Any]:
    """Say what can be said about the site's secrets and the files that hold them."""
    told: dict[str, Any] = {
        "values": {variable: describe(value) for variable, value in flatten(values)},
        "equal": equal_secrets(values),
        "keys": {variable: describe_key(values.get(variable)) for variable in PASSWORDS},
        "proxies": {variable: describe_proxy(values.get(variable)) for variable in PROXIES},
        "shared": [],
        "files": [],
    }
    place = site.task_vars.get("inventory_dir")
    folder = Path(str(place)) if place else None
    if folder and folder.is_dir():

        def load(path: Path) -> Any:
            return load_yaml(site.loader, path)

        told["files"] = describe_files(secret_files(folder, load))
        told["shared"] = shared_secrets(values, other_sites(folder, load))
    return told


def _unknown(names: Iterable[str], site: SiteValues) -> list[str]:
    """Names that nothing reads. A role's own variable is read, where it is set with -e; see `renamed`."""
    return [name for name in unknown_names(names, site.specs) if name not in RENAMED]
