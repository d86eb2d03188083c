# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What measures losses measures: a server that goes away and comes back, and the words for what was seen."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "infra"))

from losses import Prober, in_words, keep, launch, probing, seconds_until_launched
from web import Client

AWAY_SECONDS = 0.6


class Handler(BaseHTTPRequestHandler):
    """Answers 200, or 503 while it is away; a launch is ready, or fails while it is away."""

    away = False
    ended: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(503 if self.away and self.path == "/up" else 200)
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
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_an_outage_is_measured(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with probing(f"{url}up") as prober:
        time.sleep(0.5)
        monkeypatch.setattr(Handler, "away", True)
        went = time.monotonic()
        time.sleep(AWAY_SECONDS)
        assert not prober.has_answered_since(went + 0.2)
        monkeypatch.setattr(Handler, "away", False)
        time.sleep(0.5)
    assert prober.has_answered_since(went + AWAY_SECONDS)
    assert AWAY_SECONDS < prober.longest_gap < AWAY_SECONDS + 0.5
    assert len(prober.answered) > 4


def test_nobody_there_is_no_answer() -> None:
    prober = Prober("http://127.0.0.1:9/up")
    assert not prober.ask()
    assert (prober.longest_gap, prober.has_answered_since(0)) == (0.0, False)


def test_launches_until_one_works(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(timeout=2)
    assert launch(client, f"{url}build")
    assert Handler.ended == ["/user/x/api/shutdown"]
    assert not launch(client, "http://127.0.0.1:9/build")
    monkeypatch.setattr(Handler, "away", True)
    assert not launch(client, f"{url}build")
    since = time.monotonic()
    assert seconds_until_launched(client, f"{url}build", since, 0.3) > 0.3
    monkeypatch.setattr(Handler, "away", False)
    assert seconds_until_launched(client, f"{url}build", time.monotonic(), 5) < 3


def test_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_words([float(number) for number in range(1, 11)]) == {"p50": 5.5, "p95": 9.6, "max": 10.0}
    keep(tmp_path / "measured", "one", 1.5)
    keep(tmp_path / "measured", "two", {"p50": 2})
    kept = json.loads((tmp_path / "measured/losses.json").read_text())
    assert kept == {"one": 1.5, "two": {"p50": 2}}
    assert "one: 1.5" in capsys.readouterr().out
