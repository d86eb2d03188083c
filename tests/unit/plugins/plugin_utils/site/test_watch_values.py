# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the hub is given, run beside watches like KubeSpawner's."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.watch_values import watch_values


def run_snippet(monkeypatch: pytest.MonkeyPatch, reflector: Any) -> None:
    """Run it as the hub's configuration does."""
    module = ModuleType("kubespawner.reflector")
    module.__dict__["ResourceReflector"] = reflector
    monkeypatch.setitem(sys.modules, "kubespawner", ModuleType("kubespawner"))
    monkeypatch.setitem(sys.modules, "kubespawner.reflector", module)
    [code] = watch_values()["jupyterhub"]["hub"]["extraConfig"].values()
    exec(code, {})


def test_a_watch_that_gave_up_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reflector:
        _stopping = False
        begun = 0

        async def _watch_and_update(self) -> None:
            self.begun += 1
            self._stopping = self.begun == 3

    run_snippet(monkeypatch, Reflector)
    reflector = Reflector()
    asyncio.run(reflector._watch_and_update())
    assert reflector.begun == 3


def test_what_ends_the_hub_still_does(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reflector:
        _stopping = False

        async def _watch_and_update(self) -> None:
            raise SystemExit(1)

    run_snippet(monkeypatch, Reflector)
    with pytest.raises(SystemExit):
        asyncio.run(Reflector()._watch_and_update())


def test_a_thread_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reflector:
        def _watch_and_update(self) -> None:
            """Of KubeSpawner before 5."""

    before = Reflector._watch_and_update
    run_snippet(monkeypatch, Reflector)
    assert Reflector._watch_and_update is before
