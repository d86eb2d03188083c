# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The contract, its types, its documents and its example sites hold together."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import TOKENS

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles" / "site"
# What the folder in the repository cannot hold.
TO_COME = {"token-missing", "registry-account-incomplete"}


def contract() -> dict[str, Any]:
    """The contract's defaults."""
    found: dict[str, Any] = {}
    for path in sorted((ROLE / "defaults/main").glob("*.yml")):
        found |= yaml.safe_load(path.read_text())
    return found


SPECS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["contract"][
    "options"
]


def test_every_variable_has_a_type() -> None:
    """Specs and defaults name the same variables."""
    assert set(SPECS) == set(contract())


@pytest.mark.parametrize("tool", [["site_rules.py"], ["site_ports.py"], ["role_readme.py", "site"]])
def test_documents_are_in_step(tool: list[str]) -> None:
    """The list of rules, the table of ports and that of variables are those of the code."""
    command = [sys.executable, str(ROOT / "tests/tools" / tool[0]), "--check", *tool[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["example", "staging", "production"])
def test_sites_of_the_repository(name: str) -> None:
    """The example sites have no fault but what the repository cannot hold: their secrets."""
    folder = ROOT / "inventories" / name
    values = {
        key: value for key, value in contract().items() if not (isinstance(value, str) and "{{" in value)
    }
    for path in sorted((folder / "group_vars/all").glob("*.yml")):
        values |= yaml.safe_load(path.read_text())
    unknown = [key for key in values if key not in SPECS]
    tree = yaml.safe_load((folder / "hosts.yml").read_text())["all"]["children"]
    hosts = {
        host: {"variables": given or {}}
        for group in tree.values()
        for host, given in group["hosts"].items()
        if given
    }
    groups = {group: list(entry["hosts"]) for group, entry in tree.items()}
    report = check_site({"values": values, "specs": SPECS, "groups": groups, "hosts": hosts})
    assert not unknown
    assert {finding.id for finding in report.findings if finding.severity == "error"} <= TO_COME
    assert not any(key in values for key in TOKENS if values[key])


def test_two_layers_differ_little() -> None:
    """Staging and production share one file, and each says at most five things of its own."""
    layers = [ROOT / "inventories" / name / "group_vars/all" for name in ("staging", "production")]
    assert len({(layer / "shared.yml").resolve() for layer in layers}) == 1
    assert all(len(yaml.safe_load((layer / "site.yml").read_text())) <= 5 for layer in layers)


def test_the_example_explains_every_variable_and_no_other() -> None:
    """Also those in comments: whoever takes a comment away must not meet an unknown variable."""
    options = yaml.safe_load((ROOT / "roles/site/meta/argument_specs.yml").read_text())
    contract = set(options["argument_specs"]["contract"]["options"])
    files = [path for path in (ROOT / "inventories/example").rglob("*") if path.is_file()]
    told = {name for path in files for name in re.findall(r"\b(?:site|artifact)_\w+", path.read_text())}
    # Computed from the others, set in secrets.yml, or Ironbinder's own promise.
    silent = {
        "site_artifact_base",
        "site_client_python",
        "site_client_python_dir",
        "site_base_image_context",
        "site_cluster_hosts",
        "site_http_proxy_environment",
        "site_http_proxy_openings",
        "site_image_mirrors",
        "site_kubernetes_machine_version",
        "site_node_addresses",
        "site_node_builds",
        "site_resolved_hubs",
        "site_resolved_no_proxy",
        "site_supported_systems",
        "site_hub_api_tokens",
        "site_hub_auth_secrets",
        "site_hub_build_token_secrets",
        "site_hub_proxy_tokens",
        "site_hub_verify_tokens",
        "site_registry_password",
        "site_registry_pull_password",
        "site_verify_build_tokens",
        "site_join_token_description",
        # Said once, on the command line.
        "site_lock_break",
        "site_returning_nodes",
    }
    assert told - contract == set()
    assert contract - told == silent
