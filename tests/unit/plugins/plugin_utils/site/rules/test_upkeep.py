# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/upkeep.py by a bad site of its own, and what the findings say."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import DAY, NOW, Case, case, found, rules_in, texts

HOUR = 3600
LATE = "site_etcd_snapshot_late_hours"
# As json.loads gives NaN, Infinity, 1e999 and long numbers.
ODD = [float("nan"), float("inf"), -float("inf"), 10**400, None, "yesterday", True]


def certificate(days: float, name: str = "apiserver", kind: str = "kubeadm", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "file": f"/etc/kubernetes/pki/{name}.crt",
        "kind": kind,
        "not_after": NOW + days * DAY,
        "error": "",
        "port": None,
        "served": "",
        **more,
    }


def snapshot(hours: float, **more: Any) -> dict[str, Any]:
    name = f"etcd-{hours}.db"
    return {
        "file": name,
        "taken_at": NOW - hours * HOUR,
        "bytes": 10,
        "found_bytes": 10,
        "damage": "",
        **more,
    }


def attempt(*snapshots: dict[str, Any], **more: Any) -> dict[str, Any]:
    state = {"directory": "/srv/etcd", "began": NOW - HOUR, "ended": NOW - HOUR, "error": ""}
    return {**state, "snapshots": list(snapshots), **more}


def head(name: str, *expected: str, **upkeep: Any) -> Case:
    """A running head that tells this, and the rules that must find it."""
    told = {"certificates": [certificate(300)], "snapshots": attempt(snapshot(5)), "timer_at": NOW - 99 * DAY}
    changes = {
        "hosts/head1/probe/upkeep": {**told, **upkeep},
        "hosts/head1/probe/cluster": {"source": "api", "made_here": True},
    }
    return case(
        name, changes, *((rule, LATE if "late" in rule else "", "head1") for rule in expected), running=True
    )


CASES = [
    head("ended", "certificate-ends", certificates=[certificate(-3)]),
    head("days left", "certificate-ends", certificates=[certificate(13)]),
    head("weeks left", "certificate-ends-soon", certificates=[certificate(14.1), certificate(59)]),
    head(
        "both",
        "certificate-ends",
        "certificate-ends-soon",
        certificates=[certificate(2), certificate(40, "front-proxy-client")],
    ),
    head(
        "a CA with months left", "certificate-ends-soon", certificates=[certificate(300, "ca", "authority")]
    ),
    head(
        "a kubelet that renews nothing",
        "certificate-ends-soon",
        certificates=[certificate(20, "kubelet", "kubelet")],
    ),
    head(
        "no certificate",
        "certificate-unreadable",
        certificates=[certificate(1, not_after=None, error="it holds no certificate")],
    ),
    head(
        "renewed by hand",
        "certificate-not-served",
        certificates=[certificate(300, port=6443, served="other")],
    ),
    head(
        "not renewed", "certificates-not-renewed", renewal={"began": NOW, "ended": NOW, "error": "no ca.key"}
    ),
    head("killed while renewing", "certificates-not-renewed", renewal={"began": NOW - 3 * HOUR}),
    # An old one is no second finding: the reason is told.
    head("no room", "snapshot-failed", snapshots=attempt(snapshot(99), error="has 3 MiB left")),
    head("killed", "snapshot-failed", snapshots={"directory": "/srv/etcd", "began": NOW - 3 * HOUR}),
    head("no timer fired", "snapshot-late", snapshots=attempt(snapshot(30))),
    # A clock was 200 days ahead, when a snapshot was taken and when the timer came, and then was set right.
    head("one from the future", "snapshot-late", snapshots=attempt(snapshot(30), snapshot(-4800))),
    head("only from the future", "snapshot-late", snapshots=attempt(snapshot(-4800), snapshot(-2))),
    head(
        "a timer from the future",
        "snapshot-late",
        snapshots=attempt(snapshot(30)),
        timer_at=NOW + 200 * DAY,
    ),
    head("never a snapshot", "snapshot-late", snapshots={}),
    head("damaged", "snapshot-damaged", snapshots=attempt(snapshot(40, damage="is damaged"), snapshot(5))),
    head("truncated since", "snapshot-damaged", snapshots=attempt(snapshot(40, found_bytes=7), snapshot(5))),
    # What is damaged is no snapshot.
    head(
        "only a truncated one",
        "snapshot-damaged",
        "snapshot-late",
        snapshots=attempt(snapshot(5, found_bytes=7)),
    ),
    head(
        "full", "etcd-nearly-full", etcd={"bytes": 1800 << 20, "quota_bytes": 2048 << 20, "in_use_bytes": 1}
    ),
    case(
        "a worker's kubelet",
        {"hosts/worker1/probe/upkeep": {"certificates": [certificate(3, "kubelet", "kubelet")]}},
        ("certificate-ends", "", "worker1"),
        running=True,
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("upkeep") <= {rule for entry in CASES for rule, _, _ in entry.expected}


GOOD = [
    head("all well"),
    head("one from the future beside a new one", snapshots=attempt(snapshot(-4800), snapshot(5))),
    head("a clock that is a little ahead", snapshots=attempt(snapshot(-0.9)), timer_at=NOW - 99 * DAY),
    head("two months left", certificates=[certificate(60.1)]),
    head("a kubelet that renews soon", certificates=[certificate(40, "kubelet", "kubelet")]),
    head("what nobody looks at", certificates=[certificate(-9, "kubelet-serving", "kubelet-serving")]),
    head("a port that is away", certificates=[certificate(300, port=6443, served="silent")]),
    head("taking one now", snapshots={**attempt(snapshot(14)), "began": NOW - 60, "error": ""}),
    head("a new timer", snapshots={}, timer_at=NOW - HOUR),
    head("from before there was a timer", snapshots={}, timer_at=None),
    head("one that an admin removed", snapshots=attempt(snapshot(50, found_bytes=None), snapshot(5))),
    head("half full", etcd={"bytes": 1000 << 20, "quota_bytes": 2048 << 20}),
    head("etcd that tells nothing", etcd={}),
    case(
        "what an old cluster left",
        {"hosts/head1/probe/upkeep": {"certificates": [certificate(-99)], "snapshots": {}}},
    ),
]


@pytest.mark.parametrize("good", GOOD, ids=[entry.name for entry in GOOD])
def test_good_site(good: Case) -> None:
    assert found(good.site()) == set()


@pytest.mark.parametrize("odd", ODD)
def test_odd_times_stop_no_rule(odd: Any) -> None:
    """They are of no known time: one beside them counts, and alone they are none."""
    strange = snapshot(3, taken_at=odd)
    assert found(head("", snapshots=attempt(strange, snapshot(5))).site()) == set()
    assert found(head("", snapshots=attempt(strange)).site()) == {("snapshot-late", LATE, "head1")}
    # It began at no known time, and has not ended.
    killed = head("", snapshots={"directory": "/srv/etcd", "began": odd})
    assert found(killed.site()) == {("snapshot-failed", "", "head1")}


def test_certificates_of_a_host_are_one_finding() -> None:
    """kubeadm renews them together, and they end together."""
    [text] = texts(
        head("", certificates=[certificate(9, "b"), certificate(8, "a"), certificate(9, "c")]).site(),
        "certificate-ends",
    )
    assert "the certificate a (/etc/kubernetes/pki/a.crt) ends in 8 days, and b, c end soon too" in text
    assert "systemctl start ironbinder-certificates" in text


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("etcd/server", "kubeadm", "kubeadm init phase certs etcd-server --config"),
        ("admin.conf", "kubeadm", "kubeadm init phase kubeconfig admin --config"),
        ("ca", "authority", "the same file of another node"),
        ("kubelet", "kubelet", "Kubelet client certificate rotation fails"),
        ("kubelet-serving", "kubelet-serving", "systemctl restart kubelet, which makes both anew"),
        ("what is to come", "another", "journalctl --unit kubelet"),
    ],
)
def test_what_cannot_be_read_has_a_way_out_of_its_kind(name: str, kind: str, said: str) -> None:
    """kubeadm renews nothing that it cannot read."""
    broken = certificate(1, name, kind, not_after=None, error="it holds no certificate")
    [text] = texts(head("", certificates=[broken]).site(), "certificate-unreadable")
    assert said in text
    assert "renew --now" not in text


def test_a_truncated_snapshot_is_named_with_its_way_out() -> None:
    [text] = texts(head("", snapshots=attempt(snapshot(40, found_bytes=7))).site(), "snapshot-damaged")
    assert text.startswith("/srv/etcd/etcd-40.db is truncated or changed: it has 7 bytes of 10 -> ")
    assert "remove /srv/etcd/etcd-40.db" in text


@pytest.mark.parametrize(
    ("snapshots", "said"),
    [
        ([], "has no snapshot of etcd, and 26 are"),
        ([snapshot(30)], "the newest snapshot of etcd is 30 hours old, and 26 are"),
        (
            [snapshot(-4800), snapshot(-2), snapshot(30)],
            "the newest snapshot of etcd is 30 hours old, but for 2 that a clock ahead of time has dated, and 26 are",
        ),
        (
            [snapshot(-4800)],
            "has no snapshot of etcd that says when it was taken, but for 1 that a clock ahead of time has dated, and",
        ),
        ([snapshot(3, taken_at=None)], "has no snapshot of etcd that says when it was taken, and 26 are"),
    ],
)
def test_a_late_snapshot_says_which_do_not_count(snapshots: list[dict[str, Any]], said: str) -> None:
    [text] = texts(head("", snapshots=attempt(*snapshots)).site(), "snapshot-late")
    assert said in text


def test_a_site_may_take_fewer() -> None:
    weekly = head("", snapshots=attempt(snapshot(100)))
    assert found(weekly.site()) == {("snapshot-late", LATE, "head1")}
    assert found(Case("", {**weekly.changes, f"values/{LATE}": 170}, frozenset(), True).site()) == set()
