# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about registries that a site does not run: Docker Hub, Google's, Harbor, and those with a token service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_token import challenge_fields
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import detail, seen_from_nodes
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import registry_is_ours
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import (
    HOST,
    PREFIX,
    prefix_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import (
    GOOGLE,
    KEY_USERS,
    OTHER,
    TOKEN_URL,
    common_spelling,
    kind_of,
    robot_project,
    token_url_fault,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

USER = "site_registry_username"
# Each account with its password.
ACCOUNTS = {
    USER: "site_registry_password",
    "site_registry_pull_username": "site_registry_pull_password",
}
# What registries say to an account that may not push, and where there is no such project; pull-through caches say 405.
REFUSALS = (400, 401, 403, 404, 405)
EXAMPLE = "https://gitlab.example.org/jwt/auth?service=container_registry"


def _is_refused(site: Site) -> bool:
    """Whether the account itself is not taken, or nobody can log in: other rules say so, and all else follows from it."""
    return any(
        answer.get("error") or as_int(answer.get("status")) not in (0, 200)
        for answer, _ in seen_from_nodes(site, "registry_login")
    )


@rule(
    "registry-prefix-levels",
    ERROR,
    "The registry wants another number of levels before an image's name.",
    acceptable=False,
)
def registry_prefix_levels(site: Site) -> Iterator[Problem]:
    fault = prefix_fault(site.text(PREFIX), site.text(HOST))
    if fault and fault.kind == "levels":
        yield Problem(fault.observed, fault.remedy, PREFIX)


@rule(
    "registry-account-missing",
    ERROR,
    "The registry takes images from known accounts only, and the site has none.",
    acceptable=False,
)
def registry_account_missing(site: Site) -> Iterator[Problem]:
    password = as_mapping(as_mapping(site.secrets.get("values")).get(ACCOUNTS[USER]))
    # A password without a name is another rule's matter.
    if kind_of(site.text(HOST)) != OTHER and not site.text(USER) and password.get("empty") is not False:
        yield Problem(
            f"is empty, and {site.text(HOST)} takes no image from nobody",
            "set it in site.yml, and site_registry_password in secrets.yml",
            USER,
        )


@rule(
    "registry-token-url-unusable",
    ERROR,
    "The URL of the registry's token service is none that BinderHub can use.",
    acceptable=False,
)
def registry_token_url_unusable(site: Site) -> Iterator[Problem]:
    url = site.text(TOKEN_URL)
    fault = token_url_fault(url, site.flag("site_registry_plain_http_enabled"))
    if fault:
        yield Problem(fault, f"write it as {EXAMPLE}, without an account", TOKEN_URL)
    elif url and registry_is_ours(site):
        yield Problem("is set, and the site's own registry has no token service", "leave it empty", TOKEN_URL)


@rule("registry-token-refused", ERROR, "BinderHub gets no token for the registry.")
def registry_token_refused(site: Site) -> Iterator[Problem]:
    if _is_refused(site):
        return
    for answer, where in seen_from_nodes(site, "registry_token"):
        status = as_int(answer.get("status"))
        if status == 200 and answer.get("token") is True:
            continue
        said = detail(answer) or (f"answers {status}" if status != 200 else "answers without a token")
        yield Problem(
            f"{as_text(answer.get('url'))[:160]}: {said}",
            "correct it: the registry's /v2/ says realm and service in WWW-Authenticate",
            TOKEN_URL,
            where,
        )


def _named_service(challenge: str, plain_http: bool) -> str:
    """Give the URL of the token service that a registry names, as BinderHub takes it; empty where it cannot."""
    fields = challenge_fields(challenge)
    realm, service = fields.get("realm", ""), quote(fields.get("service", ""), safe="")
    if not realm or token_url_fault(realm, plain_http):
        return ""
    return f"{realm}{'&' if '?' in realm else '?'}service={service}" if service else realm


@rule(
    "registry-token-service-unnamed",
    WARNING,
    "BinderHub is to find the registry's token service by itself, and may then not find images that are there.",
)
def registry_token_service_unnamed(site: Site) -> Iterator[Problem]:
    # Of Docker Hub and Google the service is known, however they are written.
    host = site.text(HOST)
    if registry_is_ours(site) or kind_of(common_spelling(host) or host) != OTHER or site.text(TOKEN_URL):
        return
    challenges = [
        as_text(answer.get("challenge"))
        for answer, _ in seen_from_nodes(site, "registry")
        if as_int(answer.get("status")) == 401
    ]
    asking = [challenge for challenge in challenges if challenge.lower().startswith("bearer")]
    if asking and not _is_refused(site):
        url = _named_service(asking[0], site.flag("site_registry_plain_http_enabled"))
        # binderhub/registry.py sets Accept with a token of `token_url`, and leaves it out with one of a challenge.
        yield Problem(
            f"is empty, and {host} gives tokens by a service: BinderHub asks for an image without saying which "
            "forms it takes where it finds that itself, some registries answer 404 then, and every launch builds anew",
            f"set it to {url}" if url else f"set it, such as {EXAMPLE}",
            TOKEN_URL,
        )


@rule("registry-push-refused", ERROR, "The registry takes the site's account, and lets it push nothing.")
def registry_push_refused(site: Site) -> Iterator[Problem]:
    if _is_refused(site):
        return
    for answer, where in seen_from_nodes(site, "registry_push"):
        if as_int(answer.get("status")) in REFUSALS:
            yield Problem(
                f"{site.text(HOST)} answers {answer['status']} to an upload below {site.text(PREFIX)}",
                f"give this account the right to push there, or correct {PREFIX}: organisation or project have to be there "
                "already",
                USER,
                where,
            )


def _keys(site: Site) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Give (account, variable of its password, what `describe_key` says of it) of accounts at a registry of Google's."""
    told = as_mapping(site.secrets.get("keys"))
    for user, password in ACCOUNTS.items():
        if kind_of(site.text(HOST)) == GOOGLE and site.text(user):
            yield user, password, as_mapping(told.get(password))


@rule("registry-key-account", ERROR, "An account at a registry of Google's is no key file's.")
def registry_key_account(site: Site) -> Iterator[Problem]:
    for user, password, key in _keys(site):
        wanted = KEY_USERS[key.get("form") == "base64"]
        if site.text(user) not in KEY_USERS or (key.get("form") and site.text(user) != wanted):
            yield Problem(
                f"is {site.text(user)[:60]}, which is not who shows a key file{' in base64' if wanted == KEY_USERS[1] else ''}",
                f"write {wanted}, and the key of a service account as {password} in secrets.yml",
                user,
            )


@rule("registry-key-malformed", ERROR, "The key of an account at a registry of Google's is none.")
def registry_key_malformed(site: Site) -> Iterator[Problem]:
    values = as_mapping(site.secrets.get("values"))
    for user, password, key in _keys(site):
        if site.text(user) not in KEY_USERS or as_mapping(values.get(password)).get("empty") is True:
            continue
        missing = [as_text(name) for name in as_list(key.get("missing"))]
        fault = ""
        if not key.get("form"):
            fault = "is no JSON object"
        elif missing:
            fault = f"lacks {', '.join(missing)}"
        elif key.get("type") != "service_account":
            fault = f"is of the type {as_text(key.get('type'))[:40]}, and not of a service account"
        if fault:
            yield Problem(
                fault,
                "give the whole file that was downloaded when the key was made, best in base64 (base64 -w0 key.json) with the "
                "account _json_key_base64",
                password,
            )


@rule(
    "registry-key-other-project", WARNING, "The key is of another project than the one that gets the images."
)
def registry_key_other_project(site: Site) -> Iterator[Problem]:
    for _, password, key in _keys(site):
        # The project of a domain is written example.org:name, and example.org/name in a path.
        project = as_text(key.get("project"))
        if project and not site.text(PREFIX).startswith(f"{project.replace(':', '/')}/"):
            yield Problem(
                f"is of the project {project[:60]}, and the images go below {site.text(PREFIX)[:60]}",
                f"begin {PREFIX} with the project, unless this account may push to the other",
                password,
            )


@rule("registry-robot-other-project", ERROR, "A robot of Harbor's is of another project than the images.")
def registry_robot_other_project(site: Site) -> Iterator[Problem]:
    if registry_is_ours(site):
        return
    first = site.text(PREFIX).partition("/")[0]
    for user in ACCOUNTS:
        project = robot_project(site.text(user))
        if project and project != first:
            yield Problem(
                f"is a robot of the project {project[:60]}, and the images go to {first[:60]}",
                f"begin {PREFIX} with {project[:60]}/, or make a robot of {first[:60]}",
                user,
            )
