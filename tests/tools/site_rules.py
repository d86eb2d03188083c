#!/usr/bin/env python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Write the list of preflight's rules into docs/site-contract.md, from the rules themselves.

`site_rules.py` writes; `site_rules.py --check` changes nothing and fails where the list is out of step.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import RULES

DOCUMENT = ROOT / "docs" / "site-contract.md"
BEGIN, END = "<!-- begin rules -->", "<!-- end rules -->"


def rules() -> str:
    """All rules as a Markdown table, in the order of the report."""
    rows = [f"| `{entry.id}` | {entry.severity} | {entry.summary} |" for entry in RULES.values()]
    return "\n".join(["| rule | | |", "|---|---|---|", *rows])


def main(arguments: list[str]) -> int:
    """Write or check. 0 when all is well."""
    old = DOCUMENT.read_text()
    before, _, rest = old.partition(BEGIN)
    new = f"{before}{BEGIN}\n{rules()}\n{END}{rest.partition(END)[2]}"
    if new == old:
        return 0
    if "--check" in arguments:
        print("docs/site-contract.md is out of step: run tests/tools/site_rules.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
