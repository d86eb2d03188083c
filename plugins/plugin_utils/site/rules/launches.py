# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what may be launched, by whom and how often."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.launch_values import (
    PROVIDERS,
    TOKEN_WAYS,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_mapping,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proofs import proofs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import GIT_TOKENS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spec_patterns import (
    fits,
    pattern_fault,
    slow_patterns,
)

BANNED, HIGH = "site_banned_specs", "site_high_quota_specs"
REPO, HIGHER = "site_per_repo_quota", "site_per_repo_quota_higher"
NETWORKS = "site_ban_networks"
# Lowest and highest of what is not 0, and why there is a bound.
BOUNDS = {
    "site_launch_timeout_seconds": (30, 7200, "pulling an image takes minutes, and nobody waits for hours"),
    HIGHER: (1, 1_000_000, "it is a number of sessions"),
    "site_rate_limit": (1, 1_000_000, "it is a number of requests"),
    "site_rate_limit_period_seconds": (1, 86400, "it is a time in which requests are counted"),
}  # fmt: skip
# GitLab's are the shortest.
SHORTEST_GIT_TOKEN = 20
MOST_CHARACTERS = 60
MOST_NAMED = 3


def _entries(site: Site, variable: str) -> Iterator[tuple[object, object]]:
    """Give the entries of a mapping, also those whose key is no text; a value of another type has a rule of its own."""
    value = site.values.get(variable)
    yield from value.items() if isinstance(value, Mapping) else ()


def _slow(site: Site) -> frozenset[str]:
    """Patterns of the site, of either kind, that no spec should be compared with."""
    lists = [patterns for variable in (BANNED, HIGH) for _, patterns in _entries(site, variable)]
    told = [pattern for patterns in lists if isinstance(patterns, (list, tuple)) for pattern in patterns]
    usable = dict.fromkeys(pattern for pattern in told if not pattern_fault(pattern))
    return slow_patterns(tuple(usable), tuple(proof.sent for proof in proofs(site)))


@rule("launch-value-out-of-range", ERROR, "A bound of launches is no sensible number.")
def launch_value_out_of_range(site: Site) -> Iterator[Problem]:
    for variable, (least, most, why) in BOUNDS.items():
        number = as_int(site.values.get(variable))
        if number != 0 and not least <= number <= most:
            yield Problem(
                f"is {number}: {why}", f"set it to 0 for BinderHub's own, or to {least} to {most}", variable
            )


@rule("spec-provider-unknown", ERROR, "Specs are named for a provider that no hub has.", acceptable=False)
def spec_provider_unknown(site: Site) -> Iterator[Problem]:
    for variable in (BANNED, HIGH):
        for provider, _ in _entries(site, variable):
            if provider not in PROVIDERS:
                yield Problem(
                    f"has {str(provider)[:MOST_CHARACTERS]!r}",
                    f"use what a Binder link begins with: {', '.join(PROVIDERS)}",
                    variable,
                )


@rule("spec-pattern-malformed", ERROR, "A spec to be known again is no regular expression.", acceptable=False)
def spec_pattern_malformed(site: Site) -> Iterator[Problem]:
    remedy = 'write a list of regular expressions in quotes, such as ["^spam/.*"], with no repetition in a repetition'
    slow = _slow(site)
    for variable in (BANNED, HIGH):
        for provider, patterns in _entries(site, variable):
            if not isinstance(patterns, (list, tuple)):
                yield Problem(f"is no list for {provider}", remedy, variable)
                continue
            for number, pattern in enumerate(patterns, 1):
                fault = pattern_fault(pattern)
                if not fault and pattern in slow:
                    fault = "takes too long with a long spec, and would hold up BinderHub"
                if fault:
                    told = f"has for {provider} entry {number}, {str(pattern)[:MOST_CHARACTERS]!r}, which {fault}"
                    yield Problem(told, remedy, variable)


@rule("verify-spec-banned", ERROR, "What is launched as the proof may not be launched.")
def verify_spec_banned(site: Site) -> Iterator[Problem]:
    # What is launched to see it refused stays right.
    slow, launched = _slow(site), [proof for proof in proofs(site) if proof.cause != "banned"]
    for provider, patterns in _entries(site, BANNED):
        for pattern in patterns if isinstance(patterns, (list, tuple)) else ():
            if pattern_fault(pattern) or pattern in slow:
                continue
            hit = [proof for proof in launched if proof.provider == provider and fits(pattern, proof.sent)]
            if hit:
                where = ", ".join(proof.variable for proof in hit[:MOST_NAMED])
                yield Problem(
                    f"has {pattern[:MOST_CHARACTERS]!r}, which fits {where}, {hit[0].sent[:MOST_CHARACTERS]}",
                    "make the pattern narrower, or prove the site with another repository",
                    BANNED,
                )


@rule("high-quota-below-quota", ERROR, "A repository with a higher quota gets fewer sessions than others.")
def high_quota_below_quota(site: Site) -> Iterator[Problem]:
    higher, other = as_int(site.values.get(HIGHER)), as_int(site.values.get(REPO))
    if any(patterns for _, patterns in _entries(site, HIGH)) and 0 < higher < other:
        yield Problem(
            f"is {higher}, and {REPO} is {other}", "raise it, or set it to 0 for no quota of these", HIGHER
        )


def _network_fault(network: object, reason: object) -> str:
    try:
        # Of text only, as a number is an address to Python and a mistake to people.
        ipaddress.ip_network(network if isinstance(network, str) else "")
    except ValueError as error:
        return f"is no network: {str(error) or 'it is no text'}"
    return "" if isinstance(reason, str) and reason.strip() else "has no reason"


@rule("ban-network-malformed", ERROR, "What is to be refused is no network.", acceptable=False)
def ban_network_malformed(site: Site) -> Iterator[Problem]:
    for network, reason in _entries(site, NETWORKS):
        if fault := _network_fault(network, reason):
            yield Problem(
                f"has {str(network)[:MOST_CHARACTERS]!r}, which {fault[:120]}: BinderHub would not start",
                'write the network in CIDR and why it is refused, such as {192.0.2.0/24: "a crawler"}',
                NETWORKS,
            )


@rule("git-token-malformed", ERROR, "A token for a Git server is none.")
def git_token_malformed(site: Site) -> Iterator[Problem]:
    for variable in GIT_TOKENS:
        described = as_mapping(as_mapping(site.secrets.get("values")).get(variable))
        # What is no text, and what everybody knows, have rules of their own.
        judged = described.get("text") is True and described.get("default") is not True
        if not judged or described.get("empty") is True:
            continue
        length = as_int(described.get("length"))
        short = f"has {length} characters, and no Git server makes one with fewer than {SHORTEST_GIT_TOKEN}"
        fault = "has a blank or a line break in it" if described.get("spaced") is True else ""
        if fault := fault or (short if length < SHORTEST_GIT_TOKEN else ""):
            yield Problem(
                fault, "copy it anew from the Git server, without any blank, into secrets.yml", variable
            )


@rule("git-token-misplaced", ERROR, "A token for a Git server stands in values that may be seen.")
def git_token_misplaced(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        for way, variable in TOKEN_WAYS.items():
            found: object = hub.get("values")
            for key in way.split("."):
                found = as_mapping(found).get(key)
            if found:
                yield Problem(
                    "is a secret, and values may be seen by everybody",
                    f"move it to secrets.yml, as {variable} for all hubs or into secret_values; if git has it, get a new one",
                    f"site_hubs.{name}.values.{way}",
                )
