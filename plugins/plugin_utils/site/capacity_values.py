# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a plan of a site's capacity means for the contract, and the file that says so."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import SitePlan
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_int, as_mapping

__all__ = [
    "FILE_NAME",
    "NAMES",
    "ForeignFileError",
    "Value",
    "capacity_values",
    "file_text",
    "own_values",
    "set_elsewhere",
]

# Read before site.yml, as Ansible reads the files of a folder by their names: what site.yml says wins.
FILE_NAME = "capacity.yml"
MARK = "# Written by `make capacity`"
HEADER = f"""---
{MARK} from what the nodes of this site have, and written anew by the next one.
# For another value write it into site.yml, which wins; the next `make capacity` then leaves it out here.
"""
NAMES = (
    "site_total_quota",
    "site_per_repo_quota",
    "site_parallel_builds",
    "site_max_pods",
    "site_inotify_max_user_instances",
    "site_inotify_max_user_watches",
)
# One repository may have this part of all sessions: a class of students is one repository.
REPO_SHARE = 2
# mybinder.org for up to 300 pods on a node (docs/source/deployment/k3s.md); sessions of a node are one user to its kernel.
INOTIFY = {"max_user_instances": 8192, "max_user_watches": 524288}
COLUMNS = 110

# Reads a YAML file, decrypted. Raises whatever Ansible raises.
Load = Callable[[Path], Any]


class ForeignFileError(ValueError):
    """A file stands where ours belongs. Its text says which, and what to do."""


@dataclass(frozen=True)
class Value:
    """A variable of the contract, its number, and how that follows from the site's figures."""

    name: str
    number: int
    how: str


def capacity_values(plan: SitePlan, inotify: Mapping[str, int]) -> list[Value]:
    """Give the values that follow from a plan, in the order in which they are written.

    Args:
        plan: the site's.
        inotify: what kernels allow now, by the parameter's last name; empty where it is not the nodes' to say.
    """
    each = " + ".join(f"{node.machine.name} {node.sessions}" for node in plan.nodes if node.sessions)
    if not plan.carrier and plan.hubs:
        each = f"{each or 0}, less the hubs' own pods, which no node has room for alone"
    users = [node for node in plan.nodes if node.machine.runs_sessions]
    builds = " + ".join(f"{node.machine.name} {node.builds}" for node in plan.nodes if node.builds)
    most = max((node.machine.memory_mib for node in users), default=0)
    # A quota of 0 would be none at all.
    total = max(1, plan.sessions)
    found = [
        Value("site_total_quota", total, f"sessions: {each or 'none fits, and 0 would be no quota'}"),
        Value(
            "site_per_repo_quota",
            max(1, -(-total // REPO_SHARE)),
            f"half of {total}, so that one repository, such as a class of students, leaves room for others",
        ),
        Value(
            "site_parallel_builds",
            max(1, plan.builds),
            f"builds of 2 GiB and one processor each, within the bounds of builds: {builds}",
        ),
        Value(
            "site_max_pods",
            plan.max_pods,
            f"1.75 for each GB of the {most} MiB of the largest node that runs sessions; 110 at least, 250 at most",
        ),
    ]
    for name, wanted in INOTIFY.items():
        now = inotify.get(name)
        if now is not None:
            how = f"{wanted} serves 300 pods of a node" + (
                f", and a node has {now} now" if now > wanted else ""
            )
            found.append(Value(f"site_inotify_{name}", max(wanted, now), how))
    return found


def file_text(values: Iterable[Value]) -> str:
    """Write values as YAML, each below its explanation."""
    text = HEADER
    for value in values:
        for line in textwrap.wrap(value.how, COLUMNS, break_long_words=False, break_on_hyphens=False):
            text += f"# {line}\n"
        text += f"{value.name}: {value.number}\n"
    return text


def own_values(path: Path, load: Load) -> Mapping[str, Any]:
    """Read what the file says now, nothing where there is none.

    Raises:
        ForeignFileError: somebody else wrote it.
        OSError: it cannot be read.
    """
    if not path.is_file():
        return {}
    if MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise ForeignFileError(
            f"{path} was not written by `make capacity`, and is left alone: give it another name, such as "
            f"{path.with_name('sizes.yml').name}, and run again"
        )
    return as_mapping(load(path))


def set_elsewhere(given: Mapping[str, Any], own: Mapping[str, Any], path: Path, load: Load) -> dict[str, int]:
    """Find the values that the inventory sets by itself.

    Args:
        given: the contract's variables that the whole site is given, from wherever.
        own: what our file says.
        path: our file; the files beside it and `<folder>.yml` are looked through.
        load: reads one of these.

    Returns:
        {name: number}, 0 for what is no number.
    """
    found = {name: given[name] for name in NAMES if name in given and own.get(name) != given[name]}
    for beside in _files_beside(path):
        content = as_mapping(load(beside))
        found |= {name: given.get(name, content[name]) for name in NAMES if name in content}
    return {name: as_int(value) for name, value in found.items()}


def _files_beside(path: Path) -> Sequence[Path]:
    folder = path.parent
    files = [folder.with_suffix(suffix) for suffix in (".yml", ".yaml", ".json")]
    files += sorted(folder.rglob("*")) if folder.is_dir() else []
    # Only text that names one of ours is worth a parser, and maybe a vault's password.
    return [
        file
        for file in files
        if file.is_file()
        and file != path
        and not file.name.startswith(".")
        and file.suffix in (".yml", ".yaml", ".json", "")
        and any(name in file.read_text(encoding="utf-8", errors="replace") for name in NAMES)
    ]
