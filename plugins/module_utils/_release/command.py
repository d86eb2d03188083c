# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Runs helm: arguments as lists, a deadline on each call, and nothing of its user's settings."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

__all__ = ["HelmError", "InterruptedHelmError", "Outcome", "Runner", "UnreachableError", "make_runner"]


class HelmError(Exception):
    """Helm refused. Its text says what, where, what Helm said, and what to do next."""


class UnreachableError(HelmError):
    """There is no helm, or no cluster that answers it."""


class InterruptedHelmError(HelmError):
    """The cluster went away while helm worked, and may answer again by now. What helm did of it has to be looked at."""


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


# Runs an argument list for at most so many seconds.
Runner = Callable[[Sequence[str], float], Outcome]


def make_runner(work_dir: Path, proxies: Optional[Mapping[str, str]] = None) -> Runner:
    """Return a runner whose helm sees nothing of its user's own settings, and the site's proxy where it has one (`proxies`).

    It runs in `work_dir`, because helm takes a folder of the chart's name in the current one for the
    chart, whatever `--repo` says.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
    if proxies:
        # All of them, so that no_proxy is of the same hand: helm asks the cluster, too.
        environment = {
            name: value for name, value in environment.items() if not name.lower().endswith("_proxy")
        }
        environment.update(proxies)
    for kind in ("CACHE", "CONFIG", "DATA"):
        environment[f"HELM_{kind}_HOME"] = str(work_dir / kind.lower())

    def run(argv: Sequence[str], seconds: float) -> Outcome:
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=work_dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise HelmError(
                f"cannot run {argv[0]}: {error.strerror}: role helm installs it; set helm_binary to where it is"
            ) from error
        with process:
            try:
                out, err = process.communicate(timeout=seconds)
            except BaseException as error:
                # With all that it started: what a kubeconfig runs for credentials would go on by itself.
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    return Outcome(124, "", f"Error: no answer in {seconds:.0f} s")
                raise
        return Outcome(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    return run
