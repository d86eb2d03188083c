# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Names become addresses once in a run, and everybody gets the same answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.filter.node_addresses import (
    FilterModule as NodeAddresses,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import resolve
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import (
    Answer,
    add_resolved,
    resolve_names,
    resolved_nodes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues

NAMES = {
    "one.example.org": ["192.0.2.21"],
    "both.example.org": ["2001:db8::1", "192.0.2.22"],
    "six.example.org": ["2001:db8::1", "2001:db8::2"],
    "many.example.org": ["192.0.2.100", "192.0.2.23", "192.0.2.23"],
    "none.example.org": [],
}


def ask(name: str) -> Sequence[str]:
    """A name server."""
    try:
        return NAMES[name]
    except KeyError as error:
        raise OSError(-2, "Name or service not known") from error


class Changing:
    """A name server that gives another address each time, as those that share load do."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return [f"192.0.2.{len(self.asked)}"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("one.example.org", Answer("192.0.2.21")),
        ("both.example.org", Answer("192.0.2.22")),
        # The order of a name server changes, and an address that changes would move a node.
        ("many.example.org", Answer("192.0.2.23")),
        ("six.example.org", Answer(error="it has IPv6 addresses only, such as 2001:db8::1")),
        ("none.example.org", Answer(error="it has no address")),
        ("gone.example.org", Answer(error="Name or service not known")),
    ],
)
def test_answers(tmp_path: Path, name: str, answer: Answer) -> None:
    """The same IPv4 address each time, or why there is none; the second time from the run's folder."""
    assert resolve_names([name], ask, tmp_path) == {name: answer}

    def nobody(name: str) -> Sequence[str]:
        raise AssertionError(name)

    assert resolve_names([name], nobody, tmp_path) == {name: answer}


@pytest.mark.parametrize("text", ["192.0.2.21", "2001:db8::1", "::1", ""])
def test_addresses_are_no_names(tmp_path: Path, text: str) -> None:
    """Nobody is asked about an address."""
    assert resolve_names([text], Changing(), tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["x" * 300, "a..b", "\0", "a b", "ä" * 70, "{{ x }}"])
def test_odd_names(tmp_path: Path, text: str) -> None:
    """Whatever stands there, it is an answer with an error and no traceback. The real resolver refuses these."""
    answer = resolve_names([text], folder=tmp_path)[text]
    assert answer.error and not answer.address


def test_once_in_a_run(tmp_path: Path) -> None:
    """Many who ask at the same time get what the first was told, each name once; another run asks again."""
    server = Changing()
    together = threading.Barrier(8)

    def user(_: int) -> str:
        together.wait(10)
        return resolve_names(["a"], server, tmp_path / "run")["a"].address

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(user, range(8))) == {"192.0.2.1"}
    assert server.asked == ["a"]
    assert resolve_names(["a"], server, tmp_path / "other")["a"].address == "192.0.2.2"


def _in_another_process(folder: str) -> str:
    def never(name: str) -> Sequence[str]:
        raise AssertionError(name)

    return resolve_names(["a"], never, Path(folder))["a"].address


def test_between_processes(tmp_path: Path) -> None:
    """Ansible works in many processes; they share the answers."""
    first = resolve_names(["a"], Changing(), tmp_path)["a"].address
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert pool.submit(_in_another_process, str(tmp_path)).result(30) == first


def test_without_a_folder(tmp_path: Path) -> None:
    """Where nothing can be kept, names are asked for each time; a broken note is as none."""
    (tmp_path / "file").write_text("")
    assert (
        resolve_names(["one.example.org"], ask, tmp_path / "file" / "x")["one.example.org"].address
        == "192.0.2.21"
    )
    resolve_names(["one.example.org"], ask, tmp_path / "run")
    for note in (tmp_path / "run").iterdir():
        note.write_text('{"address"')
    assert (
        resolve_names(["one.example.org"], ask, tmp_path / "run")["one.example.org"].address == "192.0.2.21"
    )


def test_names_at_the_same_time(tmp_path: Path) -> None:
    """A silent name server costs its time once, not once for each node."""
    together = threading.Barrier(5)

    def slow(name: str) -> Sequence[str]:
        together.wait(10)
        raise OSError("timed out")

    names = [f"n{number}" for number in range(5)]
    assert {answer.error for answer in resolve_names(names, slow, tmp_path).values()} == {"timed out"}


def host(**variables: Any) -> dict[str, Any]:
    """A host of the collected inventory."""
    return {"variables": variables, "state": "seen"}


def test_hosts_of_the_inventory(tmp_path: Path) -> None:
    """Nodes that are reached by name get what it leads to, and the rules see that as their address."""
    hosts = {
        "head1": host(ansible_host="one.example.org"),
        "worker1": host(ansible_host="gone.example.org"),
        "both.example.org": host(),
        "worker2": host(ansible_host="one.example.org", site_node_address="192.0.2.99"),
        "worker3": host(ansible_host="192.0.2.30"),
        "worker4": host(ansible_host=""),
        "proxy1": host(ansible_host="gone.example.org"),
    }
    groups = {
        "head": ["head1"],
        "workers": [name for name in hosts if name not in ("head1", "proxy1")],
        "proxy": ["proxy1"],
    }
    add_resolved(hosts, groups, lambda names: resolve_names(names, ask, tmp_path))
    site = Site.from_data({"hosts": hosts, "groups": groups})
    assert {name: site.hosts[name].address for name in hosts} == {
        "head1": "192.0.2.21",
        "worker1": "gone.example.org",
        "both.example.org": "192.0.2.22",
        "worker2": "192.0.2.99",
        "worker3": "192.0.2.30",
        "worker4": "",
        "proxy1": "gone.example.org",
    }
    assert {name: dict(site.hosts[name].resolved) for name in hosts if site.hosts[name].resolved} == {
        "head1": {"address": "192.0.2.21"},
        "worker1": {"error": "Name or service not known"},
        "both.example.org": {"address": "192.0.2.22"},
    }


@pytest.fixture(name="a_run")
def one_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[str]]:
    """A run of Ansible with a name server that gives another address each time; tells who was asked for."""
    server = Changing()
    monkeypatch.setattr(resolve, "addresses_of", server)
    monkeypatch.setattr(resolve, "run_folder", lambda: tmp_path)
    return lambda: server.asked


def test_filters_agree(a_run: Callable[[], list[str]]) -> None:
    """The filter for nodes and the rules' data give one address."""
    variables = {
        "head1": {"ansible_host": "h.example.org"},
        "worker1": {"ansible_host": "192.0.2.30"},
        "worker2": {},
    }
    addresses = NodeAddresses().filters()["node_addresses"]
    told = addresses(["head1", "worker1"], variables)
    assert told == {"head1": "192.0.2.1", "worker1": "192.0.2.30"}
    assert addresses(["head1"], variables) == {"head1": "192.0.2.1"}
    hosts = {"head1": host(ansible_host="h.example.org")}
    add_resolved(hosts, {"head": ["head1"]})
    assert hosts["head1"]["resolved"] == {"address": "192.0.2.1"}
    assert a_run() == ["h.example.org"]


def test_the_probe_asks_the_same(a_run: Callable[[], list[str]]) -> None:
    """Whom a node tries to reach is the address that the others have, not a name that it may not know."""
    task_vars = {
        "hostvars": type("Vars", (dict,), {"raw_get": dict.get})({"w": {"ansible_host": "w.example.org"}})
    }

    class Values(SiteValues):
        def get(self, variable: str, host: str = "localhost") -> Any:
            return self.raw(host)[variable]

    assert Values(None, None, task_vars).node_address("w") == "192.0.2.1"
    assert resolved_nodes({"w": {"ansible_host": "w.example.org"}}) == {"w": "192.0.2.1"}
    assert a_run() == ["w.example.org"]


def test_filters_leave_what_does_not_resolve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Preflight tells it, with the others; a filter that failed would hide them."""
    monkeypatch.setattr(resolve, "addresses_of", ask)
    monkeypatch.setattr(resolve, "run_folder", lambda: tmp_path)
    told = NodeAddresses().filters()["node_addresses"](
        ["a", "b", "c"],
        {
            "a": {"ansible_host": "gone.example.org"},
            "b": {"ansible_host": ""},
            "c": {"site_node_address": "x.example.org"},
        },
    )
    assert told == {"a": "gone.example.org", "b": "", "c": "x.example.org"}
