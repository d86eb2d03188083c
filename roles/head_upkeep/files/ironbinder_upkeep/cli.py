# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The command `ironbinder-upkeep`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ironbinder_upkeep.certificates import Head, renew
from ironbinder_upkeep.machine import UpkeepError, kubeadm_alone, why
from ironbinder_upkeep.snapshots import Store, prove, take

__all__ = ["main"]

STATE_DIR = Path("/var/lib/ironbinder")


def main(argv: Sequence[str]) -> int:
    """Do what a verb says. 0 when all is well; what came of it is a line of JSON."""
    parser = argparse.ArgumentParser(prog="ironbinder-upkeep", description="What a head does by itself.")
    parser.add_argument(
        "--state-dir", type=Path, default=STATE_DIR, help="where the last attempts are told of"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    taking = verbs.add_parser("snapshot", help="take a snapshot of etcd, prove it, remove the oldest")
    taking.add_argument("--directory", type=Path, required=True)
    taking.add_argument("--keep", type=int, required=True, help="how many stay, one at least")
    taking.add_argument(
        "--unless-younger-seconds", type=int, default=0, help="take none where one is younger"
    )
    taking.add_argument(
        "--state-name",
        default="etcd-snapshot.json",
        help="the file that tells of it; the timer's, unless told",
    )
    proving = verbs.add_parser("prove", help="restore a snapshot into a scratch folder beside it")
    proving.add_argument("snapshot", type=Path)
    renewing = verbs.add_parser(
        "renew", help="renew kubeadm's certificates that end soon, and have them used"
    )
    renewing.add_argument("--days", type=int, default=90)
    renewing.add_argument("--now", action="store_true", help="all of them, however long they last")
    given = parser.parse_args(argv)
    try:
        print(json.dumps(_do(given)))
    except (UpkeepError, OSError, ValueError, KeyError) as error:
        print(why(error), file=sys.stderr)
        return 1
    return 0


def _do(given: argparse.Namespace) -> dict[str, Any]:
    if given.verb == "snapshot":
        state = given.state_dir / given.state_name
        return take(Store(given.directory), state, max(1, given.keep), given.unless_younger_seconds)
    if given.verb == "prove":
        return prove(given.snapshot)
    with kubeadm_alone(given.state_dir, "ironbinder-upkeep renews certificates"):
        return renew(Head(), given.state_dir / "certificates.json", given.days, now=given.now)
