# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What measures losses measures: a server that goes away and comes back, and the words for what was seen."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "infra"))

import losses
from losses import PAUSE_SECONDS, Prober, in_words, keep, launch, probing, seconds_until_launched
from web import Client

LOST = 6


class Handler(BaseHTTPRequestHandler):
    """Answers 200, or 503 while it is away; a launch is ready, or fails while it is away."""

    away = False
    ended: ClassVar[list[str]] = []
    # When somebody asked whether it is up, and what the answer was.
    seen: ClassVar[list[tuple[float, int]]] = []

    def do_GET(self) -> None:
        status = 503 if self.away and self.path == "/up" else 200
        self.seen.append((time.monotonic(), status))
        self.send_response(status)
        self.end_headers()
        if self.path != "/up":
            url = f"http://{self.headers['Host']}/user/x/"
            data = {"phase": "Failed"} if self.away else {"phase": "ready", "url": url, "token": "t"}
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

    def do_POST(self) -> None:
        self.ended.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Handler, "ended", [])
    monkeypatch.setattr(Handler, "seen", [])
    # However busy the machine is: what is answered is answered in time.
    monkeypatch.setattr(losses, "ANSWER_SECONDS", 60.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def test_an_outage_is_measured(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From when the last good answer was asked for to when the next one was; the server saw each a moment later."""
    with probing(f"{url}up") as prober:
        until(lambda: len(prober.answered) > 2)
        monkeypatch.setattr(Handler, "away", True)
        went, before = time.monotonic(), len(Handler.seen)
        until(lambda: len(Handler.seen) >= before + LOST)
        assert not prober.has_answered_since(went)
        monkeypatch.setattr(Handler, "away", False)
        back = time.monotonic()
        until(lambda: prober.has_answered_since(back))
        until(lambda: len(prober.answered) > 6)
    lost = [number for number, (_, status) in enumerate(Handler.seen) if status == 503]
    assert len(lost) >= LOST and lost == list(range(lost[0], lost[-1] + 1))
    # The one that was asked before the last good one was seen before that was asked.
    longest = Handler.seen[lost[-1] + 1][0] - Handler.seen[lost[0] - 2][0]
    assert LOST * PAUSE_SECONDS < prober.longest_gap < longest
    assert len(prober.answered) == len(Handler.seen) - len(lost)


def test_nobody_there_is_no_answer() -> None:
    prober = Prober("http://127.0.0.1:9/up")
    assert not prober.ask()
    assert (prober.longest_gap, prober.has_answered_since(0)) == (0.0, False)


def test_launches_until_one_works(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(timeout=60)
    assert launch(client, f"{url}build")
    assert Handler.ended == ["/user/x/api/shutdown"]
    assert not launch(client, "http://127.0.0.1:9/build")
    monkeypatch.setattr(Handler, "away", True)
    assert not launch(client, f"{url}build")
    since = time.monotonic()
    assert seconds_until_launched(client, f"{url}build", since, 0.3) > 0.3
    monkeypatch.setattr(Handler, "away", False)
    assert seconds_until_launched(client, f"{url}build", time.monotonic(), 60) < 60


def test_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_words([float(number) for number in range(1, 11)]) == {"p50": 5.5, "p95": 9.6, "max": 10.0}
    keep(tmp_path / "measured", "one", 1.5)
    keep(tmp_path / "measured", "two", {"p50": 2})
    kept = json.loads((tmp_path / "measured/losses.json").read_text())
    assert kept == {"one": 1.5, "two": {"p50": 2}}
    assert "one: 1.5" in capsys.readouterr().out
