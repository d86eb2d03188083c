# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/namespaces.py by a bad site of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from site_cases import TOKEN, Case, case, found, hubs, rules_in

ROLES = Path(__file__).parents[6] / "roles"
SYSTEM, PLACE = "hub-in-system-namespace", "site_hubs.a.namespace"
NAMED = ("default", "kube-system", "kube-public", "kube-flannel", "tigera-operator", "calico-system")
OURS = [
    yaml.safe_load((ROLES / role / "vars/main.yml").read_text())[f"__{role}_namespace"]
    for role in ("metallb", "storage")
]
TOKENS = {f"secrets/values/site_hub_{kind}_tokens.kube-a": TOKEN for kind in ("proxy", "api")}
CASES = [
    *(case(name, hubs(a={"namespace": name}), (SYSTEM, PLACE, "")) for name in (*NAMED, *OURS)),
    case(
        "a name that is one",
        {**hubs(**{"kube-a": {}}), **TOKENS},
        (SYSTEM, "site_hubs.kube-a", ""),
    ),
    case("its own", hubs(a={"namespace": "kubernetes"})),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("namespaces") <= {rule for entry in CASES for rule, _, _ in entry.expected}
