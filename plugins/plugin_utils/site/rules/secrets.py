# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about secrets, from descriptions that hold none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import HUB_LABEL
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    AUTH_SECRETS,
    GIT_TOKENS,
    MISSING,
    OPTIONAL_TOKENS,
    SIGN_IN_TOKENS,
    TOKENS,
    token_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import signs_in

MAKE = (
    "`make secrets SITE=<site>` adds it to secrets.yml, or you do (openssl rand -hex 32); where there is no secrets.yml, "
    "`make site NAME=<site>` writes one"
)
PASSWORD_LENGTH = 8


def _described(site: Site) -> Iterator[tuple[str, Mapping[str, Any]]]:
    values = as_mapping(site.secrets.get("values"))
    return ((variable, as_mapping(values[variable])) for variable in values)


def _named(site: Site) -> dict[str, Mapping[str, Any]]:
    """Give the hubs whose name is one; of others hub-malformed tells, and their tokens follow the name."""
    return {name: hub for name, hub in site.hubs.items() if HUB_LABEL.fullmatch(name)}


def _is_token(variable: str) -> bool:
    return variable.startswith(TOKENS)


@rule("token-missing", ERROR, "A hub has no token.", acceptable=False)
def token_missing(site: Site) -> Iterator[Problem]:
    described = dict(_described(site))
    broken = {entry.get("variable") for entry in site.errors}
    for variable in (name for name in TOKENS if name not in broken):
        for hub, given in _named(site).items():
            if variable in OPTIONAL_TOKENS or (variable in SIGN_IN_TOKENS and not signs_in(given)):
                continue
            if token_fault(described.get(f"{variable}.{hub}")) == MISSING:
                yield Problem(f"the hub {hub} has none", MAKE, f"{variable}.{hub}")


@rule("secret-not-text", ERROR, "A secret is no text.")
def secret_not_text(site: Site) -> Iterator[Problem]:
    for variable, told in _described(site):
        if told.get("text") is not True:
            yield Problem("is no text, a number, say", "put it in quotes", variable)


@rule("token-malformed", ERROR, "A token is not 32 bytes in hex.", acceptable=False)
def token_malformed(site: Site) -> Iterator[Problem]:
    for variable, told in _described(site):
        # What is no text, and what everybody knows, have rules of their own.
        judged = told.get("text") is True and told.get("default") is not True
        fault = token_fault(told) if judged and _is_token(variable) else ""
        if fault not in ("", MISSING):
            yield Problem(fault, "make one: openssl rand -hex 32", variable)


@rule("secret-default", ERROR, "A secret is one that everybody knows.")
def secret_default(site: Site) -> Iterator[Problem]:
    for variable, told in _described(site):
        if told.get("default") is True:
            yield Problem("is a word out of an example", "make a secret one: openssl rand -hex 32", variable)


@rule("password-short", WARNING, "A password is short.")
def password_short(site: Site) -> Iterator[Problem]:
    for variable, told in _described(site):
        judged = (
            told.get("text") is True and told.get("empty") is not True and told.get("default") is not True
        )
        # Of a token for a Git server git-token-malformed tells, and of what signing in takes rules about that.
        others = variable in GIT_TOKENS or _is_token(variable) or variable.startswith(AUTH_SECRETS)
        if judged and not others and as_int(told.get("length")) < PASSWORD_LENGTH:
            yield Problem(f"has fewer than {PASSWORD_LENGTH} characters", "use a longer one", variable)


@rule("token-of-no-hub", WARNING, "A token belongs to a hub that the site does not have.")
def token_of_no_hub(site: Site) -> Iterator[Problem]:
    for variable, _ in _described(site):
        hub = variable.split(".")[1] if "." in variable else ""
        by_hub = _is_token(variable) or variable.startswith(AUTH_SECRETS)
        # A token may be that of a hub whose name is to be corrected.
        if site.hubs and by_hub and hub not in site.hubs and len(_named(site)) == len(site.hubs):
            yield Problem(
                f"there is no hub {hub} in site_hubs", "correct its name, or remove the token", variable
            )


@rule("secrets-equal", ERROR, "Two secrets of the site are the same.")
def secrets_equal(site: Site) -> Iterator[Problem]:
    for pair in as_list(site.secrets.get("equal")):
        names = [str(name) for name in as_list(pair)]
        if len(names) == 2:
            yield Problem(f"is the same as {names[0]}", "make another one: openssl rand -hex 32", names[1])


@rule("secrets-shared", ERROR, "Another site in this repository has the same secret.")
def secrets_shared(site: Site) -> Iterator[Problem]:
    for entry in as_list(site.secrets.get("shared")):
        told = as_mapping(entry)
        yield Problem(
            f"is the same in inventories/{told.get('site')}: who breaks one site has the other",
            "make another one for this site: openssl rand -hex 32",
            as_text(told.get("variable")),
        )


def _files(site: Site) -> Iterator[Mapping[str, Any]]:
    return (as_mapping(entry) for entry in as_list(site.secrets.get("files")))


def _name(path: str) -> str:
    """The file is what is to be looked at, as a variable is elsewhere."""
    return PurePath(path).name


@rule("secrets-file-readable", ERROR, "A file with secrets can be read by others.")
def secrets_file_readable(site: Site) -> Iterator[Problem]:
    for entry in _files(site):
        mode = as_int(entry.get("mode"))
        if mode & 0o077 and entry.get("encrypted") is not True:
            path = as_text(entry.get("path"))
            yield Problem(f"{path} has mode {mode:04o}", f"chmod 600 {path}", _name(path))


@rule("secrets-file-in-git", ERROR, "A file with secrets is in the git repository, unencrypted.")
def secrets_file_in_git(site: Site) -> Iterator[Problem]:
    for entry in _files(site):
        if entry.get("tracked") is True and entry.get("encrypted") is not True:
            path = as_text(entry.get("path"))
            yield Problem(
                f"{path} is tracked by git and not encrypted",
                f"make new secrets, ansible-vault encrypt {path}, and take the old ones out of the history",
                _name(path),
            )


@rule("secrets-file-not-ignored", WARNING, "A file with secrets could be added to git by accident.")
def secrets_file_not_ignored(site: Site) -> Iterator[Problem]:
    for entry in _files(site):
        if (
            entry.get("tracked") is False
            and entry.get("ignored") is False
            and entry.get("encrypted") is not True
        ):
            path = as_text(entry.get("path"))
            yield Problem(
                f"{path} is neither encrypted nor ignored by git",
                f"ansible-vault encrypt {path}, or add it to .gitignore",
                _name(path),
            )
