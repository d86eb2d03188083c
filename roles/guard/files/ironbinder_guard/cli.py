# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The program for people and for systemd."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from ironbinder_guard.agent import CALM_SECONDS, Agent, learn_before_loading
from ironbinder_guard.config import CONFIG_FILE, Config, ConfigError, read_config, verdict
from ironbinder_guard.kernel import BRIDGE_TABLE, TABLE, NftError
from ironbinder_guard.known import read_known
from ironbinder_guard.records import all_records
from ironbinder_guard.table import Guard

HELP = """load    replace the table of nftables, in one transaction
agent   load what differs, now and whenever something changes (ironbinder-guard.service)
check   print what differs from what has to be, one line each, and end with 1 where anything does
        --table: only what a restart of ironbinder-guard.service puts right
show    print whose address is known, as what, and how long telling the table took
remove  remove the table: nothing is fenced afterwards
"""


def log(line: str) -> None:
    """Write to the journal."""
    print(line, flush=True)


def load(config: Config) -> int:
    """Load the table, and say how long that took."""
    learn_before_loading(config, log)
    guard = Guard(config)
    started = time.monotonic()
    guard.load()
    log(f"loaded the table {TABLE} with {len(guard.nft.pods())} pods in {time.monotonic() - started:.3f} s")
    return 0


def agent(config: Config) -> int:
    """Go on until told to end. The table stays."""
    running = Agent(config, log)

    def end(_signal: int, _frame: object) -> None:
        running.ended.set()
        running.happened.set()

    signal.signal(signal.SIGTERM, end)
    running.run()
    return 0


def check(config: Config, *, whole: bool = True) -> int:
    """Print what differs."""
    guard = Guard(config)
    faults = guard.faults()
    if faults and not guard.broken():
        # The agent may have heard of it this moment, and be about to put it right.
        time.sleep(CALM_SECONDS * 10)
        faults = guard.faults()
    found = [*faults, *(guard.complaints() if whole else [])]
    for line in found:
        print(line)
    return 1 if found else 0


def show(config: Config) -> int:
    """Print whose address is known."""
    records = all_records(config.state_dir)
    rows = [
        (record.address, f"{record.namespace}/{record.name}", "plugin", f"{record.milliseconds} ms")
        for record in records
    ]
    plugged = {row[1] for row in rows}
    known = read_known(config.state_dir)
    rows += [
        (pod.address, pod.full_name, "API" if pod.full_name in known.adopted else "nobody", "")
        for pod in known.pods
        if pod.address and pod.full_name not in plugged
    ]
    for address, name, source, spent in sorted(rows, key=lambda row: row[1]):
        told = verdict(config, *name.split("/", 1)) if source != "nobody" else None
        print(f"{address:<16}{told or 'denied':<28}{name:<64}{source:<8}{spent}".rstrip())
    return 0


def remove(config: Config) -> int:
    """Remove the table."""
    Guard(config).nft.change(
        f"{verb} table {name}" for name in (TABLE, BRIDGE_TABLE) for verb in ("add", "delete")
    )
    return 0


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; 0 when all is well."""
    parser = argparse.ArgumentParser(
        prog="ironbinder-guard", epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default=CONFIG_FILE)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("verb", choices=["load", "agent", "check", "show", "remove"])
    given = parser.parse_args(arguments)
    try:
        config = read_config(given.config)
        if given.verb == "check":
            return check(config, whole=not given.table)
        return {"load": load, "agent": agent, "show": show, "remove": remove}[given.verb](config)
    except (ConfigError, NftError, OSError) as error:
        print(f"ironbinder-guard: {error}", file=sys.stderr)
        return 2
