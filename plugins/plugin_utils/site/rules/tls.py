# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the certificates of the proxy and of the site's own registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import (
    registry_at,
    registry_is_ours,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_servers import (
    Certificate,
    certificates,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

DAY = 86_400
SOON_DAYS = 21


def _wanted(site: Site) -> Iterator[Certificate]:
    """Give every certificate that this site needs."""
    yield from certificates(site)
    if registry_is_ours(site) and not site.flag("site_registry_plain_http_enabled"):
        variables = ("site_registry_tls_certificate_file", "site_registry_tls_key_file")
        files = (site.text(variables[0]), site.text(variables[1]))
        yield Certificate("registry", (registry_at(site)[0],), variables, files)


def _told(site: Site, wanted: Certificate) -> Mapping[str, Any]:
    return as_mapping(as_mapping(site.controller.get("tls")).get(wanted.purpose))


def _of(wanted: Certificate) -> str:
    """Name whose certificate it is."""
    return ", ".join(name for name in wanted.hosts if name) or wanted.purpose


def _readable(site: Site) -> Iterator[tuple[Certificate, Mapping[str, Any]]]:
    for wanted in _wanted(site):
        told = _told(site, wanted)
        if told and not told.get("certificate_error"):
            yield wanted, told


@rule("tls-files-missing", ERROR, "TLS is wanted, and no certificate or key is named.")
def tls_files_missing(site: Site) -> Iterator[Problem]:
    for wanted in _wanted(site):
        for variable, file in zip(wanted.variables, wanted.files, strict=True):
            if not file:
                yield Problem(
                    f"is empty, and {_of(wanted)} speaks TLS",
                    "name the PEM file on the controller",
                    variable,
                )


@rule("tls-file-unreadable", ERROR, "A certificate or key cannot be read.")
def tls_file_unreadable(site: Site) -> Iterator[Problem]:
    for wanted in _wanted(site):
        for variable, kind in zip(wanted.variables, ("certificate", "key"), strict=True):
            fault = as_text(_told(site, wanted).get(f"{kind}_error"))
            if fault:
                yield Problem(fault, "give the path of a PEM file on the controller", variable)


@rule("tls-key-mismatch", ERROR, "Key and certificate do not belong together.")
def tls_key_mismatch(site: Site) -> Iterator[Problem]:
    for wanted, told in _readable(site):
        if told.get("key_matches") is False:
            yield Problem(
                "is not the key of the certificate",
                "name the key that the certificate was asked for with; the server's certificate comes first in its file",
                wanted.variables[1],
            )


@rule("tls-key-readable", WARNING, "A private key can be read by others on the controller.")
def tls_key_readable(site: Site) -> Iterator[Problem]:
    for wanted in _wanted(site):
        mode = _told(site, wanted).get("key_mode")
        if isinstance(mode, int) and mode & 0o077:
            yield Problem(f"has mode {mode:04o}", "chmod 600", wanted.variables[1])


@rule("tls-expired", ERROR, "A certificate has expired, or is not valid yet.")
def tls_expired(site: Site) -> Iterator[Problem]:
    for wanted, told in _readable(site):
        begins, ends = told.get("not_before"), told.get("not_after")
        if isinstance(ends, (int, float)) and site.clock and ends <= site.clock:
            days = int((site.clock - ends) // DAY)
            yield Problem(
                f"expired {days} days ago", f"renew the certificate of {_of(wanted)}", wanted.variables[0]
            )
        elif isinstance(begins, (int, float)) and site.clock and begins > site.clock:
            yield Problem("is not valid yet", "correct the controller's clock, or wait", wanted.variables[0])


@rule("tls-expires-soon", WARNING, "A certificate expires soon.")
def tls_expires_soon(site: Site) -> Iterator[Problem]:
    for wanted, told in _readable(site):
        ends = told.get("not_after")
        if isinstance(ends, (int, float)) and 0 < ends - site.clock < SOON_DAYS * DAY:
            days = int((ends - site.clock) // DAY)
            yield Problem(
                f"expires in {days} days", f"renew the certificate of {_of(wanted)}", wanted.variables[0]
            )


def _covers(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return "." in name and pattern[2:].lower() == name.partition(".")[2].lower()
    return pattern.lower() == name.lower()


@rule("tls-name-missing", ERROR, "A certificate does not have the name that people use.")
def tls_name_missing(site: Site) -> Iterator[Problem]:
    for wanted, told in _readable(site):
        names = [str(entry) for entry in as_list(told.get("names"))]
        # One certificate may stand for several names, and lack some of them.
        lacking = [
            name
            for name in wanted.hosts
            if name and not any(_covers(entry, str(parse_ip(name) or name)) for entry in names)
        ]
        if lacking:
            people, own = ", ".join(lacking), len(wanted.hosts) > 1
            yield Problem(
                f"is for {', '.join(names[:5]) or 'no name'}, and people come to {people}",
                f"ask for a certificate with {people} among its subject alternative names"
                + (
                    ", or name one of its own in the hub's tls_certificate_file and tls_key_file"
                    if own
                    else ""
                ),
                wanted.variables[0],
            )


@rule("tls-chain-incomplete", ERROR, "A certificate's file lacks the certificates between it and its CA.")
def tls_chain_incomplete(site: Site) -> Iterator[Problem]:
    for wanted, told in _readable(site):
        missing = as_text(told.get("chain_missing"))
        if missing:
            yield Problem(
                f"does not say who {missing} is, which signed its last certificate",
                "append the intermediate certificates to the file (often called fullchain.pem), or add the CA to site_ca_files",
                wanted.variables[0],
            )


@rule("tls-library-missing", WARNING, "Certificates could not be looked at.")
def tls_library_missing(site: Site) -> Iterator[Problem]:
    if as_mapping(site.controller.get("tls")).get("library_missing") is True and any(_wanted(site)):
        yield Problem(
            "the Python package cryptography is missing on the controller, so certificates were not looked at",
            "pip install cryptography",
        )
