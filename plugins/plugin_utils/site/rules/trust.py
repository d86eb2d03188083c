# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what the site hands on to every machine and pod: its CAs, its names, the base of its images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

DAY = 86_400
CA_FILES, EXTRA_HOSTS = "site_ca_files", "site_extra_hosts"
# As resolvers take them; an underscore is no host's by RFC 952, and yet in use.
NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.IGNORECASE)
# kubeadm's name of the cluster, whose DNS answers for it.
CLUSTER_DOMAIN = "cluster.local"


def _ca_files(site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, answer in as_mapping(site.controller.get("ca_files")).items():
        yield path, dict(as_mapping(answer))


@rule("ca-file-has-key", ERROR, "A CA file holds a private key.", acceptable=False)
def ca_file_has_key(site: Site) -> Iterator[Problem]:
    for path, told in _ca_files(site):
        if told.get("holds_key") is True:
            yield Problem(
                f"{path} holds a private key, and would be written to every node and into images as it is",
                "make a file of the certificate alone: openssl x509 -in FILE -out ca.crt; and take the key off the controller",
                CA_FILES,
            )


@rule("ca-not-yet-valid", ERROR, "A CA of the site is not valid yet.")
def ca_not_yet_valid(site: Site) -> Iterator[Problem]:
    for path, told in _ca_files(site):
        begins = told.get("not_before")
        if isinstance(begins, (int, float)) and site.clock and begins > site.clock:
            days = int((begins - site.clock) // DAY) + 1
            yield Problem(
                f"{path} is not valid for another {days} days",
                "correct the controller's clock, or name the CA that is in use until then",
                CA_FILES,
            )


@rule("ca-file-is-no-ca", WARNING, "A CA file holds a server's certificate.")
def ca_file_is_no_ca(site: Site) -> Iterator[Problem]:
    for path, told in _ca_files(site):
        names = [str(name) for name in as_list(told.get("no_ca"))]
        if names:
            yield Problem(
                f"{path} holds the certificate of {', '.join(names[:3])[:120]}, which may not vouch for others",
                "name the CA that signed it; most programs trust nobody by a server's own certificate",
                CA_FILES,
            )


def _names(entry: Any) -> list[str] | None:
    """The names of an address, None where they are no list of names."""
    if not isinstance(entry, (list, tuple)) or not entry:
        return None
    names = [as_text(name) for name in entry]
    return names if all(NAME.fullmatch(name) for name in names) else None


@rule("extra-hosts-malformed", ERROR, "A name to be handed on has no address, or is none.", acceptable=False)
def extra_hosts_malformed(site: Site) -> Iterator[Problem]:
    for address, entry in as_mapping(site.values.get(EXTRA_HOSTS)).items():
        if parse_ip(address) is None:
            yield Problem(
                f"has {address[:60]!r}, which is no address",
                "write {address: [name, ...]}: the address comes first, as in /etc/hosts",
                EXTRA_HOSTS,
            )
        elif _names(entry) is None:
            yield Problem(
                f"has {str(entry)[:80]!r} at {address}, which is no list of names",
                "write the names of an address as a list: [git.example.org, git]",
                EXTRA_HOSTS,
            )


@rule("extra-hosts-conflict", ERROR, "A name to be handed on is somebody's already.")
def extra_hosts_conflict(site: Site) -> Iterator[Problem]:
    nodes = {host.name.lower(): host.address for host in site.nodes}
    for address, entry in as_mapping(site.values.get(EXTRA_HOSTS)).items():
        for name in _names(entry) or [] if parse_ip(address) else []:
            own = nodes.get(name.lower())
            if own and own != address:
                yield Problem(
                    f"gives {name} the address {address}, and it is the node at {own}",
                    "take the name out: nodes know each other's names",
                    EXTRA_HOSTS,
                )
            elif f".{name.lower()}".endswith(f".{CLUSTER_DOMAIN}"):
                yield Problem(
                    f"names {name}, which the cluster's DNS would no longer answer for",
                    f"use another name: all of {CLUSTER_DOMAIN} is the cluster's",
                    EXTRA_HOSTS,
                )


@rule(
    "base-image-malformed",
    ERROR,
    "The base of people's images cannot be made as it is written.",
    acceptable=False,
)
def base_image_malformed(site: Site) -> Iterator[Problem]:
    fault = as_mapping(as_mapping(site.values.get("site_base_image_context")).get("fault"))
    if fault:
        yield Problem(
            as_text(fault.get("observed")),
            "write images as registry/name:tag, and URLs with https:// and without an account; what is in the base is no secret",
            as_text(fault.get("variable")),
        )
