# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the registry that receives people's images, and how the nodes see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import (
    SILENT,
    detail,
    seen_from_nodes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import (
    registry_is_ours,
    registry_runs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    HOST,
    PREFIX,
    Fault,
    host_fault,
    prefix_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

REDIRECTS = (301, 302, 303, 307, 308)
# From here on a server says that it cannot, as a gate does before a registry that is down.
BROKEN = 500


def _host(site: Site, *kinds: str) -> Iterator[Problem]:
    yield from _problems(host_fault(site.text(HOST)), HOST, kinds)


def _prefix(site: Site, kind: str) -> Iterator[Problem]:
    yield from _problems(prefix_fault(site.text(PREFIX), site.text(HOST)), PREFIX, (kind,))


def _problems(fault: Fault | None, variable: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
    if fault and fault.kind in kinds:
        yield Problem(fault.observed, fault.remedy, variable)


@rule(
    "registry-host-has-scheme",
    ERROR,
    "The registry's host has a scheme, where none belongs.",
    acceptable=False,
)
def registry_host_has_scheme(site: Site) -> Iterator[Problem]:
    yield from _host(site, "scheme")


@rule(
    "registry-host-malformed",
    ERROR,
    "The registry's host is no host or host:port.",
    acceptable=False,
)
def registry_host_malformed(site: Site) -> Iterator[Problem]:
    yield from _host(site, "path", "form")


@rule(
    "registry-prefix-without-level",
    ERROR,
    "The registry's prefix has no path level, so every launch rebuilds.",
    acceptable=False,
)
def registry_prefix_without_level(site: Site) -> Iterator[Problem]:
    yield from _prefix(site, "level")


@rule(
    "registry-prefix-malformed",
    ERROR,
    "The registry's prefix is not the beginning of an image's name.",
    acceptable=False,
)
def registry_prefix_malformed(site: Site) -> Iterator[Problem]:
    yield from _prefix(site, "form")


@rule("registry-unreachable", ERROR, "Nodes cannot reach the registry.")
def registry_unreachable(site: Site) -> Iterator[Problem]:
    if not registry_runs(site):
        return
    for answer, where in seen_from_nodes(site, "registry"):
        if answer.get("error") in SILENT:
            yield Problem(
                f"{site.text(HOST)}: {SILENT[str(answer['error'])]} ({detail(answer)})",
                "start it, correct the host, or open the way from the nodes to it",
                HOST,
                where,
            )


@rule("registry-is-none", ERROR, "What answers at the registry's address is no registry.")
def registry_is_none(site: Site) -> Iterator[Problem]:
    if not registry_runs(site):
        return
    for answer, where in seen_from_nodes(site, "registry"):
        status = as_int(answer.get("status"))
        if answer.get("error") or status in (0, 200, 401, *REDIRECTS):
            continue
        if not (registry_is_ours(site) and status >= BROKEN):  # registry-own-differs tells that
            yield Problem(
                f"{site.text(HOST)}/v2/ answers {status}, where a registry answers 200 or 401",
                "correct host and port; the address of its web page is often another",
                HOST,
                where,
            )


@rule("registry-redirects", ERROR, "What answers at the registry's address leads elsewhere.")
def registry_redirects(site: Site) -> Iterator[Problem]:
    if not registry_runs(site):
        return
    for answer, where in seen_from_nodes(site, "registry"):
        if as_int(answer.get("status")) in REDIRECTS:
            yield Problem(
                f"{site.text(HOST)}/v2/ redirects to {as_text(answer.get('redirect'))[:160] or 'nowhere'}, "
                "and no password follows it there",
                "give the registry's own host and port, where it answers itself",
                HOST,
                where,
            )


@rule("registry-ca-not-trusted", ERROR, "The CAs of the site do not vouch for the registry.")
def registry_ca_not_trusted(site: Site) -> Iterator[Problem]:
    if registry_is_ours(site):  # registry-own-differs tells that
        return
    for answer, where in seen_from_nodes(site, "registry"):
        if answer.get("error") == "untrusted":
            yield Problem(
                f"its certificate is not accepted: {detail(answer)}",
                "add the CA's PEM file to site_ca_files, or give the registry a certificate with this name",
                "site_ca_files",
                where,
            )


@rule("registry-plain-http", ERROR, "The registry speaks plain HTTP, and nobody allowed that.")
def registry_plain_http(site: Site) -> Iterator[Problem]:
    if registry_is_ours(site):  # registry-own-differs tells that
        return
    for answer, where in seen_from_nodes(site, "registry"):
        if answer.get("error") == "not-tls" and not site.flag("site_registry_plain_http_enabled"):
            yield Problem(
                f"{site.text(HOST)} answers without TLS",
                "give it a certificate, or set site_registry_plain_http_enabled: true if nobody else can reach it",
                "site_registry_plain_http_enabled",
                where,
            )


def _password(site: Site) -> Mapping[str, Any]:
    """What is known of the registry's password, see `secret_facts.describe`; nothing where it is not set."""
    return as_mapping(as_mapping(site.secrets.get("values")).get("site_registry_password"))


@rule("registry-plain-http-password", WARNING, "The registry's password would travel readable.")
def registry_plain_http_password(site: Site) -> Iterator[Problem]:
    password = _password(site)
    if site.flag("site_registry_plain_http_enabled") and password and password.get("empty") is not True:
        yield Problem(
            "is on, and the registry has a password",
            "give the registry a certificate",
            "site_registry_plain_http_enabled",
        )


@rule("registry-login-refused", ERROR, "The registry does not take the site's user name and password.")
def registry_login_refused(site: Site) -> Iterator[Problem]:
    if registry_is_ours(site):  # registry-own-differs tells that
        return
    for answer, where in seen_from_nodes(site, "registry_login"):
        if as_int(answer.get("status")) in (401, 403):
            yield Problem(
                f"{site.text(HOST)} answers {answer['status']} to this account",
                "correct site_registry_username and site_registry_password in secrets.yml",
                "site_registry_password",
                where,
            )


def _unlike_ours(answer: Mapping[str, Any], plain: bool) -> str:
    """Say what a registry answers that has not, or no longer, what this site gives it; nothing where it has."""
    if answer.get("error") == "untrusted":
        return f"its certificate is not accepted: {detail(answer)}"
    if answer.get("error") == "not-tls" and not plain:
        return "it answers without TLS"
    if not answer.get("error") and as_int(answer.get("status")) >= BROKEN:
        return f"it answers {answer['status']}, as what is behind its gate is down"
    return ""


@rule(
    "registry-own-differs",
    WARNING,
    "The site's own registry is down behind its gate, or has another certificate or other accounts. A run puts that right.",
)
def registry_own_differs(site: Site) -> Iterator[Problem]:
    if not (registry_is_ours(site) and registry_runs(site)):
        return
    for answer, where in seen_from_nodes(site, "registry"):
        if told := _unlike_ours(answer, site.flag("site_registry_plain_http_enabled")):
            yield Problem(
                f"{site.text(HOST)}: {told}",
                "run site.yml, which starts it with the site's configuration and certificate",
                HOST,
                where,
            )
    for answer, where in seen_from_nodes(site, "registry_login"):
        if as_int(answer.get("status")) in (401, 403):
            yield Problem(
                f"{site.text(HOST)} answers {answer['status']} to this account",
                "run site.yml, which gives it the accounts of secrets.yml, and the hubs the new password",
                "site_registry_password",
                where,
            )


@rule(
    "registry-login-fails", ERROR, "Nobody can log in to the registry: what it sends people to does not work."
)
def registry_login_fails(site: Site) -> Iterator[Problem]:
    if not registry_runs(site):
        return
    for answer, where in seen_from_nodes(site, "registry_login"):
        server, status = as_text(answer.get("login")), as_int(answer.get("status"))
        # Without `login` the registry itself failed, and other rules say so.
        if not server or (not answer.get("error") and status in (0, 200, 401, 403)):
            continue
        said = detail(answer) or f"answers {status}"
        if status in REDIRECTS:
            said += f" and redirects to {as_text(answer.get('redirect'))[:160]}, where no password follows"
        yield Problem(
            f"it has people log in at {server[:160]}: {said}",
            "correct the registry's token server (its auth realm), and open the way from the nodes to it",
            HOST,
            where,
        )


@rule("registry-wants-login", ERROR, "The registry asks for an account, and the site has none.")
def registry_wants_login(site: Site) -> Iterator[Problem]:
    if registry_is_ours(site) or site.text("site_registry_username"):
        return
    for answer, where in seen_from_nodes(site, "registry"):
        # A token server may well hand out tokens to nobody in particular, as Docker Hub's does.
        by_token = as_text(answer.get("challenge")).lower().startswith("bearer")
        if as_int(answer.get("status")) == 401 and not by_token:
            yield Problem(
                f"{site.text(HOST)} answers 401 without an account",
                "set site_registry_username in site.yml and site_registry_password in secrets.yml",
                "site_registry_username",
                where,
            )


@rule("registry-account-incomplete", ERROR, "The registry has a user without a password, or the reverse.")
def registry_account_incomplete(site: Site) -> Iterator[Problem]:
    password = _password(site)
    user = site.text("site_registry_username")
    if password and bool(user) == (password.get("empty") is True):
        missing = "site_registry_password" if user else "site_registry_username"
        yield Problem("is empty, and its partner is not", "set both, or neither", missing)


@rule("registry-own-without-account", ERROR, "The site's own registry has no account, so anybody could push.")
def registry_own_without_account(site: Site) -> Iterator[Problem]:
    password = _password(site)
    if registry_is_ours(site) and password.get("empty") is True and not site.text("site_registry_username"):
        yield Problem(
            "the group registry has a host, and no account protects it",
            "set site_registry_username, and site_registry_password in secrets.yml",
            "site_registry_username",
        )
