# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `_stages`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stages
type: aggregate
short_description: Show which stage a run is in, and how long each stage took
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - For playbooks that only import other playbooks, as C(site.yml) does. Each imported playbook is a stage.
  - Prints a line when a stage begins, and the time of every stage at the end. Says nothing in other runs.
requirements:
  - Enable it by C(callbacks_enabled = ironbinder.platform.stages) in ansible.cfg.
"""

import time
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.callback import CallbackBase
from ansible_collections.ironbinder.platform.plugins.plugin_utils.run.stages import Stages, stage_names


class CallbackModule(CallbackBase):
    """Follows plays through the stages of the playbook that was started."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ironbinder.platform.stages"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: Any = None) -> None:
        """Begin without stages: the playbook is not known yet."""
        super().__init__(display=display)
        self._stages = Stages([], time.monotonic, self._say)

    def _say(self, line: str) -> None:
        self._display.display(line, color="bright cyan")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Read which stages the started playbook has; one that imports a single playbook stands for that one."""
        path = Path(playbook._basedir) / Path(playbook._file_name).name
        for _ in range(3):
            try:
                plays = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, yaml.YAMLError):
                return
            names = stage_names(plays)
            if len(names) != 1:
                break
            imported = plays[0].get("ansible.builtin.import_playbook") or plays[0].get("import_playbook")
            path = path.parent / imported
        self._stages = Stages(names, time.monotonic, self._say)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Every play knows the file that it was written in."""
        self._stages.enter(Path(play.get_path().rpartition(":")[0]).stem)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over, well or not."""
        self._stages.finish()
