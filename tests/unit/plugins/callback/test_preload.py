# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the callback loads before the first fork is not loaded again after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
# In a process of its own: the loaders and the garbage collector of this one are other tests', too.
RUN = """
import gc, os, sys
from ansible.plugins.loader import filter_loader, init_plugin_loader
init_plugin_loader([sys.argv[1]])
from ansible_collections.ironbinder.platform.plugins.callback import preload
preload.FILTERS = tuple(sys.argv[3:])
if sys.argv[2] == "preloaded":
    preload.CallbackModule().v2_playbook_on_start(None)
loaded = []
load = filter_loader._load_module_source
filter_loader._load_module_source = lambda **given: loaded.append(given) or load(**given)
if os.fork() == 0:
    assert filter_loader.get("ironbinder.platform.resolve_hubs")
    print(len(loaded), gc.get_freeze_count() > 10_000, flush=True)
    os._exit(0)
os.wait()
"""


def run(how: str, *filters: str) -> tuple[int, bool]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT / "collections"), how, *filters],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    loads, frozen = done.stdout.split()
    return int(loads), frozen == "True"


def test_a_worker_loads_no_filter_again() -> None:
    assert run("preloaded", "ironbinder.platform.node_addresses") == (0, True)


def test_without_it_a_worker_loads_the_whole_collection() -> None:
    loads, frozen = run("bare")
    assert loads >= len(list((ROOT / "plugins" / "filter").glob("*.py")))
    assert not frozen


@pytest.mark.parametrize("missing", ["no.such.filter", "ironbinder.platform.no_such_filter", "nonsense"])
def test_a_collection_that_is_missing_stops_nothing(missing: str) -> None:
    assert run("preloaded", missing, "ironbinder.platform.node_addresses") == (0, True)
