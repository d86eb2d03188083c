# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How long people are without what they came for: an address that is asked all the time, and launches until one works."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from web import Client

PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 1.0


class Prober:
    """Asks a URL over and over, each time by a new connection, and remembers when it was answered.

    `longest_gap` are the seconds of the longest time without an answer, from the last good one before it to the first after it.
    """

    def __init__(self, url: str) -> None:
        self.answered: list[float] = []
        self._url = urlsplit(url)
        self._ended = threading.Event()

    @property
    def longest_gap(self) -> float:
        """Seconds; 0 where it was answered less than twice."""
        return max((late - early for early, late in zip(self.answered, self.answered[1:])), default=0.0)

    def has_answered_since(self, moment: float) -> bool:
        """Whether a question that was asked after a moment of `time.monotonic` was answered."""
        return bool(self.answered) and self.answered[-1] > moment

    def ask(self) -> bool:
        """Ask once."""
        asked = time.monotonic()
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port or 80, timeout=ANSWER_SECONDS
        )
        try:
            connection.request("GET", self._url.path)
            good = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if good:
            self.answered.append(asked)
        return good

    def run(self) -> None:
        """Ask until somebody says that it is enough."""
        while not self._ended.wait(PAUSE_SECONDS):
            self.ask()

    def end(self) -> None:
        """Say so."""
        self._ended.set()


@contextmanager
def probing(url: str) -> Iterator[Prober]:
    """Ask a URL all the while."""
    prober = Prober(url)
    thread = threading.Thread(target=prober.run, daemon=True)
    thread.start()
    try:
        yield prober
    finally:
        prober.end()
        thread.join()


def launch(client: Client, url: str) -> bool:
    """Launch a repository and end its session; say whether it became one. Each event has to come within the client's time."""
    try:
        for _, data in client.events(url):
            phase = str(data.get("phase", "")).lower()
            if phase == "ready":
                client.send("POST", f"{data['url']}api/shutdown", {"Authorization": f"token {data['token']}"})
                return True
            if phase in ("failed", "failure"):
                return False
    except (OSError, http.client.HTTPException, AssertionError, ValueError):
        return False
    return False


def seconds_until_launched(client: Client, url: str, since: float, most: float) -> float:
    """Launch again and again, and give the seconds from `since` (of `time.monotonic`) to the end of the first that works.

    Returns:
        More than `most` where none does.
    """
    while not launch(client, url):
        if time.monotonic() - since > most:
            break
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - since


def in_words(outages: Sequence[float]) -> dict[str, float]:
    """Give the half and the 95th part of a hundred, and the longest, in seconds."""
    parts = statistics.quantiles(outages, n=20, method="inclusive")
    return {"p50": round(parts[9], 1), "p95": round(parts[18], 1), "max": round(max(outages), 1)}


def keep(folder: Path, name: str, told: Any) -> None:
    """Print a measurement, and add it to `losses.json` in a folder, from which docs/reliability.md is filled."""
    print(f"{name}: {json.dumps(told)}")
    path = folder / "losses.json"
    folder.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, name: told}, indent=1) + "\n", encoding="utf-8")
