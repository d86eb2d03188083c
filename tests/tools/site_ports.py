#!/usr/bin/env python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Write the table of ports into docs/admin-guide.md, from the list by which preflight tries them.

`site_ports.py` writes; `site_ports.py --check` changes nothing and fails where the table is out of step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.flows import (
    POD_NETWORK_PORTS,
    VARIABLES,
    flow_table,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site

DOCUMENT = ROOT / "docs" / "admin-guide.md"
BEGIN, END = "<!-- begin ports -->", "<!-- end ports -->"
# What has no default, or one that Ansible computes.
GIVEN = {
    "site_public_url": "https://binder.example.org",
    "site_registry_host": "registry.example.org:5000",
    POD_NETWORK_PORTS: ["179/tcp", "ipip"],
}


def example() -> Site:
    """A site of the contract's defaults with a machine in each group, and the ports of Calico."""
    values: dict[str, Any] = {}
    for path in sorted((ROOT / "roles/site/defaults/main").glob("*.yml")):
        values |= yaml.safe_load(path.read_text())
    groups = {group: [group] for group in ("head", "workers", "proxy", "registry")}
    return Site.from_data({"values": {name: values[name] for name in VARIABLES} | GIVEN, "groups": groups})


def main(arguments: list[str]) -> int:
    """Write or check. 0 when all is well."""
    old = DOCUMENT.read_text()
    before, _, rest = old.partition(BEGIN)
    new = f"{before}{BEGIN}\n{flow_table(example())}\n{END}{rest.partition(END)[2]}"
    if new == old:
        return 0
    if "--check" in arguments:
        print("docs/admin-guide.md is out of step: run tests/tools/site_ports.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
