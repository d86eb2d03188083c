# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module with the program's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, Ran
from ansible_collections.ironbinder.platform.plugins.modules import etcd_snapshot

TOLD = {
    "path": "/srv/etcd/etcd-1.db",
    "sha256": "ab",
    "revision": 7,
    "bytes": 20512,
    "restored": True,
    "removed": ["etcd-0.db"],
}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module beside a program that ends like this; `ran` is what it was told."""

    def once(end: Ran, **params: Any) -> dict[str, Any]:
        ran: list[Sequence[str]] = []

        def program(argv: Sequence[str], _timeout_seconds: float) -> Ran:
            ran.append(argv)
            return end

        monkeypatch.setattr(etcd_snapshot, "run_command", program)
        with patch_module_args(params), pytest.raises(SystemExit):
            etcd_snapshot.main()
        return {**json.loads(capsys.readouterr().out), "ran": ran}

    return once


def test_it_takes_one_and_tells_of_it(run: Run) -> None:
    told = run(Ran(0, json.dumps({**TOLD, "taken": True, "damage": ""})), directory="/srv/etcd", keep=3)
    assert told["ran"] == [
        [
            "/usr/local/sbin/ironbinder-upkeep",
            "snapshot",
            "--directory=/srv/etcd",
            "--keep=3",
            # Beside the timer's own.
            "--state-name=etcd-snapshot-on-demand.json",
        ]
    ]
    assert told["changed"] is True
    assert {name: told[name] for name in TOLD} == TOLD


def test_a_check_takes_none(run: Run) -> None:
    told = run(Ran(1), _ansible_check_mode=True)
    assert (told["changed"], told["ran"]) == (True, [])


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (Ran(1, stderr="/srv/etcd has 3 MiB left"), "none removed: /srv/etcd has 3 MiB left"),
        (Ran(NOT_THERE, stderr="no such file"), "PLAY=playbooks/cluster.yml"),
    ],
)
def test_a_failure_says_what_to_do(run: Run, end: Ran, said: str) -> None:
    told = run(end)
    assert told["failed"] is True
    assert said in told["msg"]


def test_one_has_to_stay(run: Run) -> None:
    told = run(Ran(0), keep=0)
    assert (told["failed"], told["ran"]) == (True, [])
