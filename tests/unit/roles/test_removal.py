# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a role writes, its removal removes: each folder of files that is ours by name or mark, each unit, each hold."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
PREFIX = "ironbinder.platform."
REMOVED = sorted(path.parts[-3] for path in ROLES.glob("*/tasks/remove.yml"))
ELSEWHERE = {"guard", "binderhub", "control_plane", "worker"}
# (role, folder) that a removal leaves, or finds out, each with the reason.
KEPT = {
    ("firewall", "/etc/apt/apt.conf.d"): "roles node, registry and reverse_proxy take it away",
    ("node", "{{ __node_chrony_config_file | dirname }}"): "the machine would lose its time",
    ("pod_network", "/etc/cni/net.d"): "all that is there goes, but what container engines put there",
}


def inside(data: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a file."""
    if isinstance(data, list):
        for entry in data:
            yield from inside(entry)
    elif isinstance(data, dict):
        yield data
        for value in data.values():
            yield from inside(value)


def read(role: str, *patterns: str) -> Iterator[dict[str, Any]]:
    for pattern in patterns:
        for path in sorted((ROLES / role).glob(pattern)):
            if path.name != "remove.yml":
                yield from inside(yaml.safe_load(path.read_text()))


def plain(role: str, text: str) -> str:
    """A text with the role's own variables filled in, as far as they are names of files."""
    known = {
        **yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()),
        **(yaml.safe_load((ROLES / role / "vars/main.yml").read_text())),
    }

    def fill(found: re.Match[str]) -> str:
        if found.group(1) not in known:
            return found.group(0)
        value, part = plain(role, str(known[found.group(1)])), found.group(2)
        return {"dirname": str(Path(value).parent), "basename": Path(value).name}.get(part, value)

    return re.sub(r"\{\{ (\w+)(?: \| (dirname|basename))? \}\}", fill, text)


def groups(role: str, found: Iterator[dict[str, Any]]) -> set[tuple[str, str]]:
    """Groups of the module managed_files: (folder, each name or pattern, and the mark or the title of a block)."""
    return {
        (plain(role, entry["folder"]), plain(role, str(name)))
        for entry in found
        if isinstance(entry.get("folder"), str)
        for name in (*(entry.get("names") or []), entry.get("mark"), entry.get("block"))
        if name and isinstance(entry.get("names", []), list)
    }


# The rest write nothing, or have tests of their own.
@pytest.mark.parametrize("role", [role for role in REMOVED if role not in ELSEWHERE])
def test_what_is_written_is_removed(role: str) -> None:
    """So that a file that a role learns to write is not forgotten."""
    written = groups(role, read(role, "tasks/*.yml", "vars/*.yml"))
    gone = groups(role, iter(removal(role)))
    assert written, "the role writes nothing that could be forgotten"
    lost = {
        (folder, name)
        for folder, name in written
        if (role, folder) not in KEPT
        and not any(folder == place and fnmatch.fnmatch(name, pattern) for place, pattern in gone)
    }
    assert lost == set()


def removal(role: str) -> list[dict[str, Any]]:
    """Every mapping of a role's removal."""
    return list(inside(yaml.safe_load((ROLES / role / "tasks/remove.yml").read_text())))


@pytest.mark.parametrize("role", [role for role in REMOVED if role != "guard"])
def test_units_that_are_started_are_stopped(role: str) -> None:
    """Those of the role itself, that is: what a package brought is let go of with it."""
    started = {
        name
        for entry in read(role, "tasks/*.yml")
        if isinstance(told := entry.get(PREFIX + "service_unit"), dict) and told.get("state") != "stopped"
        for name in (told["name"], *(told.get("also") or []))
        if re.search("ironbinder|_gate_unit", str(name))
    }
    stopped = {
        str(name)
        for entry in removal(role)
        if isinstance(told := entry.get(PREFIX + "service_unit"), dict) and told.get("state") == "stopped"
        for name in ([told["name"]] if told["name"] != "{{ item }}" else entry["loop"])
    }
    assert started <= stopped


@pytest.mark.parametrize("role", REMOVED)
def test_packages_that_are_held_are_let_go_of(role: str) -> None:
    held = {
        str(name)
        for entry in read(role, "tasks/*.yml")
        if isinstance(told := entry.get(PREFIX + "held_packages"), dict) and told.get("hold", True)
        for name in told["name"]
    }
    released = {
        str(name)
        for entry in removal(role)
        if isinstance(told := entry.get(PREFIX + "held_packages"), dict)
        for name in told["name"]
    }
    assert held <= released


def test_only_a_removal_resets_a_machine() -> None:
    """What once worked is never reset by a run of the site: nothing that a stage plays says `absent` to kubeadm."""
    saying = {
        str(path.relative_to(ROLES))
        for path in ROLES.glob("*/tasks/*.yml")
        for entry in inside(yaml.safe_load(path.read_text()))
        if (entry.get(PREFIX + "kubeadm") or {}).get("state") not in (None, "init", "join")
    }
    assert saying == {"worker/tasks/remove.yml", "control_plane/tasks/remove.yml"}
    playbooks = ROLES.parent / "playbooks"
    leaving = {path.name for path in playbooks.glob("*.yml") if "leave_cluster.yml" in path.read_text()}
    assert leaving == {"remove_node.yml", "reset.yml"}
    including = [
        path.name
        for path in sorted(playbooks.rglob("*.yml"))
        for entry in inside(yaml.safe_load(path.read_text()))
        if (entry.get("ansible.builtin.include_role") or {}).get("name")
        in (f"{PREFIX}worker", f"{PREFIX}control_plane")
    ]
    assert including == ["leave_cluster.yml", "leave_cluster.yml"]
    imported = (playbooks / "site.yml").read_text()
    assert not re.search("remove_|reset|leave_", imported)
