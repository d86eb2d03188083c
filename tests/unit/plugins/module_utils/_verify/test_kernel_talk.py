# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What kernels said to a request, recorded, in the order in which they said it and in others."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_talk import (
    SHOWN,
    Answer,
    execute_request,
    info_request,
    shortly,
)
from kernel_server import load_kernel


def heard(messages: list[dict[str, Any]], asked: str = "mine") -> Answer:
    """Take in messages until there is nothing more to come."""
    answer = Answer(asked)
    for message in messages:
        assert not answer.complete, f"did not wait for {message['msg_type']}"
        answer.take(json.dumps(message).encode())
    return answer


@pytest.mark.parametrize(
    ("name", "output"),
    [("sum", "121932631668190824\n"), ("value", "one\n'two'"), ("info", "")],
)
def test_answers(name: str, output: str) -> None:
    answer = heard(load_kernel(name, "mine"))
    assert (answer.complete, answer.output, answer.error, answer.died) == (True, output, "", False)


def test_an_error_has_its_traceback_without_colours() -> None:
    answer = heard(load_kernel("raises", "mine"))
    assert answer.complete and answer.error == "ZeroDivisionError: division by zero"
    assert answer.trace[-2:] == ["----> 1 1/0", "ZeroDivisionError: division by zero"]
    assert not any("\x1b" in line for line in answer.trace)


def test_a_kernel_that_dies_says_so_in_answer_to_nobody() -> None:
    answer = heard(load_kernel("dies", "mine"))
    assert answer.died and not answer.complete


@pytest.mark.parametrize("name", ["sum", "value", "raises", "info"])
def test_what_is_said_to_others_is_not_for_us(name: str) -> None:
    answer = heard(load_kernel(name, "theirs"))
    assert (answer.complete, answer.output, answer.error) == (False, "", "")


def test_any_order_of_reply_and_idle() -> None:
    """They come over two channels, each of its own pace; the output is there before it is idle."""
    messages = [entry for entry in load_kernel("sum", "mine") if entry["parent_header"]["msg_id"] == "mine"]
    reply = next(entry for entry in messages if entry["channel"] == "shell")
    others = [entry for entry in messages if entry is not reply]
    for place in range(len(others) + 1):
        answer = heard([*others[:place], reply, *others[place:]])
        assert answer.complete and answer.output == "121932631668190824\n"


@pytest.mark.parametrize("gone", ["idle", "reply"])
def test_neither_is_left_out(gone: str) -> None:
    messages = [
        entry
        for entry in load_kernel("sum", "mine")
        if (
            entry["channel"] != "shell"
            if gone == "reply"
            else entry["content"].get("execution_state") != "idle"
        )
    ]
    assert not heard(messages).complete


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"header": 3, "content": [], "parent_header": "mine"}',
        b"[" * 9999,
    ],
)
def test_what_is_no_message(text: bytes) -> None:
    answer = Answer("mine")
    answer.take(text)
    assert (answer.complete, answer.died, answer.output) == (False, False, "")


def test_a_cell_that_is_given_up_is_an_error() -> None:
    """After the error of another cell a kernel replies `aborted`, without a message `error`."""
    aborted = {
        "msg_type": "execute_reply",
        "parent_header": {"msg_id": "mine"},
        "content": {"status": "aborted"},
    }
    assert heard([aborted]).error == "aborted"


def test_what_is_printed_to_stderr_is_no_output() -> None:
    said = {
        "msg_type": "stream",
        "parent_header": {"msg_id": "mine"},
        "content": {"name": "stderr", "text": "warning"},
    }
    assert heard([said]).output == ""


def test_messages_mixed_with_those_of_another_request() -> None:
    """Whatever comes between, what is ours is put together in its own order."""
    ours, theirs = load_kernel("value", "mine"), load_kernel("raises", "theirs")
    for seed in range(20):
        turns = [ours] * len(ours) + [theirs] * len(theirs)
        random.Random(seed).shuffle(turns)
        left = {id(ours): iter(ours), id(theirs): iter(theirs)}
        answer = Answer("mine")
        for turn in turns:
            answer.take(json.dumps(next(left[id(turn)])).encode())
        assert answer.complete and answer.output == "one\n'two'" and answer.error == ""


def test_requests() -> None:
    request = execute_request("1 + 1", "session")
    assert request["header"]["msg_type"] == "execute_request" and request["channel"] == "shell"
    assert request["header"]["version"].startswith("5.") and request["header"]["session"] == "session"
    assert request["content"]["code"] == "1 + 1" and request["content"]["allow_stdin"] is False
    asked = [info_request("session")["header"]["msg_id"] for _ in range(9)]
    assert all(one != two for one, two in itertools.combinations(asked, 2))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", "nothing"), (" \n", "nothing"), (" 4\n", "'4'"), ("x" * 999, repr("x" * SHOWN + " ..."))],
)
def test_shortly(text: str, shown: str) -> None:
    assert shortly(text) == shown
