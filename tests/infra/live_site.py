# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site under test: what its playbooks see, and an inventory that pytest-testinfra can read.

pytest-testinfra reads `ansible-inventory --list`, which shows templates as they are written and knows
no role defaults. So Ansible itself is asked once, by site_facts.yml.
"""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECRETS = (
    "site_hub_api_tokens",
    "site_hub_auth_secrets",
    "site_hub_build_token_secrets",
    "site_hub_proxy_tokens",
    "site_hub_verify_tokens",
    "site_registry_password",
    "site_registry_pull_password",
)
# URLs that may hold an account.
PROXIES = ("site_http_proxy", "site_https_proxy")


@dataclass(frozen=True)
class Site:
    """What the inventory says, by host, every template filled in."""

    inventory: str
    # Holds secrets, and pytest shows the fixtures of a failing test.
    told: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def hosts(self, *groups: str) -> list[str]:
        """Return the hosts of these groups."""
        return [name for name, host in self.told.items() if set(groups) & set(host["groups"])]

    def variables(self, host: str) -> Mapping[str, Any]:
        """Return the contract's values as one host sees them."""
        values: Mapping[str, Any] = self.told[host]["variables"]
        return values

    @property
    def contract(self) -> Mapping[str, Any]:
        """Return the contract's values as the first head sees them."""
        return self.variables(self.hosts("head")[0])

    @property
    def hubs(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the hubs by name, see `resolve_hubs`."""
        hubs: Mapping[str, Mapping[str, Any]] = self.contract["site_resolved_hubs"]
        return hubs

    def secrets(self) -> dict[str, str]:
        """Return every secret of the site by the variable it is in."""
        found = dict(pair for name in SECRETS for pair in _leaves(name, self.contract[name]))
        # Most sites have one for all machines, which is looked for once.
        first = {password: host for host, password in reversed(self.sudo_passwords().items())}
        found |= {f"ansible_become_password.{host}": password for password, host in first.items()}
        for name in PROXIES:
            # As it is written there; programs are told it so.
            found[name] = str(self.contract[name]).rpartition("@")[0].rpartition("://")[2].partition(":")[2]
        return {name: value for name, value in found.items() if value}

    def sudo_passwords(self) -> dict[str, str]:
        """Return what sudo is told on each host, by what SSH connects to; "" where it asks for nothing."""
        return {
            str(host["connection"]["ansible_host"] or name): str(
                host["connection"]["ansible_become_password"]
            )
            for name, host in self.told.items()
        }


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give the texts of a mapping of whatever depth, by their path in it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    else:
        yield name, value


def read_site(inventory: str | None, folder: Path) -> Site:
    """Ask Ansible about a site.

    Args:
        inventory: as for `ansible-playbook -i`; none means ansible.cfg's.
        folder: where the answers may stay for the session; they hold secrets, so it should be private.

    Raises:
        RuntimeError: Ansible cannot read the inventory. Its words are in the text.
    """
    chosen = (
        ["-i", str(Path(inventory).resolve()) if Path(inventory).exists() else inventory] if inventory else []
    )
    program = Path(sys.executable).with_name("ansible-playbook")
    extra = f"--extra-vars={json.dumps({'folder': str(folder)})}"
    run = subprocess.run(
        [program, *chosen, extra, ROOT / "tests/infra/site_facts.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    told = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
    if run.returncode != 0 or not told:
        raise RuntimeError(
            f"Ansible cannot tell what site this is (inventory {inventory or 'of ansible.cfg'}):\n{run.stdout}{run.stderr}"
        )
    return Site(inventory or "", told)


def write_inventory(site: Site, file: Path) -> None:
    """Write the site's hosts and groups, with plain values, for pytest-testinfra."""
    hosts = {}
    for name, host in site.told.items():
        hosts[name] = {key: value for key, value in host["connection"].items() if value}
        if host["connection"]["ansible_become_password"]:
            # Not itself, which Ansible would read as a template.
            secret = file.with_name(f"sudo_{name}")
            secret.touch(mode=0o600)
            secret.write_text(host["connection"]["ansible_become_password"])
            hosts[name]["ansible_become_password"] = f"{{{{ lookup('ansible.builtin.file', '{secret}') }}}}"
        # The plays become root; so do the tests.
        hosts[name]["ansible_become"] = (host["connection"]["ansible_user"] or getpass.getuser()) != "root"
    groups = sorted({group for host in site.told.values() for group in host["groups"]})
    children: dict[str, Any] = {
        group: {"hosts": {name: {} for name in site.hosts(group)}} for group in groups
    }
    file.write_text(json.dumps({"all": {"hosts": hosts, "children": children}}))
    file.chmod(0o600)
