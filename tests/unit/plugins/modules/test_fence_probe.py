# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The modules `fence_probe` and `fence_probe_local`: arguments in, a run and a verdict out."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import fence_probe, fence_probe_local
from fence_cluster import HUBS, FenceCluster


def ran(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, api: FenceCluster, **arguments: Any
) -> dict[str, Any]:
    """Run `fence_probe` in a cluster in memory."""
    monkeypatch.setattr(fence_probe, "connect", lambda _kubeconfig: api)
    with patch_module_args({"kubeconfig": "/k", **arguments}), pytest.raises(SystemExit):
        fence_probe.main()
    return dict(json.loads(capsys.readouterr().out))


def everything(_name: str, targets: list[dict[str, Any]]) -> dict[str, Any]:
    """Reach everything: nothing is fenced."""
    return {"results": {one["name"]: ["answered", ""] for one in targets}, "ipv6": []}


def test_both_halves(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    api = FenceCluster(everything)
    own = {"name": "files", "kind": "private", "address": "10.20.0.5", "port": 2049}
    names = {"host": "localhost", "ports": [2049]}
    started = ran(
        *(capsys, monkeypatch, api),
        state="started",
        hubs=HUBS,
        image="python",
        targets=[own],
        session_networks=["10.20.0.0/16", names],
        registry="127.0.0.1:5000",
        machines={"head1": "192.0.2.1"},
        ssh_ports={"head1": 2222},
        node_port_clients=["localhost"],
    )
    assert not started["changed"]
    run = started["run"]
    by_name = {entry["name"]: entry for entry in run["targets"]}
    assert by_name["files"]["port"] == 2049
    assert by_name["SSH of head1"]["port"] == 2222
    assert by_name["registry"]["address"] == "127.0.0.1"
    assert run["resolved"]["localhost"] == ["127.0.0.1"]
    port = by_name["NodePort of binder on worker1"]
    assert port["expect"] == {"control": False}
    judged = ran(capsys, monkeypatch, api, state="judged", run=run)
    assert judged["failed"]
    assert judged["msg"].startswith("fences do not hold: ")
    assert "reaches all" in judged["msg"]
    assert judged["fences"]["ok"] is False
    files = [cell for cell in judged["fences"]["cells"] if cell["target"] == "files"]
    assert {cell["verdict"] for cell in files if cell["origin"] == "session binder"} == {"open"}
    assert {cell["verdict"] for cell in files if cell["origin"] == "build binder"} == {"escape"}


def test_machines_are_asked_for_what_nobody_else_reaches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def firewalled(_name: str, targets: list[dict[str, Any]]) -> dict[str, Any]:
        needs = {one["name"]: one.get("tries") for one in targets}
        control = _name.startswith("control-")
        silent = {"SSH of head1", *(name for name in needs if name.startswith("unassigned"))}
        return {
            "results": {
                name: ["answered" if name not in silent and (need or control) else "silent", ""]
                for name, need in needs.items()
            },
            "ipv6": [],
        }

    api = FenceCluster(firewalled)
    asked: dict[str, Any] = {
        "machines": {"head1": "192.0.2.1"},
        "origins": ["session"],
        "guard_enabled": False,
    }
    skipped = {f"NodePort of binder on {name}": "no proxy" for name in ("head1", "worker1", "worker2")}
    asked |= {"state": "started", "hubs": HUBS, "image": "python", "skipped": skipped}
    run = ran(capsys, monkeypatch, api, **asked)["run"]
    first = ran(capsys, monkeypatch, api, state="judged", run=run)
    assert not first.get("failed")
    assert first["ask"] == ["head1"]
    assert first["fences"]["ok"] is False
    found = {"SSH of head1": ["answered", ""]}
    own = {"origin": {"role": "machine", "hub": "", "node": "head1"}, "results": found}
    reports = [*first["reports"], own]
    second = ran(capsys, monkeypatch, api, state="judged", run=first["run"], reports=reports)
    assert second["fences"]["problems"] == []
    assert not second.get("failed")
    lost = ran(
        capsys,
        monkeypatch,
        api,
        state="judged",
        run=first["run"],
        reports=first["reports"],
        unreachable=["head1"],
    )
    assert lost["failed"]
    assert "SSH of head1" in lost["msg"]


def test_a_check_does_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    api = FenceCluster(everything)
    assert ran(capsys, monkeypatch, api, state="started", hubs=HUBS, image="x", _ansible_check_mode=True)[
        "skipped"
    ]
    assert api.asked == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"state": "started"}, "hubs"),
        ({"state": "judged"}, "run"),
        (
            {"state": "started", "hubs": HUBS, "image": "x", "targets": [{"name": "x"}]},
            "site_fence_probe_targets[0] (x)",
        ),
        (
            {"state": "started", "hubs": HUBS, "image": "x", "skipped": {"y": "z"}},
            "names y, which is no target",
        ),
    ],
)
def test_faults(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    words: str,
) -> None:
    result = ran(capsys, monkeypatch, FenceCluster(everything), **arguments)
    assert result["failed"]
    assert words in result["msg"]


def local(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    """Run `fence_probe_local` here."""
    with patch_module_args(arguments), pytest.raises(SystemExit):
        fence_probe_local.main()
    return dict(json.loads(capsys.readouterr().out))


def test_a_machine_tries(capsys: pytest.CaptureFixture[str]) -> None:
    """A node tries what is the same from everywhere; a proxy what it needs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):  # the test ends
                while True:
                    server.accept()[0].sendall(b"x")

        threading.Thread(target=serve, daemon=True).start()
        place = {"address": "127.0.0.1", "port": port, "talk": "banner"}
        targets = [
            {"name": "port", "kind": "node_port", **place},
            {"name": "ssh", "kind": "ssh", "address": "nowhere.invalid", "port": 22},
            {"name": "own", "kind": "gateway", "address": "gateway", "port": 10250},
            {"name": "nobody's", "kind": "unassigned", "says": "x", **place},
            {"name": "chosen", "kind": "unassigned", **place},
        ]
        run: dict[str, Any] = {"targets": targets, "networks": {}, "resolved": {}}
        [node] = local(capsys, run=run, role="node", node="worker1")["reports"]
        [proxy] = local(capsys, run=run, role="proxy")["reports"]
        run["machines"] = {"head1": "127.0.0.1"}
        [machine] = local(capsys, run=run, role="machine", node="head1")["reports"]
    assert node["origin"] == {"role": "node", "hub": "", "node": "worker1"}
    assert {name: found[0] for name, found in node["results"].items()} == {
        "port": "answered",
        "ssh": "unresolved",
        "nobody's": "answered",
        "chosen": "answered",
    }
    # Of itself and nobody else.
    assert machine["origin"] == {"role": "machine", "hub": "", "node": "head1"}
    assert set(machine["results"]) == {"port", "nobody's", "chosen"}
    # And what only a machine outside of the cluster can show to be alive.
    assert {name: found[0] for name, found in proxy["results"].items()} == {
        "port": "answered",
        "nobody's": "answered",
    }
    assert local(capsys, run=run, role="proxy", _ansible_check_mode=True)["skipped"]
