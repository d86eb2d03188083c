# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the registry's account for sessions, which is to pull and to do nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import seen_from_nodes
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import (
    registry_is_ours,
    registry_runs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import HOST
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import (
    OTHER,
    common_spelling,
    kind_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

PUSHER, PULLER = "site_registry_username", "site_registry_pull_username"
PASSWORD = "site_registry_pull_password"
# As role registry has it: the name of one stands in NGINX's configuration.
NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
ACCEPTED = 202


@rule(
    "registry-one-account",
    WARNING,
    "Sessions pull with the account that pushes: who finds its password can change anybody's image.",
)
def registry_one_account(site: Site) -> Iterator[Problem]:
    if site.text(PUSHER) and not site.text(PULLER):
        remedy = (
            "set it to a new name, and site_registry_pull_password in secrets.yml (openssl rand -hex 32): this run makes it"
            if registry_is_ours(site)
            else "have an account made that only pulls, and set its name here and its password in secrets.yml"
        )
        yield Problem("is empty", remedy, PULLER)


@rule(
    "registry-pull-account-incomplete",
    ERROR,
    "The registry's account for sessions has no password, or no name.",
    acceptable=False,
)
def registry_pull_account_incomplete(site: Site) -> Iterator[Problem]:
    told = as_mapping(as_mapping(site.secrets.get("values")).get(PASSWORD))
    puller = site.text(PULLER)
    if told and bool(puller) == (told.get("empty") is True):
        yield Problem(
            "is empty, and its partner is not", "set both, or neither", PASSWORD if puller else PULLER
        )


@rule(
    "registry-pull-account-same",
    ERROR,
    "The registry's account for sessions is the one that pushes.",
    acceptable=False,
)
def registry_pull_account_same(site: Site) -> Iterator[Problem]:
    puller = site.text(PULLER)
    # Google's keys have one name, and Docker Hub's tokens may; they differ in what they may do. `secrets-equal` sees those that
    # do not differ.
    host = site.text(HOST)
    by_key = kind_of(common_spelling(host) or host) != OTHER
    if puller and puller.lower() == site.text(PUSHER).lower() and not by_key:
        yield Problem(f"is {puller[:60]}, as {PUSHER} is", "name an account that cannot push", PULLER)


@rule(
    "registry-account-name-malformed",
    ERROR,
    "An account of the site's own registry has a name that its configuration cannot hold.",
    acceptable=False,
)
def registry_account_name_malformed(site: Site) -> Iterator[Problem]:
    if not (registry_is_ours(site) and site.text(PULLER)):
        return
    for variable in (PUSHER, PULLER):
        name = site.text(variable)
        if name and not NAME_FORM.fullmatch(name):
            yield Problem(f"is {name[:60]!r}", "use letters, digits and . _ @ + - only", variable)


@rule("registry-pull-login-refused", ERROR, "The registry does not take the account that sessions pull with.")
def registry_pull_login_refused(site: Site) -> Iterator[Problem]:
    # Before the first run with this account a registry of our own cannot know it; the role proves it.
    if registry_is_ours(site) or not registry_runs(site):
        return
    for answer, where in seen_from_nodes(site, "registry_pull_login"):
        if as_int(answer.get("status")) in (401, 403):
            yield Problem(
                f"{site.text(HOST)} answers {answer['status']} to this account",
                f"correct {PULLER} and {PASSWORD} in secrets.yml",
                PASSWORD,
                where,
            )


@rule(
    "registry-pull-account-pushes",
    ERROR,
    "The account that sessions pull with may push: who finds its password can change anybody's image.",
)
def registry_pull_account_pushes(site: Site) -> Iterator[Problem]:
    if not registry_is_ours(site):
        yield from _pushes(site, "take the right to push from it at the registry, or name another account")


@rule(
    "registry-own-gate-open",
    WARNING,
    "The gate of the site's own registry lets the account of sessions push. A run puts that right.",
)
def registry_own_gate_open(site: Site) -> Iterator[Problem]:
    if registry_is_ours(site) and registry_runs(site):
        yield from _pushes(site, "run site.yml, which puts its gate right and proves it")


def _pushes(site: Site, remedy: str) -> Iterator[Problem]:
    for answer, where in seen_from_nodes(site, "registry_pull_push"):
        if as_int(answer.get("status")) != ACCEPTED:
            continue
        left = (
            ""
            if answer.get("called_off") is True
            else "; it could not be called off, and the registry will collect it"
        )
        who = "anybody, without an account" if answer.get("anonymous") is True else "this account"
        yield Problem(
            f"{site.text(HOST)} let {who} begin an upload{left}",
            remedy,
            PULLER,
            where,
        )
