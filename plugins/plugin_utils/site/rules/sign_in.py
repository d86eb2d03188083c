# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about how people sign in: what `auth` of a hub says, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.providers import callbacks_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import AUTH_SECRETS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    AUTH_DEFAULTS,
    KINDS,
    MISPLACED_SECRETS,
    NONE,
    auth_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in_entries import (
    SignInEntry,
    sign_in_entries,
    signing_in,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in_forms import AUTH_FORMS, shown
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import PUBLIC_URL

# JupyterHub does not start with shorter ones.
SHORTEST = {"password": 8, "admin_password": 32}


def _without_kind(given: Any) -> list[str]:
    """Name the keys that only a kind reads, or that are `kind` misspelt, where no kind is said."""
    told = as_mapping(given)
    if told.get("kind") is not None:
        return []
    return [
        key for key in told if closest(key, list(AUTH_DEFAULTS)) == "kind" and key not in AUTH_DEFAULTS
    ] or [key for key in told if key in AUTH_DEFAULTS and key not in KINDS[NONE].keys]


@rule("sign-in-kind-unknown", ERROR, "A hub's kind of sign-in is none.", acceptable=False)
def sign_in_kind_unknown(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        given = hub.get("auth")
        if given is not None and not isinstance(given, Mapping):
            yield Problem(
                "is no mapping", "write `auth: {kind: oidc, ...}`, or drop it", f"site_hubs.{name}.auth"
            )
            continue
        kind, kindless = auth_of(given)["kind"], _without_kind(given)
        if kindless:
            fitting = [name for name, kind in KINDS.items() if set(kindless) <= set(kind.keys)]
            yield Problem(
                f"is missing, and {', '.join(kindless)} {'is' if len(kindless) == 1 else 'are'} there",
                f"write kind: {' or '.join(fitting or KINDS)}",
                f"site_hubs.{name}.auth.kind",
            )
        elif not isinstance(kind, str) or kind not in KINDS:
            guess = closest(str(kind), list(KINDS))
            remedy = f"did you mean {guess}?" if guess else f"use {', '.join(KINDS)}"
            yield Problem(f"is {shown(kind)}", remedy, f"site_hubs.{name}.auth.kind")


@rule("sign-in-key-unknown", ERROR, "A hub's sign-in has a key that is none.", acceptable=False)
def sign_in_key_unknown(site: Site) -> Iterator[Problem]:
    for entry in sign_in_entries(site):
        for key in entry.given:
            known = key in AUTH_DEFAULTS or key in MISPLACED_SECRETS
            if not known and key not in _without_kind(entry.given):
                guess = closest(key, list(AUTH_DEFAULTS))
                remedy = f"did you mean {guess}?" if guess else f"use {', '.join(entry.kind.keys)}"
                yield Problem("is no key of a sign-in", remedy, f"{entry.where}.{key}")


@rule(
    "sign-in-secret-misplaced",
    ERROR,
    "A secret of signing in stands beside what may be seen.",
    acceptable=False,
)
def sign_in_secret_misplaced(site: Site) -> Iterator[Problem]:
    for entry in sign_in_entries(site):
        for key in entry.given:
            if key in MISPLACED_SECRETS:
                yield Problem(
                    "is a secret, and auth may be seen by everybody",
                    f"move it to secrets.yml: {AUTH_SECRETS}: {{{entry.hub}: {{{key}: ...}}}}; if git has it, get a new one",
                    f"{entry.where}.{key}",
                )


@rule("sign-in-key-idle", ERROR, "A hub's sign-in has a key that its kind does not read.")
def sign_in_key_idle(site: Site) -> Iterator[Problem]:
    for entry in sign_in_entries(site):
        for key in entry.given if not _without_kind(entry.given) else ():
            if key in AUTH_DEFAULTS and key not in entry.kind.keys:
                kinds = [name for name, kind in KINDS.items() if key in kind.keys and name != NONE]
                remedy = f"drop it, or set auth.kind to {' or '.join(kinds)}" if kinds else "drop it"
                yield Problem(f"has no effect with kind {entry.auth['kind']}", remedy, f"{entry.where}.{key}")


def _malformed(entry: SignInEntry) -> list[str]:
    return [key for key, (fits, _) in AUTH_FORMS.items() if not fits(entry.auth[key])]


@rule(
    "sign-in-value-malformed",
    ERROR,
    "A value of a hub's sign-in has another form than it must.",
    acceptable=False,
)
def sign_in_value_malformed(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        for key in _malformed(entry):
            yield Problem(f"is {shown(entry.auth[key])}", AUTH_FORMS[key][1], f"{entry.where}.{key}")


@rule("sign-in-value-missing", ERROR, "A hub's kind of sign-in lacks what it needs.", acceptable=False)
def sign_in_value_missing(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        for key in entry.kind.needed:
            if not entry.auth[key]:
                yield Problem(
                    f"is missing, and kind {entry.auth['kind']} needs it",
                    "write what the provider shows for this client; its form asks for the callback "
                    f"{callbacks_of(site, entry.hub)[0]}",
                    f"{entry.where}.{key}",
                )

        claim = entry.auth["username_claim"]
        if "username_claim" in entry.kind.keys and isinstance(claim, str) and not claim.strip():
            yield Problem(
                "is empty, and everybody is refused whose name in the hub nobody knows",
                f"drop it for {auth_of({'kind': entry.auth['kind']})['username_claim']}, or name the claim",
                f"{entry.where}.username_claim",
            )


@rule("sign-in-scope-missing", ERROR, "An OpenID provider is not asked for the scope openid.")
def sign_in_scope_missing(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        asked = " ".join(as_text(scope) for scope in as_list(entry.auth["scopes"]))
        if (
            entry.auth["kind"] == "oidc"
            and "openid" not in asked.split()
            and "scopes" not in _malformed(entry)
        ):
            yield Problem(
                f"has no openid, only {asked[:60]}" if asked else "is empty",
                "add openid, without which providers tell nothing of a person; or drop it for openid, profile, email",
                f"{entry.where}.scopes",
            )


@rule("sign-in-secret-missing", ERROR, "A hub's kind of sign-in lacks its secret.", acceptable=False)
def sign_in_secret_missing(site: Site) -> Iterator[Problem]:
    described = as_mapping(site.secrets.get("values"))
    # What cannot be computed has a finding, and so has a name that is none.
    if any(entry.get("variable") == AUTH_SECRETS for entry in site.errors):
        return
    for entry in signing_in(site):
        if not HUB_LABEL.fullmatch(entry.hub):
            continue
        needed = [entry.kind.secret] if entry.kind.secret else []
        if entry.auth["kind"] == "shared_password" and entry.auth["admin_users"]:
            needed.append("admin_password")
        for key in needed:
            variable = f"{AUTH_SECRETS}.{entry.hub}.{key}"
            told = as_mapping(described.get(variable))
            # What stands in the wrong place is there, and another rule's.
            if key not in entry.given and (not told or told.get("empty") is True):
                yield Problem(
                    f"is missing, and kind {entry.auth['kind']} needs it",
                    f"add it to secrets.yml: {AUTH_SECRETS}: {{{entry.hub}: {{{key}: ...}}}}",
                    variable,
                )


@rule(
    "sign-in-password-short",
    ERROR,
    "A password for signing in is shorter than JupyterHub takes.",
    acceptable=False,
)
def sign_in_password_short(site: Site) -> Iterator[Problem]:
    described = as_mapping(site.secrets.get("values"))
    for entry in signing_in(site):
        for key, least in SHORTEST.items() if entry.auth["kind"] == "shared_password" else ():
            variable = f"{AUTH_SECRETS}.{entry.hub}.{key}"
            told = as_mapping(described.get(variable))
            judged = told.get("text") is True and not told.get("empty") and not told.get("default")
            if judged and as_int(told.get("length")) < least:
                yield Problem(
                    f"has fewer than {least} characters", "use a longer one: openssl rand -hex 16", variable
                )


@rule("sign-in-nobody-allowed", ERROR, "People sign in to a hub, and nobody may use it.")
def sign_in_nobody_allowed(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        who = ("allow_all", *(key for key in entry.kind.keys if key.startswith(("allowed_", "admin_"))))
        # Institutions say where people come from, not who may come in.
        who = tuple(key for key in who if key != "allowed_idps")
        # Who named people by a key of another kind is told of that.
        idle = [key for key in entry.given if key.startswith("allowed_") and key not in entry.kind.keys]
        if not any(entry.auth[key] for key in who) and not any(entry.given[key] for key in idle):
            yield Problem(
                "allows nobody: whoever signs in is shown a page that says so",
                f"name some of {', '.join(who[1:])}, or set allow_all: true for whoever the provider knows",
                entry.where,
            )


@rule("sign-in-lists-open", ERROR, "A hub names who may come in, and lets everybody in.")
def sign_in_lists_open(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        # Institutions are asked whom they know, with allow_all as well.
        lists = [key for key in entry.kind.keys if key.startswith("allowed_") and key != "allowed_idps"]
        named = [key for key in lists if entry.auth[key]]
        if entry.auth["allow_all"] is True and named:
            yield Problem(
                f"is true, and so {' and '.join(named)} keep nobody out",
                f"drop it, or drop {' and '.join(named)}",
                f"{entry.where}.allow_all",
            )


@rule("sign-in-groups-without-claim", ERROR, "A hub allows groups, and nothing says what they are read from.")
def sign_in_groups_without_claim(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        groups = [key for key in ("allowed_groups", "admin_groups") if entry.auth[key]]
        if groups and "groups_claim" in entry.kind.keys and not entry.auth["groups_claim"]:
            yield Problem(
                f"is empty, and {groups[0]} names groups",
                "name the claim in which the provider tells a person's groups, often groups",
                f"{entry.where}.groups_claim",
            )


@rule("sign-in-plain-http", WARNING, "People are sent to a provider and back by plain HTTP.")
def sign_in_plain_http(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        if entry.kind.has_provider and _public_url(site, site.hubs[entry.hub]).startswith("http://"):
            yield Problem(
                f"is plain HTTP, and the hub {entry.hub} signs people in by a provider, most of which refuse such a callback",
                "use https:// and set site_proxy_tls_certificate_file and site_proxy_tls_key_file",
                PUBLIC_URL,
            )
        if as_text(entry.auth["issuer"]).startswith("http://"):
            yield Problem(
                "is plain HTTP: whoever stands between can be anybody",
                "use https://",
                f"{entry.where}.issuer",
            )


@rule("sign-in-accounts-not-kept", ERROR, "People make accounts in a hub that forgets them when it restarts.")
def sign_in_accounts_not_kept(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        if entry.auth["kind"] == "native" and site.text("site_hub_database") == "sqlite-memory":
            yield Problem(
                f"is sqlite-memory, and accounts of the hub {entry.hub} are in its database: they are gone when its pod restarts",
                "set it to sqlite-pvc, with a StorageClass for its volume",
                "site_hub_database",
            )


def _public_url(site: Site, hub: Mapping[str, Any]) -> str:
    """Where people reach a hub: its own URL where it has one, else the site's."""
    return as_text(hub.get("public_url")) or site.text(PUBLIC_URL)
