# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A restart of the API server is outlived, by a real server that goes away and comes back, and a refusal is one at once."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import (
    GRACE_SECONDS,
    KubeApi,
    KubeError,
    Limits,
    connect,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.patience import patient
from free_ports import free_port
from hand_clock import HandClock
from kube_server import Request, kubeconfig_for, serve

PATH = "/api/v1/namespaces"
BODY = {"metadata": {"name": "ns"}}


class Restarting(HandClock):
    """Time in which a server comes back: it listens after so many pauses."""

    def __init__(self, answer: Callable[[Request], None], pauses: int, folder: Path) -> None:
        super().__init__()
        self.answer, self.left, self.stack = answer, pauses, ExitStack()
        self.port = free_port()
        self.kubeconfig = kubeconfig_for(f"http://127.0.0.1:{self.port}", folder)

    def sleep(self, seconds: float) -> None:
        """Let it start, some time."""
        super().sleep(seconds)
        self.left -= 1
        if self.left == 0:
            self.stack.enter_context(serve(self.answer, self.port))

    def api(self) -> KubeApi:
        """The cluster, asked with patience."""
        return patient(connect(self.kubeconfig, limits=Limits(60, 60, 120), clock=self), self)


def ask(api: KubeApi, verb: str) -> Any:
    """Ask by a verb of the API."""
    body = (BODY,) if verb in ("create", "patch") else ()
    return getattr(api, verb)(PATH, *body)


VERBS = ("get", "create", "patch", "delete")


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_listens_for_a_while(verb: str, tmp_path: Path) -> None:
    clock = Restarting(lambda request: request.send(200, BODY), 4, tmp_path)
    with clock.stack:
        assert ask(clock.api(), verb) == (None if verb == "delete" else BODY)
    assert clock.slept == [1.0] * 4


@pytest.mark.parametrize("verb", VERBS)
def test_who_does_not_come_back_is_given_up(verb: str, tmp_path: Path) -> None:
    clock = Restarting(lambda request: request.send(200, BODY), 10_000, tmp_path)
    with pytest.raises(KubeError, match="Connection refused"):
        ask(clock.api(), verb)
    assert GRACE_SECONDS - 2 <= sum(clock.slept) <= GRACE_SECONDS


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("code", "message"),
    [(500, "etcdserver: leader changed"), (503, "apiserver not ready"), (429, "too many requests"), (0, "")],
)
def test_it_says_that_it_is_not_well_or_hangs_up(code: int, message: str, verb: str, tmp_path: Path) -> None:
    """As it does on the way down and on the way up."""
    asked: list[str] = []

    def answer(request: Request) -> None:
        asked.append(request.command)
        if len(asked) > 3:
            request.send(200, BODY)
        elif code:
            request.send(code, {"kind": "Status", "message": message})
        else:
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)

    clock = HandClock()
    with serve(answer) as url:
        ask(patient(connect(kubeconfig_for(url, tmp_path), clock=clock), clock), verb)
    assert len(asked) == 4
    assert clock.slept == [1.0] * 3


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("code", [400, 401, 403, 409, 422])
def test_a_refusal_is_one_at_once(code: int, verb: str, tmp_path: Path) -> None:
    clock, asked = HandClock(), []

    def answer(request: Request) -> None:
        if request.path == "/readyz":
            request.send(200, "ok")
        else:
            asked.append(request.command)
            request.send(code, {"kind": "Status", "message": "no"})

    with serve(answer) as url, pytest.raises(KubeError) as caught:
        ask(patient(connect(kubeconfig_for(url, tmp_path), clock=clock), clock), verb)
    # A refusal is asked for again once, of a server that is ready: it may have become so in between.
    assert (caught.value.status, clock.slept, len(asked)) == (code, [], 2 if code == 403 else 1)


def test_what_was_made_although_nobody_said_so_is_not_made_twice(tmp_path: Path) -> None:
    """The answer is lost, and the second attempt meets what the first one made."""
    made: list[Any] = []

    def answer(request: Request) -> None:
        if request.command == "GET":
            assert request.path == f"{PATH}/ns"
            request.send(200, made[0])
        elif made:
            request.send(409, {"kind": "Status", "reason": "AlreadyExists", "message": "already exists"})
        else:
            made.append(request.body())
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)

    clock = HandClock()
    with serve(answer) as url:
        assert patient(connect(kubeconfig_for(url, tmp_path)), clock).create(PATH, BODY) == BODY
    assert made == [BODY]


def test_a_log_that_a_kubelet_does_not_give_is_not_waited_for(tmp_path: Path) -> None:
    clock = HandClock()
    with serve(lambda request: request.send(500, "dial tcp: i/o timeout")) as url, pytest.raises(KubeError):
        patient(connect(kubeconfig_for(url, tmp_path)), clock).text(f"{PATH}/ns/pods/p/log")
    assert clock.slept == []
