#!/usr/bin/env python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Write the table of variables into every role's README, from its argument specs and defaults.

`role_readme.py` writes; `role_readme.py --check` changes nothing and fails where a README, a spec and the
defaults have come apart. Roles can be named; the default is all of them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).parents[2] / "roles"
BEGIN, END = "<!-- begin variables -->", "<!-- end variables -->"
# Longer defaults are to be read where they are.
LONGEST_DEFAULT = 60


class RoleError(ValueError):
    """A role whose parts do not fit. Its text says which part, and what to do."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file, `{}` where there is none. Ansible's own tags count as text."""

    class Loader(yaml.SafeLoader):
        """Safe, and not stopped by !unsafe or !vault."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: getattr(node, "value", ""))
    return (yaml.load(path.read_text(), Loader=Loader) or {}) if path.is_file() else {}


def defaults(role: Path) -> dict[str, Any]:
    """Everything the role has a default for."""
    folder = role / "defaults" / "main"
    files = sorted(folder.glob("*.yml")) if folder.is_dir() else [role / "defaults" / "main.yml"]
    found: dict[str, Any] = {}
    for path in files:
        found |= read_yaml(path)
    return found


def options(role: Path) -> dict[str, Mapping[str, Any]]:
    """Options of all entry points, by name."""
    specs = read_yaml(role / "meta" / "argument_specs.yml").get("argument_specs")
    if not specs:
        raise RoleError(f"{role.name} has no meta/argument_specs.yml: write one, with every public variable")
    found: dict[str, Mapping[str, Any]] = {}
    for entry in specs.values():
        found |= entry.get("options") or {}
    return found


def compare(role: Path) -> list[str]:
    """Say where specs and defaults disagree."""
    known, given = options(role), defaults(role)
    faults = [
        f"{role.name}: {name} has a default, but no argument spec"
        for name in given
        if name not in known and not name.startswith("__")
    ]
    for name, spec in known.items():
        if not spec.get("description"):
            faults.append(f"{role.name}: {name} has no description in its argument spec")
        if "default" in spec and name in given and spec["default"] != given[name]:
            faults.append(
                f"{role.name}: {name} is {given[name]!r} by default, and {spec['default']!r} in its argument spec"
            )
        if "default" in spec and name not in given:
            faults.append(f"{role.name}: {name} has a default in its argument spec, but none in defaults/")
        if spec.get("required") and given.get(name):
            faults.append(f"{role.name}: {name} is required, and has a default")
    return faults


def _cell(text: str) -> str:
    """Text for a cell of a table, with Ansible's markup as Markdown's."""
    plain = re.sub(r"\b[CVO]\(([^)]*)\)", r"`\1`", " ".join(text.split()))
    plain = re.sub(r"\b[IB]\(([^)]*)\)", r"*\1*", plain)
    plain = re.sub(r"\b[MUF]\(([^)]*)\)", r"`\1`", plain)
    return plain.replace("|", "\\|").replace("<", "&lt;")


def _default(name: str, spec: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    if spec.get("required"):
        return "*required*"
    if name not in given and "default" not in spec:
        return ""
    value = given.get(name, spec.get("default"))
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    if "\n" in text.strip() or len(text) > LONGEST_DEFAULT:
        return "computed" if "{{" in text else "see defaults"
    escaped = text.strip().replace("|", "\\|")
    return f"`{escaped}`"


def table(role: Path) -> str:
    """The role's variables as a Markdown table."""
    given = defaults(role)
    rows = ["| variable | type | default | |", "|---|---|---|---|"]
    for name, spec in options(role).items():
        kind = str(spec.get("type", "str"))
        if spec.get("elements"):
            kind += f" of {spec['elements']}"
        told = spec.get("description", "")
        text = _cell(" ".join(told) if isinstance(told, list) else str(told))
        if spec.get("choices"):
            text += f" One of {', '.join(f'`{choice}`' for choice in spec['choices'])}."
        rows.append(f"| `{name}` | {kind} | {_default(name, spec, given)} | {text} |")
    return "\n".join(rows)


def renew(text: str, content: str, where: str) -> str:
    """Put `content` between the two marks of `text`."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise RoleError(f"{where} needs one line {BEGIN} and below it one line {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write or check. 0 when all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing, fail where something is out of step"
    )
    parser.add_argument("roles", nargs="*", help="names of roles")
    given = parser.parse_args(arguments)
    faults = []
    for role in [ROLES / name for name in given.roles] or sorted(
        path for path in ROLES.iterdir() if path.is_dir()
    ):
        readme = role / "README.md"
        try:
            faults += compare(role)
            if not readme.is_file():
                raise RoleError(f"{role.name} has no README.md")
            old = readme.read_text()
            new = renew(old, table(role), f"roles/{role.name}/README.md")
        except RoleError as error:
            faults.append(str(error))
            continue
        if new != old and given.check:
            faults.append(
                f"roles/{role.name}/README.md is out of step: run tests/tools/role_readme.py {role.name}"
            )
        elif new != old:
            readme.write_text(new)
            print(f"wrote roles/{role.name}/README.md")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
