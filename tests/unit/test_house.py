# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The house as docs/house.md draws it: every file has a room, and nobody reaches upwards or next door."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
PREFIX = "ansible_collections.ironbinder.platform.plugins."
# What travels to machines, lowest floor first. A room imports from lower floors and from itself.
FLOORS = (
    ("_base",),
    ("_net", "_kube"),
    ("_machine", "_docker", "_cluster", "_release", "_verify"),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# What stays on the controller.
CONTROLLER_ROOMS = ("site", "site/rules", "machine", "run")
DOORS = ("action", "callback", "doc_fragments", "filter", "modules")


def faults(plugins: Path) -> Iterator[str]:
    """Say what is wrong with a folder of plugins."""
    for path in sorted(plugins.rglob("*.py")):
        place = path.relative_to(plugins)
        kind, room = place.parts[0], "/".join(place.parts[1:-1])
        rooms = {"module_utils": FLOOR_OF, "plugin_utils": CONTROLLER_ROOMS}.get(kind)
        if kind in DOORS:
            if room:
                yield f"{place}: doors have no rooms"
        elif rooms is None or room not in rooms:
            yield f"{place}: has no room"
            continue
        for imported in imports(path):
            fault = _import_fault(kind, room, imported)
            if fault:
                yield f"{place}: imports {imported}, {fault}"


def imports(path: Path) -> Iterator[str]:
    """Give what a file imports of this collection, as module_utils._net.http, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "a relative name"
            # `from package.room import file` names the file last.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))


def _import_fault(kind: str, room: str, imported: str) -> str:
    target, *rest = imported.split(".")
    if target not in ("module_utils", "plugin_utils"):
        return "which is a door, or no full name"
    if kind in ("module_utils", "modules", "doc_fragments") and target == "plugin_utils":
        return "which stays on the controller"
    if kind == "module_utils" and rest[0] != room and FLOOR_OF.get(rest[0], 99) >= FLOOR_OF[room]:
        return "upwards or next door"
    if room == "site/rules" and rest[:2] == ["site", "rules"] and target == "plugin_utils":
        return "another file of rules"
    if kind == "plugin_utils" and room == "run" and target == "plugin_utils" and rest[0] != "run":
        return "next door"
    return ""


def test_every_file_has_its_room_and_its_manners() -> None:
    assert list(faults(PLUGINS)) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("module_utils/loose.py", "", "has no room"),
        ("module_utils/_attic/x.py", "", "has no room"),
        ("plugin_utils/x.py", "", "has no room"),
        ("modules/_x/y.py", "", "doors have no rooms"),
        (
            "module_utils/_base/x.py",
            f"from {PREFIX}module_utils._net.http import Reply",
            "upwards or next door",
        ),
        ("module_utils/_net/x.py", f"from {PREFIX}module_utils._kube import api", "upwards or next door"),
        ("module_utils/_docker/x.py", f"import {PREFIX}module_utils._machine.proc", "upwards or next door"),
        ("module_utils/_docker/x.py", "from ..x import y", "a relative name"),
        (
            "module_utils/_net/x.py",
            f"from {PREFIX}plugin_utils.site.pool import p",
            "stays on the controller",
        ),
        (
            "modules/x.py",
            f"def f():\n  from {PREFIX}plugin_utils.site.pool import p",
            "stays on the controller",
        ),
        ("modules/x.py", f"from {PREFIX}modules.y import main", "a door"),
        (
            "plugin_utils/site/rules/x.py",
            f"from {PREFIX}plugin_utils.site.rules import pool",
            "another file of rules",
        ),
    ],
)
def test_bad_manners_are_seen(tmp_path: Path, file: str, text: str, fault: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert [found for found in faults(tmp_path) if fault in found]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("module_utils/_docker/x.py", f"from {PREFIX}module_utils._net.http import Reply"),
        ("module_utils/_net/x.py", f"from {PREFIX}module_utils._net.tls import trusting"),
        ("plugin_utils/site/x.py", f"from {PREFIX}module_utils._base.files import write_atomically"),
        ("action/x.py", f"from {PREFIX}plugin_utils.site.pool import parse_pool"),
    ],
)
def test_good_manners_pass(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert list(faults(tmp_path)) == []


def programs(root: Path) -> set[Path]:
    """Folders of Python that a role writes to machines as they are."""
    return {path.parent for path in (root / "roles").rglob("files/**/*.py")}


def strangers(room: Path) -> Iterator[str]:
    """Say what a program of a role imports that a machine does not have."""
    for path in sorted(room.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = ["a relative name" if node.level else str(node.module)]
            for name in names:
                if name.partition(".")[0] not in {*sys.stdlib_module_names, room.name}:
                    yield f"{path.name}: {name}"


def test_programs_of_roles_stand_alone() -> None:
    assert [fault for room in programs(ROOT) for fault in strangers(room)] == []


def test_a_program_that_leans_on_others_is_seen(tmp_path: Path) -> None:
    room = tmp_path / "roles/x/files/tool"
    room.mkdir(parents=True)
    (room / "a.py").write_text(
        f"import json, yaml\nfrom {PREFIX}module_utils._base import files\nfrom tool.b import c"
    )
    assert programs(tmp_path) == {room}
    assert list(strangers(room)) == ["a.py: yaml", f"a.py: {PREFIX}module_utils._base"]


def test_types_of_every_program_are_checked() -> None:
    """What a role writes to machines is among the files that mypy reads."""
    settings = re.search(
        r"^\[tool\.mypy\]\nfiles = \[\n(.+?)^\]",
        (ROOT / "pyproject.toml").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert settings is not None
    read = [ROOT / name for name in re.findall(r'"([^"]+)"', settings[1])]
    written = [path for room in programs(ROOT) for path in room.rglob("*.py")]
    assert written
    assert [path for path in written if not {path, *path.parents} & set(read)] == []


def test_tests_mirror_the_rooms() -> None:
    """A test of a room lies in a folder of the same name."""
    tests = ROOT / "tests" / "unit" / "plugins"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (PLUGINS / folder).is_dir()] == []


def test_the_map_names_every_room() -> None:
    """docs/house.md has every folder of Python and every role, and no other."""
    text = (ROOT / "docs" / "house.md").read_text()
    drawn = set(re.findall(r"^\| `([^`]+)/` ", text, re.MULTILINE))
    rooms = {f"plugins/module_utils/{room}" for room in FLOOR_OF}
    rooms |= {f"plugins/plugin_utils/{room}" for room in CONTROLLER_ROOMS}
    rooms |= {f"plugins/{door}" for door in DOORS}
    rooms |= {f"roles/{path.name}" for path in (ROOT / "roles").iterdir() if path.is_dir()}
    rooms |= {str(room.relative_to(ROOT)) for room in programs(ROOT)}
    assert drawn == rooms
