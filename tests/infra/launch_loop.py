# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""People who launch all the time, one after another, while something is done to the site."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from live_site import Site

# A person would have given up by then.
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Attempt:
    """One launch, in seconds of one clock; `fault` is empty where it worked."""

    began: float
    ended: float
    fault: str = ""


def summary(attempts: Sequence[Attempt], began: float, ended: float) -> dict[str, Any]:
    """Say how many launches failed, and for how long nobody could launch.

    Args:
        attempts: in their order.
        began: when people began to launch.
        ended: when they stopped.

    Returns:
        `launches`, `failures`, `longest_gap_seconds` from the end of one good launch to the end of the next, beginning and end of
        the loop included, `gap_began_seconds` after the beginning, `median_seconds` of good ones, and `faults`, each once.
    """
    good = [attempt for attempt in attempts if not attempt.fault]
    marks = [began, *(attempt.ended for attempt in good), ended]
    gaps = [(late - early, early) for early, late in zip(marks, marks[1:])]
    longest, at = max(gaps)
    seconds = sorted(attempt.ended - attempt.began for attempt in good)
    return {
        "launches": len(attempts),
        "failures": len(attempts) - len(good),
        "longest_gap_seconds": round(longest, 1),
        "gap_began_seconds": round(at - began, 1),
        "median_seconds": round(seconds[len(seconds) // 2], 1) if seconds else None,
        "faults": list(dict.fromkeys(attempt.fault for attempt in attempts if attempt.fault)),
    }


class LaunchLoop:
    """Launches until it is told to stop: `with LaunchLoop(launch) as loop: ...`, and then `loop.told`."""

    def __init__(self, launch: Callable[[], str], pause_seconds: float = PAUSE_SECONDS) -> None:
        """Take what launches once and returns a fault, or nothing."""
        self._launch = launch
        self._pause = pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.attempts: list[Attempt] = []
        self.told: dict[str, Any] = {}
        self._began = 0.0

    def __enter__(self) -> LaunchLoop:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        # The last one counts, too.
        self._thread.join(2 * PATIENCE_SECONDS)
        self.told = summary(self.attempts, self._began, time.monotonic())

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            fault = self._launch()
            self.attempts.append(Attempt(began, time.monotonic(), fault))
            self._stop.wait(self._pause)


def launcher(site: Site) -> Callable[[], str]:
    """Return what launches the site's own sample once on its first hub, opens its notebook and ends it."""
    contract: Mapping[str, Any] = site.contract
    hub = next(iter(site.hubs.values()))
    request = LaunchRequest(
        url=hub["binder_url"],
        hub_url=hub["hub_url"],
        provider=contract["site_verify_provider"],
        spec=contract["site_verify_spec"],
        timeout_seconds=PATIENCE_SECONDS,
        silence_seconds=PATIENCE_SECONDS,
        # It is counted how long nobody could launch; that kernels compute is for `verify` to tell.
        check_kernel=False,
    )
    transport = HttpTransport(ca_files=tuple(contract["site_ca_files"]))

    def launch() -> str:
        try:
            Launch(request, transport).run()
        except VerifyError as error:
            return " ".join(str(error).split())[:200]
        return ""

    return launch
