# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the OpenID providers by which people sign in: whether they answer, and are who the site takes them for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import (
    discovery_fault,
    issuer_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import (
    SILENT,
    detail,
    seen_from_nodes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import auth_of, probed_name

ENDPOINTS_REMEDY = (
    "or name its addresses in auth.endpoints, where the controller cannot reach it and the hub can"
)
# What the probe calls answers that came, and are of no use.
USELESS = {"untrusted": "its certificate is not trusted", "not-tls": "it speaks no TLS"}


def _asked(site: Site) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """Give the hubs whose provider the controller asked: hub, where its `auth` stands, that with defaults, the answer."""
    for name, told in as_mapping(site.controller.get("providers")).items():
        if name in site.hubs:
            auth = auth_of(site.hubs[name].get("auth"))
            yield name, f"site_hubs.{name}.auth", auth, as_mapping(told)


def _fault(told: Mapping[str, Any]) -> str:
    return as_text(told.get("error")) or discovery_fault({"endpoints": as_mapping(told.get("endpoints"))})


@rule(
    "provider-unusable", ERROR, "The provider by which people sign in gives the controller no usable answer."
)
def provider_unusable(site: Site) -> Iterator[Problem]:
    for _, where, _, told in _asked(site):
        if fault := _fault(told):
            yield Problem(
                f"{as_text(told.get('url'))}: {fault[:200]}",
                "correct the issuer, list its CA in site_ca_files, set site_https_proxy if there is one; "
                + ENDPOINTS_REMEDY,
                f"{where}.issuer",
            )


@rule(
    "provider-issuer-differs",
    ERROR,
    "The provider calls itself otherwise than the site does.",
    acceptable=False,
)
def provider_issuer_differs(site: Site) -> Iterator[Problem]:
    for _, where, auth, told in _asked(site):
        own = as_text(told.get("issuer"))
        fault = issuer_fault(as_text(auth["issuer"]), own) if own and not _fault(told) else ""
        if fault:
            yield Problem(f"is {auth['issuer']}, and {fault}", f"write {own[:200]}", f"{where}.issuer")


@rule(
    "provider-claim-unknown", WARNING, "The provider does not list a claim or scope that the hub relies on."
)
def provider_claim_unknown(site: Site) -> Iterator[Problem]:
    for _, where, auth, told in _asked(site):
        for key, what, wanted in (
            ("username_claim", "claims", [auth["username_claim"]]),
            ("groups_claim", "claims", [auth["groups_claim"]]),
            ("scopes", "scopes", as_list(auth["scopes"])),
        ):
            missing = _missing(told, what, wanted)
            if missing:
                yield Problem(
                    f"has {', '.join(missing)}, which is not among the {what} that the provider lists",
                    "compare with its document and its settings for this client; some providers list less than they tell",
                    f"{where}.{key}",
                )


def _missing(told: Mapping[str, Any], what: str, wanted: list[Any]) -> list[str]:
    known = as_list(told.get(what))
    # A dot leads into a claim that is a mapping.
    return [
        name for name in wanted if known and as_text(name) and not {name, name.split(".")[0]} & set(known)
    ]


@rule("provider-unreachable-from-node", ERROR, "A node that runs the hub does not reach the provider.")
def provider_unreachable_from_node(site: Site) -> Iterator[Problem]:
    for name, where, _, told in _asked(site):
        if _fault(told):  # whose finding says it
            continue
        for answer, nodes in seen_from_nodes(site, probed_name(name)):
            error, status = as_text(answer.get("error")), answer.get("status")
            if error or status != 200:
                why = {**SILENT, **USELESS}.get(error, error) or f"it answers {status}"
                yield Problem(
                    f"the controller reaches {as_text(told.get('url'))}, and {nodes} does not: {why} {detail(answer)}".rstrip(),
                    "open the way from there, list its CA in site_ca_files, or set site_https_proxy",
                    f"{where}.issuer",
                )
