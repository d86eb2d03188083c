# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Arguments of a control plane's component in the two texts that kubeadm keeps them in. Pure functions, and no YAML library.

Nodes have none. kubeadm writes both texts by a program, in one form each; whatever has another form is refused, not guessed.
A static pod's manifest is what runs now; ClusterConfiguration, in the ConfigMap kubeadm-config, is what the next
`kubeadm upgrade` makes of it: https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-reconfigure/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

__all__ = ["ArgumentsError", "in_configuration", "in_manifest", "missing_of"]

_FLAG = re.compile(r"( *)- --([a-z0-9-]+)=(.*)")
_NAME = re.compile(r"  - name: (\S+)")
_VALUE = "    value: "
# What YAML takes for text as it stands.
_PLAIN = re.compile(r"[a-z][a-z0-9.-]*|[0-9]+(s|m|h)")


class ArgumentsError(RuntimeError):
    """Arguments that cannot be told. The text says which, where, what was seen and what to do."""


def missing_of(command: Sequence[str], wanted: Mapping[str, str]) -> list[str]:
    """Name the arguments that a command line lacks, or has with another value."""
    return [name for name, value in wanted.items() if f"--{name}={value}" not in command]


def in_manifest(text: str, component: str, wanted: Mapping[str, str]) -> str:
    """Give a static pod's manifest these arguments, and leave every other line as it is.

    Args:
        text: the manifest.
        component: the program, the first word of its command, such as kube-controller-manager.
        wanted: {name without dashes: value}.

    Raises:
        ArgumentsError: the manifest has no such command.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() == f"- {component}"), None)
    if start is None:
        raise ArgumentsError(
            f"its manifest has no command that begins with {component}, which kubeadm writes into a line of its own"
        )
    indent = lines[start][: -len(lines[start].lstrip())]
    for name, value in sorted(wanted.items()):
        end = start + 1
        known = []
        while end < len(lines) and lines[end].startswith((f"{indent}- ", f"{indent}  ")):
            found = _FLAG.fullmatch(lines[end])
            if found and found[1] == indent and found[2] == name:
                known.append(end)
            end += 1
        # Where kubeadm puts those of a configuration depends on its version; of several the last one counts.
        place = known.pop() if known else end
        lines[place : place + (place < end)] = [f"{indent}- --{name}={value}"]
        for number in reversed(known):
            del lines[number]
    return "\n".join(lines) + "\n"


def in_configuration(text: str, section: str, wanted: Mapping[str, str]) -> str:
    """Give a ClusterConfiguration (kubeadm.k8s.io/v1beta4) these extraArgs, and leave every other line as it is.

    Args:
        text: as kubeadm stores it.
        section: the component's part, such as controllerManager.
        wanted: {name without dashes: value}.

    Raises:
        ArgumentsError: this part has another form than kubeadm gives it.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.split(":")[0] == section), len(lines))
    if start == len(lines):
        lines.append(f"{section}: {{}}")
    if lines[start] == f"{section}: {{}}":
        lines[start] = f"{section}:"
    if lines[start] != f"{section}:":
        raise ArgumentsError(_other_form(section, lines[start]))
    end = _end(lines, start + 1, " ")
    place = next((number for number in range(start + 1, end) if lines[number] == "  extraArgs:"), None)
    if place is None:
        place = start + 1
        lines.insert(place, "  extraArgs:")
    items = _items(lines, place + 1, section)
    for name, value in sorted(wanted.items()):
        at = items.get(name)
        if at is not None:
            # An entry that is right stays to the byte, in quotes or without.
            if lines[at][len(_VALUE) :].strip("'\"") != value:
                lines[at] = _VALUE + _quoted(value)
            continue
        after = _end(lines, place + 1, "  - ", "    ")
        lines[after:after] = [f"  - name: {name}", _VALUE + _quoted(value)]
    return "\n".join(lines) + "\n"


def _end(lines: Sequence[str], start: int, *prefixes: str) -> int:
    """Give the number of the first line that belongs to something else."""
    return next(
        (number for number in range(start, len(lines)) if not lines[number].startswith(prefixes)), len(lines)
    )


def _items(lines: Sequence[str], start: int, section: str) -> dict[str, int]:
    """Find the line of each argument's value: {name: number}. What stands twice has the last one, as with kubeadm."""
    end = _end(lines, start, "  - ", "    ")
    found = {}
    for number in range(start, end, 2):
        name = _NAME.fullmatch(lines[number])
        if not name or number + 1 >= end or not lines[number + 1].startswith(_VALUE):
            raise ArgumentsError(_other_form(section, lines[number]))
        found[name[1].strip("'\"")] = number + 1
    return found


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def _other_form(section: str, line: str) -> str:
    return (
        f"{section} in the ConfigMap kube-system/kubeadm-config has a form that kubeadm does not write, at {line.strip()!r}: "
        "write its extraArgs as a list of name and value (`kubectl -n kube-system edit configmap kubeadm-config`)"
    )
