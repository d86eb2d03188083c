# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The many ways in which a site can be bad: each with the rules that must see it, by variable and host.

A case changes the good site of `site_data` at a few places, each named by its way through the data.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import RULES, check_site
from site_data import DAY, NOW, SPECS, TOKEN, good_site, host, running_site

__all__ = ["DAY", "NOW", "SPECS", "good_site", "host", "running_site"]

GONE = object()
# Rule, variable and host of a finding; the latter two are empty where the fault lies in no single one.
Found = tuple[str, str, str]


class Case(NamedTuple):
    """One bad site: what is changed, and what must be found of it, nothing else."""

    name: str
    changes: dict[str, Any]
    expected: frozenset[Found]
    running: bool = False

    def site(self) -> dict[str, Any]:
        """The good site with this case's changes."""
        return self.changed(running_site() if self.running else good_site())

    def changed(self, site: dict[str, Any]) -> dict[str, Any]:
        """Any site with this case's changes."""
        for way, value in self.changes.items():
            place: Any = site
            *parents, last = way.split("/")
            for key in parents:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            if value is GONE:
                del place[last]
            elif isinstance(place, list):
                place[int(last)] = copy.deepcopy(value)
            else:
                place[last] = copy.deepcopy(value)
        return site


def found(site: dict[str, Any]) -> set[Found]:
    """Rule, variable and host of every finding of a site."""
    return {(finding.id, finding.variable, finding.host) for finding in check_site(site).findings}


def texts(site: dict[str, Any], rule: str) -> list[str]:
    """What one rule says of a site, each finding with its remedy."""
    report = check_site(site)
    return [f"{entry.observed} -> {entry.remedy}" for entry in report.findings if entry.id == rule]


def rules_in(name: str) -> set[str]:
    """The rules of one file, such as `groups`."""
    return {entry.id for entry in RULES.values() if entry.check.__module__.endswith(f".rules.{name}")}


def case(name: str, changes: dict[str, Any], *expected: Found, running: bool = False) -> Case:
    """Write a case in one line."""
    return Case(name, changes, frozenset(expected), running)


def value(name: str, variable: str, content: Any, *expected: Found) -> Case:
    """A case that sets one variable."""
    return case(name, {f"values/{variable}": content}, *expected)


def probe(name: str, machine: str, way: str, content: Any, *expected: Found, running: bool = False) -> Case:
    """A case in which one machine's probe says something else."""
    return case(name, {f"hosts/{machine}/probe/{way}": content}, *expected, running=running)


def fact(name: str, machine: str, way: str, content: Any, *expected: Found) -> Case:
    """A case in which one machine's facts say something else."""
    return case(name, {f"hosts/{machine}/facts/{way}": content}, *expected)


def listening(port: int, process: str) -> list[dict[str, Any]]:
    """Listening ports of a machine on which one more is held."""
    return [{"port": 22, "process": "sshd"}, {"port": port, "process": process}]


def secret(**changes: Any) -> dict[str, Any]:
    """A token's description with changes."""
    return {**TOKEN, **changes}


ANSWER = {"url": "https://192.0.2.41/x", "status": 200, "seconds": 0.1}
HUB_TOKENS = {
    f"secrets/values/{kind}.{hub}": TOKEN
    for kind in ("site_hub_proxy_tokens", "site_hub_api_tokens")
    for hub in "abcd"
}
OWN_LOGIN = "hosts/worker1/probe/urls/registry_login"


def registry_answers(**answer: Any) -> dict[str, Any]:
    """Changes after which the running site's registry answers like this to worker1."""
    return {
        "hosts/worker1/probe/urls/registry": {**{k: v for k, v in ANSWER.items() if k != "status"}, **answer}
    }


def packages(**answer: Any) -> dict[str, Any]:
    """Changes after which the mirror's packages answer like this to worker1."""
    return {
        "hosts/worker1/probe/urls/packages": {**{k: v for k, v in ANSWER.items() if k != "status"}, **answer}
    }


def hubs(**given: Any) -> dict[str, Any]:
    """Changes to a site with these hubs, each with its tokens."""
    gone = {
        f"secrets/values/{kind}.binder": GONE for kind in ("site_hub_proxy_tokens", "site_hub_api_tokens")
    }
    tokens = {way: told for way, told in HUB_TOKENS.items() if way.rpartition(".")[2] in given}
    return {**({} if "binder" in given else gone), **tokens, "values/site_hubs": given}


def tls(**answer: Any) -> dict[str, Any]:
    """Changes to what is known of the proxy's certificate."""
    return {f"controller/tls/proxy/{key}": content for key, content in answer.items()}


def file(**answer: Any) -> dict[str, Any]:
    """Changes to the file of secrets."""
    return {f"secrets/files/0/{key}": content for key, content in answer.items()}


PUBLIC = {"controller/names/binder.example.org/addresses": ["198.41.0.4"]}
