# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the contract itself: values that are there, spelt and typed as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.renamed import RENAMED
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.value_types import type_fault

# What each required value looks like. Everything else that is required says so in the contract.
REQUIRED = {
    "site_name": "a short name such as stfc",
    "site_public_url": "scheme and host of the external NGINX, such as https://binder.example.org",
    "site_floating_pool": "the addresses MetalLB may hold, such as 192.0.2.10-192.0.2.12",
    "site_registry_host": "host or host:port of the registry, such as registry.example.org:5000",
    "site_registry_prefix": "a prefix with at least one path level, such as binder/stfc-",
    "site_binderhub_chart_version": "one exact version of the chart, or drop the line for the pinned one",
    "site_kubernetes_version": "one exact version, or drop the line for the pinned one",
}
# What an inventory may set, but has no reason to: other stages rely on how it is computed.
COMPUTED = (
    "site_artifact_base",
    "site_base_image_context",
    "site_node_addresses",
    "site_cluster_hosts",
    "site_http_proxy_environment",
    "site_http_proxy_openings",
    "site_resolved_hubs",
    "site_resolved_no_proxy",
    "site_supported_systems",
)


@rule("value-missing", ERROR, "A required value is missing or empty.", acceptable=False)
def value_missing(site: Site) -> Iterator[Problem]:
    broken = {entry.get("variable") for entry in site.errors}
    for variable, example in REQUIRED.items():
        value = site.values.get(variable)
        empty = value is None or (
            isinstance(value, (str, list, tuple, dict))
            and not (value.strip() if isinstance(value, str) else value)
        )
        if empty and variable not in broken:
            yield Problem("is empty", f"set it to {example}", variable)


@rule("value-not-computable", ERROR, "A value is a template that cannot be computed.", acceptable=False)
def value_not_computable(site: Site) -> Iterator[Problem]:
    for entry in site.errors:
        message = " ".join(str(entry.get("message", "")).split())[:300]
        yield Problem(
            f"cannot be computed: {message}",
            "correct the template, or set the variables that it uses",
            str(entry.get("variable", "")),
            str(entry.get("host", "")),
        )


@rule("unknown-variable", ERROR, "A variable looks like the contract's, but the contract does not have it.")
def unknown_variable(site: Site) -> Iterator[Problem]:
    known = list(site.specs)
    for entry in site.unknown:
        name = str(entry.get("variable", ""))
        guess = closest(name, known)
        remedy = (
            f"did you mean {guess}?"
            if guess
            else "remove it; docs/site-contract.md says where all of them are"
        )
        yield Problem(
            "is no variable of the site contract, so nothing reads it",
            remedy,
            name,
            str(entry.get("host", "")),
        )


@rule("variable-renamed", ERROR, "A role's variable is set that a site now sets under another name.")
def variable_renamed(site: Site) -> Iterator[Problem]:
    for entry in site.renamed:
        old = str(entry.get("variable", ""))
        new = RENAMED.get(old, "")
        yield Problem(
            f"has no effect in an inventory: the site contract has it as {new}",
            f"write {new} with the same value",
            old,
            str(entry.get("host", "")),
        )


@rule("wrong-type", ERROR, "A value has another type than the contract says.", acceptable=False)
def wrong_type(site: Site) -> Iterator[Problem]:
    for variable, spec in site.specs.items():
        if variable in site.values:
            fault = type_fault(site.values[variable], as_mapping(spec))
            if fault:
                yield Problem(
                    fault, _type_remedy(site.values[variable], as_mapping(spec).get("type")), variable
                )
    for host in site.hosts.values():
        for variable, value in host.variables.items():
            spec = as_mapping(site.specs.get(variable))
            fault = type_fault(value, spec) if spec else ""
            if fault:
                yield Problem(fault, _type_remedy(value, spec.get("type")), variable, host.name)


def _type_remedy(value: object, kind: object) -> str:
    if kind == "str" and isinstance(value, (int, float)):
        return f'put it in quotes: "{value}"; YAML reads it as a number otherwise'
    return "write it as the contract shows: ansible-doc -t role ironbinder.platform.site"


@rule("site-name-malformed", ERROR, "The site's name is no DNS label.")
def site_name_malformed(site: Site) -> Iterator[Problem]:
    name = site.text("site_name")
    if name and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
        yield Problem(
            f"is {name[:60]!r}",
            "use at most 40 lower-case letters, digits and hyphens, such as stfc-binder",
            "site_name",
        )


@rule("computed-value-set", WARNING, "The inventory sets a value that Ironbinder computes.")
def computed_value_set(site: Site) -> Iterator[Problem]:
    for variable in COMPUTED:
        if variable in site.given:
            yield Problem(
                "is computed from the rest of the contract, and other stages rely on that",
                "remove it, and set what it is computed from",
                variable,
            )
