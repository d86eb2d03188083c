# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `plugin_utils/run/stages.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stages
type: aggregate
short_description: Show which stage a run is in, and how long each stage took
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - For playbooks that only import other playbooks, as C(site.yml) does. Each imported playbook is a stage,
    with all that it imports in its turn.
  - Prints a line when a stage begins, and the time of every stage at the end. Says nothing in other runs.
requirements:
  - Enable it by C(callbacks_enabled = ironbinder.platform.stages) in ansible.cfg.
"""

import importlib
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.callback import CallbackBase
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.stages import (
    Stages,
    imports,
    stage_names,
    stages_by_file,
)


def _file(imported: str, folder: Path) -> Path:
    """Where an imported playbook is: a file beside the one that imports it, or one of a collection."""
    beside = folder / imported
    parts = imported.split(".")
    if beside.is_file() or len(parts) != 3:
        return beside
    try:
        collection = importlib.import_module(f"ansible_collections.{parts[0]}.{parts[1]}")
    except ImportError:
        return beside
    return Path(next(iter(collection.__path__))) / "playbooks" / f"{parts[2]}.yml"


def _read(imported: str, folder: Path) -> tuple[object, Path]:
    """Parse an imported playbook; None where it cannot be read. And its folder."""
    path = _file(imported, folder)
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")), path.parent
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None, path.parent


class CallbackModule(CallbackBase):
    """Follows plays through the stages of the playbook that was started."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ironbinder.platform.stages"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: Any = None) -> None:
        """Begin without stages: the playbook is not known yet."""
        super().__init__(display=display)
        self._stages = Stages([], SystemClock().now, self._say)

    def _say(self, line: str) -> None:
        self._display.display(line, color="bright cyan")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Read which stages the started playbook has; one that imports a single playbook stands for that one."""
        plays, folder = _read(Path(playbook._file_name).name, Path(playbook._basedir))
        for _ in range(3):
            if len(stage_names(plays)) != 1:
                break
            plays, folder = _read(imports(plays)[0], folder)
        files = stages_by_file(plays, folder, _read)
        self._stages = Stages(stage_names(plays), SystemClock().now, self._say, files)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Every play knows the file that it was written in."""
        self._stages.enter(Path(play.get_path().rpartition(":")[0]).stem)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over, well or not."""
        self._stages.finish()
