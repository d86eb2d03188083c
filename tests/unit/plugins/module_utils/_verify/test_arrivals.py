# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.arrivals import Arrivals
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import EventStreamParser
from binder_server import STREAMS, Pieces, held_back, load_stream

LAUNCHES = ["cold", "cold_old", "warm", "keepalives", "unicode", "unknown_phase"]


def evidence(pieces: Pieces) -> str:
    arrivals, parser = Arrivals(0.0), EventStreamParser()
    for seconds, body in pieces:
        items = parser.feed(body)
        arrivals.note(seconds, items, parser.pending)
    return arrivals.evidence


@pytest.mark.parametrize("name", sorted(path.stem for path in STREAMS.glob("*.txt")))
def test_a_live_stream_is_not_accused(name: str) -> None:
    assert evidence(load_stream(name)) == ""


@pytest.mark.parametrize("name", LAUNCHES)
@pytest.mark.parametrize("block", [1024, 4096, 8192, 16384])
@pytest.mark.parametrize("hangs_up_after", [0.0, 60.0])
def test_a_launch_that_is_held_back_is_found_out(name: str, block: int, hangs_up_after: float) -> None:
    assert evidence(held_back(load_stream(name), block, hangs_up_after))


def test_a_build_that_is_held_back_is_found_out_before_it_ends() -> None:
    pieces = held_back(load_stream("cold"))
    assert "in the middle of an event" in evidence(pieces[:-1])
    assert "'launching' and 'ready' arrived together after" in evidence(held_back(load_stream("warm")))


def test_a_lost_packet_is_not_accused() -> None:
    """One event of a live stream arrives in two parts, 0.9 s apart."""
    pieces = load_stream("cold")
    seconds, body = pieces[20]
    pieces[20:21] = [(seconds, body[:100]), (seconds + 0.9, body[100:])]
    assert evidence(pieces) == ""


def test_keepalives_in_one_breath() -> None:
    assert "two keepalives" in evidence([(60.0, b":keepalive\n\n:keepalive\n\n")])
