# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the programs of role guard decide, without a kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ironbinder_guard import agent, cni, records, wanted
from ironbinder_guard.agent import known_from
from ironbinder_guard.api import FIRST_WAIT_SECONDS, Api, ApiError, Watcher, pod_of
from ironbinder_guard.config import Config, ConfigError, Hub, read_config, verdict
from ironbinder_guard.kernel import Nft, NftError
from ironbinder_guard.known import Known, Pod, read_known, stale, strangers, wanted_pods, write_known
from ironbinder_guard.records import Record, all_records, locked, read_record, remove_record, write_record
from ironbinder_guard.table import Guard
from ironbinder_guard.wanted import Names, connected, host_names, listed, nameservers, networks, written

CONFIG = Config(
    node_name="worker1",
    hubs={"ns": Hub("binder", "rel"), "two": Hub("second-hub", "two")},
    core_pods=("hub-", "binder-", "{release}-image-cleaner-"),
    build_pods=("build-", "{release}-dind-"),
    sets={"public_url": ["binder.example.org"], "internal": ["10.0.0.0/8"]},
    service_subnet="10.96.0.0/12",
    rules_file="/nowhere/guard.nft",
    state_dir="/nowhere",
    kubeconfig="/nowhere/kubelet.conf",
    cni_config_dir="/nowhere/net.d",
    nft="/nowhere/nft",
)


@pytest.mark.parametrize(
    ("namespace", "name", "told"),
    [
        ("ns", "jupyter-ann", "goto session_binder"),
        ("two", "jupyter-ann", "goto session_second-hub"),
        ("ns", "build-hello-1", "goto build"),
        ("ns", "rel-dind-7", "goto build"),
        ("two", "rel-dind-7", None),
        ("ns", "hub-1", "accept"),
        ("ns", "rel-image-cleaner-1", "accept"),
        ("ns", "hubris", None),
        ("ns", "my-jupyter-ann", None),
        ("ns", "", None),
        ("kube-system", "jupyter-ann", "accept"),
    ],
)
def test_who_a_pod_is(namespace: str, name: str, told: str | None) -> None:
    assert verdict(CONFIG, namespace, name) == told


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"hubs": 7}', '{"hubs": {}, "more": 1}'])
def test_a_configuration_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "guard.json").write_text(text)
    with pytest.raises(ConfigError, match=r"guard.json cannot be used .*: run the stage cluster"):
        read_config(str(tmp_path / "guard.json"))


def configuration(tmp_path: Path, **changes: Any) -> str:
    """A guard.json that can be used, and its name."""
    hubs = {
        hub.name: {"namespace": namespace, "release": hub.release} for namespace, hub in CONFIG.hubs.items()
    }
    told = {**CONFIG._asdict(), "hubs": hubs, "state_dir": str(tmp_path), **changes}
    (tmp_path / "guard.json").write_text(json.dumps(told))
    return str(tmp_path / "guard.json")


def test_a_configuration_of_a_newer_role_can_be_used(tmp_path: Path) -> None:
    """The programs and guard.json are not written in the same moment, and pods start in between."""
    assert read_config(configuration(tmp_path, newer=1)) == CONFIG._replace(state_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("192.0.2.7", ["192.0.2.7"]),
        ("192.0.2.101-192.0.2.103", ["192.0.2.101", "192.0.2.102/31"]),
        ("git-1.example.org", None),
        ("2001:db8::/32", None),
    ],
)
def test_what_a_site_writes_is_read(text: str, found: list[str] | None) -> None:
    told = networks(text)
    assert (None if told is None else written(told)) == found


def test_what_the_kernel_lists_is_what_was_wanted() -> None:
    """The same words, whatever the kernel made of them: otherwise the agent would mend for ever."""
    elements = [
        "192.0.2.7",
        {"prefix": {"addr": "10.0.0.0", "len": 8}},
        {"range": ["198.51.100.0", "198.51.100.2"]},
        "br-lan",
    ]
    assert listed(elements) == ["10.0.0.0/8", "192.0.2.7", "198.51.100.0/31", "198.51.100.2", '"br-lan"']


def test_connected_networks_are_those_without_a_gateway() -> None:
    lines = [
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
        "eth0\t00000000\t014D1EAC\t0003\t0\t0\t0\t00000000\t0\t0\t0",
        "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0",
        "cni0\t0001F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
        "eth0\t0002F40A\t154D1EAC\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0",
        "eth0\t004D1EAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    ]
    assert written(connected("\n".join(lines))) == ["10.244.1.0/24", "172.30.77.0/24"]


@pytest.mark.parametrize(
    ("resolv_confs", "daemon", "found"),
    [
        (
            ["nameserver 192.0.2.53\nnameserver 192.0.2.54\n", "nameserver 192.0.2.1\n"],
            "",
            ["192.0.2.53", "192.0.2.54"],
        ),
        (["nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n"], "", ["192.0.2.1"]),
        (["nameserver 2001:db8::53\n", ""], "", []),
        (["# nameserver 192.0.2.9\n"], '{"dns": ["172.17.0.1", 7]}', ["172.17.0.1"]),
        (["nameserver 192.0.2.53"], "no JSON", ["192.0.2.53"]),
    ],
)
def test_name_servers_of_containers(resolv_confs: list[str], daemon: str, found: list[str]) -> None:
    assert written(nameservers(resolv_confs, daemon)) == sorted(found)


def test_names_are_remembered_for_an_hour_and_longer_in_silence(tmp_path: Path) -> None:
    answers = {"a": ["192.0.2.1"]}
    names = Names(str(tmp_path / "names.json"), lambda name: answers.get(name, []))
    names.look_up(["a"], now=0)
    answers["a"] = ["192.0.2.2"]
    names.look_up(["a"], now=60)
    assert written(names.known("a")) == ["192.0.2.1", "192.0.2.2"]
    names.look_up(["a"], now=3601)
    assert written(names.known("a")) == ["192.0.2.2"]
    answers.clear()
    names.look_up(["a"], now=99_999)
    assert written(names.known("a")) == ["192.0.2.2"]
    assert host_names(CONFIG) == ["binder.example.org"]


def pod(namespace: str, name: str, address: str = "10.244.1.5", created: float = 10.0) -> Pod:
    """A pod of this node."""
    return Pod(namespace, name, address, created)


def record(namespace: str, name: str, address: str = "10.244.1.5", made: float = 20.0) -> Record:
    """A record of the plugin."""
    return Record(f"{namespace}-{name}", address, namespace, name, made)


def test_the_plugin_knows_better_than_the_api() -> None:
    """Which hears of an address later, and may still name a pod that had it before."""
    known = Known([pod("ns", "hub-1")], ["ns/hub-1"], {})
    assert wanted_pods(CONFIG, known, []) == {"10.244.1.5": "accept"}
    assert wanted_pods(CONFIG, known, [record("ns", "jupyter-ann")]) == {"10.244.1.5": "goto session_binder"}
    assert wanted_pods(CONFIG, known, [record("ns", "miner")]) == {}
    # Of two records of one address the later is right.
    both = [record("ns", "hub-2", made=1.0), record("two", "jupyter-ben", made=2.0)]
    assert wanted_pods(CONFIG, known, both) == {"10.244.1.5": "goto session_second-hub"}


def test_records_of_pods_that_are_gone_are_old_before_they_go() -> None:
    gone, young = record("ns", "jupyter-ann", made=0.0), record("ns", "jupyter-ben", made=950.0)
    moved, starting = record("ns", "hub-1", "10.244.1.9", made=0.0), record("ns", "hub-2", made=0.0)
    known = Known([pod("ns", "hub-1", "10.244.1.7"), pod("ns", "hub-2", "")], [], {}, seen_at=1000.0)
    assert stale(known, [gone, young, moved, starting]) == [gone, moved]
    # An API that was never asked takes nobody's network away.
    assert stale(Known([], [], {}), [gone]) == []


def test_an_api_that_fell_silent_before_a_pod_came_says_nothing_of_it() -> None:
    """However long it is silent then: a head that is away for an hour ends no session."""
    session = record("ns", "jupyter-ann", made=900.0)
    assert stale(Known([], [], {}, seen_at=930.0), [session]) == []
    assert stale(Known([], [], {}, seen_at=961.0), [session]) == [session]


@pytest.mark.parametrize("seen_at", [0.0, 1234.5])
def test_what_the_api_said_survives_a_restart(tmp_path: Path, seen_at: float) -> None:
    known = Known([pod("ns", "hub-1")], ["ns/hub-1"], {"ns": ["10.96.1.2"]}, seen_at)
    write_known(str(tmp_path), known)
    assert read_known(str(tmp_path)) == known
    # As the version before wrote it.
    data = json.loads((tmp_path / "api.json").read_text())
    del data["seen_at"]
    (tmp_path / "api.json").write_text(json.dumps(data))
    assert read_known(str(tmp_path)) == known._replace(seen_at=0.0)


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[Config]:
    """A node whose network names the plugin since the time 100."""
    (tmp_path / "10-a.conflist").write_text('{"plugins": [{"type": "ironbinder-guard"}]}')
    (tmp_path / "20-b.conflist").write_text("{}")
    os.utime(tmp_path / "10-a.conflist", (100, 100))
    yield CONFIG._replace(cni_config_dir=str(tmp_path))


def api_pod(namespace: str, name: str, **status: Any) -> dict[str, Any]:
    """A pod as the API gives it, made in 1970."""
    about = {"namespace": namespace, "name": name, "creationTimestamp": "1970-01-01T00:05:00Z"}
    return {"metadata": about, "spec": {}, "status": {"phase": "Running", "podIP": "10.244.1.5", **status}}


def test_pods_that_came_past_the_plugin_are_nobodys(plugged: Config) -> None:
    pods = [api_pod("ns", "jupyter-ann"), api_pod("kube-system", "coredns-1")]
    known = known_from(plugged, pods, [], Known([], [], {}), starting=False, seen_at=1.0)
    assert known.adopted == ["kube-system/coredns-1"]
    assert strangers(plugged, known, []) == [
        "pod ns/jupyter-ann was connected without the network plugin, and is denied everything"
    ]
    assert strangers(plugged, known, [record("ns", "jupyter-ann")]) == []
    # What is there when the agent starts, what it adopted before, and everything where no plugin is named, is good.
    assert len(known_from(plugged, pods, [], Known([], [], {}), starting=True, seen_at=1.0).adopted) == 2
    assert (
        len(
            known_from(
                plugged, pods, [], Known([], ["ns/jupyter-ann"], {}), starting=False, seen_at=1.0
            ).adopted
        )
        == 2
    )
    assert len(known_from(CONFIG, pods, [], Known([], [], {}), starting=False, seen_at=1.0).adopted) == 2


def test_names_that_no_hub_has_are_named(plugged: Config) -> None:
    known = known_from(plugged, [api_pod("ns", "miner")], [], Known([], [], {}), starting=True, seen_at=1.0)
    assert strangers(plugged, known, [record("ns", "miner")]) == [
        "pod ns/miner is none of a hub's, and is denied everything"
    ]


@pytest.mark.parametrize(
    ("change", "address"),
    [
        ({}, "10.244.1.5"),
        ({"podIPs": [{"ip": "2001:db8::5"}, {"ip": "10.244.1.6"}]}, "10.244.1.6"),
        ({"podIP": None}, ""),
        ({"phase": "Succeeded"}, None),
    ],
)
def test_addresses_of_pods(change: dict[str, Any], address: str | None) -> None:
    found = pod_of(api_pod("ns", "hub-1", **change))
    assert (found.address if found else None) == address


def test_pods_of_the_nodes_own_network_are_no_pods_of_the_bridge() -> None:
    assert pod_of({**api_pod("kube-system", "kube-proxy-1"), "spec": {"hostNetwork": True}}) is None


def test_addresses_of_hubs_are_kept_by_namespace() -> None:
    services: list[dict[str, Any]] = [
        {
            "metadata": {"namespace": "ns"},
            "spec": {"clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2", "fd00::2"]},
        },
        {"metadata": {"namespace": "two"}, "spec": {"clusterIP": "None"}},
        {"metadata": {"namespace": "others"}, "spec": {"clusterIP": "10.96.1.7"}},
    ]
    known = known_from(CONFIG, [], services, Known([], [], {}), starting=False, seen_at=1.0)
    assert known.hub_api == {"ns": ["10.96.1.2"], "two": []}


def test_an_api_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    """Before a node has joined there is no kubeconfig; a head that is down refuses."""
    file = tmp_path / "kubelet.conf"
    with pytest.raises(ApiError, match=r"kubelet\.conf: FileNotFoundError"):
        Api(str(file)).open("/api/v1/pods", 1)
    file.write_text("clusters:\n- cluster:\n    server: http://127.0.0.1:9\n")
    with pytest.raises(ApiError, match="ConnectionRefused"):
        Api(str(file)).open("/api/v1/pods", 1)


def test_events_change_what_is_known() -> None:
    watcher = Watcher(Api("/nowhere"), "/api/v1/pods?x", lambda: None, print)
    assert watcher.objects() is None
    watcher._take({"type": "ADDED", "object": {"metadata": {"uid": "1"}, "spec": {"clusterIP": "10.96.0.1"}}})
    watcher._objects = {}
    watcher._take({"type": "ADDED", "object": {"metadata": {"uid": "1"}, "spec": {"clusterIP": "10.96.0.1"}}})
    watcher._take(
        {
            "type": "MODIFIED",
            "object": {
                "metadata": {"uid": "1"},
                "spec": {"clusterIP": "10.96.0.2"},
                "status": {"conditions": 7},
            },
        }
    )
    watcher.seen_at = 0.0
    watcher._take({"type": "BOOKMARK", "object": {"metadata": {}}})
    # It says that there was nothing else until now.
    assert watcher.seen_at > 0
    # What nobody reads is not kept: a node may have 250 pods, and each is told at length.
    assert watcher.objects() == [{"metadata": {"uid": "1"}, "spec": {"clusterIP": "10.96.0.2"}, "status": {}}]
    watcher._take({"type": "DELETED", "object": {"metadata": {"uid": "1"}}})
    assert watcher.objects() == []
    with pytest.raises(ApiError, match="too old resource version"):
        watcher._take({"type": "ERROR", "object": {"message": "too old resource version"}})


def test_records_survive_what_is_no_record(tmp_path: Path) -> None:
    with locked(str(tmp_path)):
        for number, name in enumerate(("a", "b")):
            write_record(str(tmp_path), Record(name, f"10.244.1.{number}", "ns", "hub-1", 10.0 - number))
    (tmp_path / "pods/c.json").write_text('{"of": "another version"}')
    (tmp_path / "pods/d.json").write_text("{")
    assert [entry.key for entry in all_records(str(tmp_path))] == ["b", "a"]
    remove_record(str(tmp_path), "a")
    remove_record(str(tmp_path), "a")
    assert read_record(str(tmp_path), "a") is None


def test_nft_that_is_missing_is_named() -> None:
    with pytest.raises(NftError, match="install the package nftables"):
        Nft("/nowhere/nft").run("list", "tables")


def ask(capsys: pytest.CaptureFixture[str], conf: Any, **environment: str) -> tuple[int, dict[str, Any]]:
    """Call the plugin. Its configuration is a file that is not there, unless `conf` says otherwise."""
    text = conf if isinstance(conf, str) else json.dumps(conf)
    code = cni.main(environment, text)
    return code, json.loads(capsys.readouterr().out or "{}")


def test_the_plugin_says_which_versions_it_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = ask(capsys, {"cniVersion": "1.1.0"}, CNI_COMMAND="VERSION")
    assert (code, told) == (
        0,
        {"cniVersion": "1.1.0", "supportedVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]},
    )


@pytest.mark.parametrize(
    ("conf", "environment", "code", "text"),
    [
        ("no JSON", {"CNI_COMMAND": "ADD"}, 7, "is no JSON"),
        ([], {"CNI_COMMAND": "ADD"}, 7, "no JSON object"),
        ({"cniVersion": "2.0.0"}, {"CNI_COMMAND": "ADD"}, 1, "version 2.0.0"),
        ({"cniVersion": "1.0.0"}, {"CNI_COMMAND": "DANCE"}, 4, "CNI_COMMAND is 'DANCE'"),
        (
            {"config": "/nowhere/guard.json"},
            {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c"},
            7,
            "/nowhere/guard.json cannot",
        ),
    ],
)
def test_the_plugins_errors_are_those_of_the_specification(
    capsys: pytest.CaptureFixture[str], conf: Any, environment: dict[str, str], code: int, text: str
) -> None:
    ended, told = ask(capsys, conf, **environment)
    assert (ended, told["code"]) == (1, code)
    assert text in told["msg"]


@pytest.mark.parametrize(
    ("change", "environment", "text"),
    [
        ({}, {}, "CNI_CONTAINERID is empty"),
        ({}, {"CNI_CONTAINERID": "c"}, "there is no prevResult"),
        (
            {"prevResult": {"ips": [{"address": "fd00::5/64"}]}},
            {"CNI_CONTAINERID": "c"},
            "has no IPv4 address",
        ),
        ({"prevResult": {"ips": [{"address": "10.244.1.5/24"}]}}, {"CNI_CONTAINERID": "c"}, "names no pod"),
    ],
)
def test_the_plugin_wants_to_know_whose_address_it_is(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    change: dict[str, Any],
    environment: dict[str, str],
    text: str,
) -> None:
    conf = {"cniVersion": "1.0.0", "config": configuration(tmp_path), **change}
    code, told = ask(capsys, conf, CNI_COMMAND="ADD", **environment)
    assert code == 1
    assert text in told["msg"]


def test_a_pod_always_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """A DEL that fails is repeated for ever."""
    assert ask(capsys, {"config": "/nowhere"}, CNI_COMMAND="DEL", CNI_CONTAINERID="c") == (0, {})


def test_garbage_is_collected_only_where_somebody_says_what_is_left(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    conf = {"cniVersion": "1.1.0", "config": configuration(tmp_path)}
    with locked(str(tmp_path)):
        for key in ("c-eth0", "d-eth0"):
            write_record(str(tmp_path), Record(key, "10.244.1.5", "ns", "hub-1", 10.0))
    code, told = ask(capsys, conf, CNI_COMMAND="GC")
    assert (code, told["code"]) == (1, 7)
    assert "cni.dev/valid-attachments is missing" in told["msg"]
    assert len(all_records(str(tmp_path))) == 2
    left = {"cni.dev/valid-attachments": [{"containerID": "c", "ifname": "eth0"}]}
    assert ask(capsys, {**conf, **left}, CNI_COMMAND="GC") == (0, {})
    assert [entry.key for entry in all_records(str(tmp_path))] == ["c-eth0"]


def test_a_lock_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LOCK_SECONDS", 0.1)
    with (
        locked(str(tmp_path)),
        pytest.raises(OSError, match="held by another process for"),
        locked(str(tmp_path)),
    ):
        pass
    with locked(str(tmp_path)):
        pass


def test_nft_that_does_not_end_is_ended(tmp_path: Path) -> None:
    (tmp_path / "nft").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "nft").chmod(0o755)
    begun = time.monotonic()
    with pytest.raises(NftError, match="did not end within 0 s"):
        Nft(str(tmp_path / "nft"), seconds=0.2).run("list", "tables")
    assert time.monotonic() - begun < 60


def test_this_machine_is_no_answer_to_a_name(tmp_path: Path) -> None:
    names = Names(str(tmp_path / "names.json"), lambda _: ["127.0.1.1", "192.0.2.1"])
    names.look_up(["a"])
    assert written(names.known("a")) == ["192.0.2.1"]


def test_a_name_without_an_address_is_asked_for_again_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And said, until it has one."""
    monkeypatch.setattr(agent, "LACKING_SECONDS", 0.01)
    asked: list[str] = []

    def ask(name: str) -> list[str]:
        asked.append(name)
        if len(asked) == 1:
            raise RuntimeError("nobody thought of this")
        return ["192.0.2.1"] if len(asked) > 2 else []

    guard = Guard(CONFIG._replace(state_dir=str(tmp_path)))
    guard.names.ask = ask
    assert any("binder.example.org has no address" in line for line in guard.complaints())
    rounds: list[str] = []
    watcher = agent.NameWatcher(guard, lambda: rounds.append(watcher.fault))
    watcher.start()
    deadline = time.monotonic() + 60
    while not guard.names.known("binder.example.org") and time.monotonic() < deadline:
        time.sleep(0.01)
    watcher.ended.set()
    watcher.join(60)
    assert rounds == ["names are not asked for: RuntimeError: nobody thought of this", "", ""]
    assert not any("binder.example.org" in line for line in guard.complaints())


@pytest.mark.parametrize(
    ("daemon", "named"),
    [('{"bridge": "lan0"}', True), ('{"bridge": "docker0"}', False), ("{}", False), ("no JSON", False)],
)
def test_a_bridge_that_no_rule_knows_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: str, named: bool
) -> None:
    (tmp_path / "daemon.json").write_text(daemon)
    monkeypatch.setattr(wanted, "DAEMON_JSON", str(tmp_path / "daemon.json"))
    told = Guard(CONFIG._replace(state_dir=str(tmp_path))).complaints()
    assert any("Docker's bridge is lan0" in line for line in told) == named


def test_watches_that_end_at_once_are_not_begun_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher(Api("/nowhere"), "/api/v1/pods?x", lambda: None, print)
    listed: list[float] = []

    def list_once() -> str:
        listed.append(time.monotonic())
        return "1"

    monkeypatch.setattr(watcher, "_list", list_once)
    monkeypatch.setattr(watcher, "_events", lambda _version: iter(()))
    watcher.start()
    deadline = time.monotonic() + 60
    while not listed and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    watcher.ended.set()
    watcher.join(60)
    # Where half a second took longer, there may be a second one.
    assert listed and all(later - earlier > FIRST_WAIT_SECONDS * 0.9 for earlier, later in pairwise(listed))


def test_every_pod_pays_for_what_is_imported() -> None:
    """The plugin starts for each pod: what takes long to import stays out of it."""
    files = Path(__file__).parents[4] / "roles/guard/files"
    code = f"import sys; sys.path.insert(0, {str(files)!r}); import ironbinder_guard.cni; print(*sorted(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"subprocess", "ssl", "http.client", "ipaddress", "threading", "pathlib", "dataclasses"} & set(
        told
    ) == set()
