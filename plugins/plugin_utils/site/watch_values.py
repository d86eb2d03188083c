# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How a hub goes on when the API was away, as values of the BinderHub chart."""

from __future__ import annotations

from typing import Any

__all__ = ["watch_values"]

# Before a site's own snippets, which are taken in the order of their names.
_SNIPPET = "00-ironbinder-watch"
_WATCH_ON = """\
from inspect import iscoroutinefunction

from kubespawner.reflector import ResourceReflector


def watch_on(until_it_gives_up):
    async def watch(self):
        while not self._stopping:
            await until_it_gives_up(self)

    return watch


# Before KubeSpawner 5 it is a thread, and the hub ends with it.
if iscoroutinefunction(ResourceReflector._watch_and_update):
    ResourceReflector._watch_and_update = watch_on(ResourceReflector._watch_and_update)
"""


def watch_values() -> dict[str, Any]:
    """Have the hub watch its pods again, however long the API was away.

    KubeSpawner (seen in 7.1.0, `reflector.py`) gives up after some 50 seconds and leaves a hub that is healthy by every probe and
    in which no server ever starts: it does not see them. A head that is restarted, or upgraded, is away for longer.
    """
    return {"jupyterhub": {"hub": {"extraConfig": {_SNIPPET: _WATCH_ON}}}}
