# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The trust matrix of a cluster in memory: its pods, its machines, its verdict, and that of a CA or a name taken away."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import BUNDLE_FILE
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_program import MARK
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import FENCED, Origin
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_run import Fences, Wish
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import TargetError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_run import (
    TrustWish,
    passwords,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.trust_step import (
    Account,
    from_build,
    from_daemons,
    from_hubs,
    from_node,
)
from fence_cluster import LAB, FenceCluster
from hand_clock import HandClock

BASE = "172.30.77.41:5000/binder/lab-base:abc"
PROXY = "http://site:s3cret@192.0.2.9:3128"
TRUST = TrustWish(
    provider="git",
    spec="https%3A%2F%2F172.30.77.41%2Fgit%2Fhello.git/main",
    base_image=BASE,
    mounts_bundle=True,
    build_environment={**dict.fromkeys(("https_proxy", "HTTPS_PROXY"), PROXY), "OTHER": "x"},
    extra_hosts={"192.0.2.50": ["git.example.org"]},
)
WISH = Wish(LAB, "python", roles=(), build_node="worker2", trust=TRUST)
# What each place finds where all is well; `-` is not asked for.
WELL = {
    "node": "verified verified verified plain",
    "dockerd": "verified verified - -",
    "containerd": "verified verified - -",
    "binder": "verified verified verified plain",
    "build": "silent verified verified plain",
    "run": "silent verified verified plain",
    "hub": "silent silent silent plain",
    "session": "silent silent silent plain",
}
NAMES = ("registry", "mirror", "Git host", "public URL")


def found_by(role: str, changes: Sequence[tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
    """What a place finds, with changes as (place, peer, outcome)."""
    told = dict(zip(NAMES, WELL[role].split()))
    told.update({peer: outcome for place, peer, outcome in changes if place == role})
    return {name: (outcome, "its words") for name, outcome in told.items() if outcome != "-"}


def judged(*changes: tuple[str, str, str], lost: str = "", wish: Wish = WISH) -> Any:
    """Judge a site that is well but for these changes, and without what a lost place would have told."""
    roles = {"build-": "build", "jupyter-": "session"}

    def finds(name: str, _targets: Sequence[dict[str, Any]]) -> Optional[dict[str, Any]]:
        role = next(role for begin, role in roles.items() if name.startswith(begin))
        return None if role == lost else {"results": found_by(role, changes), "ipv6": []}

    api = FenceCluster(finds)
    matrix = Fences(api, HandClock())
    started = matrix.start(wish)
    # As if the fences were tried, too.
    run = {**started, "trust": {**started["trust"], "enforced": list(FENCED)}}
    machines = [
        asdict(Report(Origin(role, "binder", "worker2"), found_by(role, changes), about="trust"))
        for role in WELL
        if role not in ("build", "session", lost)
    ]
    reports = matrix.reports(run, machines, 60)
    assert api.pods() == {}
    assert matrix.judge(run, reports).cells == [], "no fence was tried"
    return matrix.judge_trust(run, reports)


def test_a_site_that_is_well() -> None:
    verdict = judged()
    assert verdict.problems == []
    assert verdict.ok
    assert verdict.summary == (
        "trust verified: 4 peers, 21 ways judged, 11 with a certificate that is trusted, 0 not as they have to be"
    )
    head, *rows = [line.split() for line in verdict.table.splitlines()]
    assert " ".join(head) == "peer node dockerd containerd BinderHub build pod RUN step hub session"
    assert rows[0] == [
        "registry",
        "verified",
        "verified",
        "verified",
        "verified",
        "closed",
        "closed",
        "-",
        "closed",
    ]
    assert rows[1] == [
        "mirror",
        "verified",
        "verified",
        "verified",
        "-",
        "verified",
        "verified",
        "-",
        "closed",
    ]
    assert " ".join(rows[3]) == "public URL - - -" + " plain HTTP" * 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # A CA is taken away.
        (
            ("node", "mirror", "unverified"),
            ["node of binder on worker2: does not trust mirror", "stage nodes"],
        ),
        (("dockerd", "registry", "unverified"), ["dockerd", "/etc/docker/certs.d"]),
        (("containerd", "registry", "unverified"), ["containerd", "/etc/containerd/certs.d"]),
        (("binder", "registry", "unverified"), ["BinderHub", "mounts its node's bundle"]),
        (("build", "Git host", "unverified"), ["build pod", "mounts its node's bundle"]),
        (("run", "mirror", "unverified"), ["RUN step", "site_base_image_from"]),
        # A name is.
        (("build", "Git host", "unresolved"), ["does not know the name", "site_extra_hosts"]),
        (("dockerd", "mirror", "unresolved"), ["does not know the name"]),
        # A proxy is.
        (("run", "mirror", "proxy"), ["correct the proxy"]),
        # A peer is down, or is another.
        (("binder", "public URL", "refused"), ["does not reach public URL at http://172.30.77.31/: refused"]),
        (("node", "registry", "connected"), ["speaks no TLS"]),
        (("dockerd", "registry", "missing"), ["was not tried", "daemon"]),
        # A fence is.
        (("session", "registry", "verified"), ["session", "which it must not"]),
        (("session", "mirror", "unverified"), ["session", "which it must not"]),
    ],
)
def test_what_is_taken_away_is_seen(change: tuple[str, str, str], words: list[str]) -> None:
    verdict = judged(change)
    [problem] = verdict.problems
    assert [word for word in words if word not in problem] == []
    assert "Next: " in problem
    assert not verdict.ok
    assert "trust is broken" in verdict.summary


@pytest.mark.parametrize("place", ["build", "node", "binder"])
def test_a_place_that_tells_nothing(place: str) -> None:
    [problem] = judged(lost=place).problems
    assert ("nothing was found out" in problem) is (place == "build")
    assert ("nobody asked from" in problem) is (place != "build")


def test_without_a_base_of_the_sites_own_nothing_is_promised_in_it() -> None:
    wish = replace(WISH, trust=replace(TRUST, base_image=""))
    verdict = judged(("run", "mirror", "unverified"), wish=wish)
    assert verdict.problems == []
    assert "not promised" in verdict.table
    # That it cannot be reached is another matter.
    assert judged(("run", "mirror", "silent"), wish=wish).problems


def test_pods_are_what_they_stand_for() -> None:
    api = FenceCluster(lambda _name, _targets: {"results": {}, "ipv6": []})
    Fences(api, HandClock()).start(WISH)
    pods = {name.partition("-")[0]: pod["spec"] for name, pod in api.pods().items()}
    assert set(pods) == {"jupyter", "build"}
    session, build = pods["jupyter"], pods["build"]
    assert session["containers"][0]["image"] == BASE
    assert session["imagePullSecrets"] == [{"name": "image-pull-secret"}]
    assert "volumes" not in session, "no session may mount a path of its node"
    assert build["nodeName"] == "worker2"
    assert build["volumes"][0]["hostPath"] == {"path": BUNDLE_FILE, "type": "File"}
    assert build["containers"][0]["volumeMounts"][0]["mountPath"] == BUNDLE_FILE
    told = {entry["name"]: entry["value"] for entry in build["containers"][0]["env"]}
    assert told["SSL_CERT_FILE"] == BUNDLE_FILE
    assert told["HTTPS_PROXY"] == PROXY


def test_a_proxys_password_is_in_no_run() -> None:
    """Ansible shows a run, and hands it on."""
    secret = {"HTTPS_PROXY": "http://me:s3cret@192.0.2.9:3128", "NO_PROXY": "172.30.77.41"}
    api = FenceCluster(lambda _name, _targets: {"results": {}, "ipv6": []})
    run = Fences(api, HandClock()).start(replace(WISH, trust=replace(TRUST, build_environment=secret)))
    assert "s3cret" not in json.dumps(run)
    assert "s3cret" in json.dumps(api.pods())
    assert passwords(secret) == {secret["HTTPS_PROXY"]}


@pytest.mark.parametrize(
    ("skipped", "words"),
    [({"git": "x"}, "names git, which is none of"), ({"mirror": " "}, "no reason for mirror")],
)
def test_what_may_be_skipped(skipped: dict[str, str], words: str) -> None:
    with pytest.raises(TargetError, match=words):
        judged(wish=replace(WISH, trust=replace(TRUST, skipped=skipped)))


def test_a_peer_that_is_skipped() -> None:
    verdict = judged(wish=replace(WISH, trust=replace(TRUST, skipped={"mirror": "is moved on Friday"})))
    assert "mirror" not in {cell.target for cell in verdict.cells}
    assert verdict.skipped == {"mirror": "is moved on Friday"}


# ---- machines ---------------------------------------------------------------------------------------

PEERS = [{"name": "mirror", "kind": "mirror", "url": "https://nowhere.invalid/", "address": "192.0.2.41"}]
PART = {
    "peers": PEERS,
    "base_image": BASE,
    "hubs": {"binder": "binder", "second": "second"},
    "extra_hosts": TRUST.extra_hosts,
}
LINE = f'{MARK} {{"results":{{"mirror":["verified",""]}},"ipv6":[]}}'


def test_a_node_asks_by_itself() -> None:
    report = from_node(PART, "worker1")
    assert (report.about, report.results["mirror"][0]) == ("trust", "unresolved")


def test_daemons_are_asked_for_an_image_that_nobody_has() -> None:
    asked = []

    def dockerd(image: str) -> str:
        asked.append(image)
        return "manifest unknown"

    both = {"dockerd": dockerd, "containerd": lambda _image: "x509: certificate signed by unknown authority"}
    reports = from_daemons(PART, "worker1", both)
    assert asked == ["nowhere.invalid/ironbinder/trust-check:none"]
    assert {report.origin.role: report.results["mirror"][0] for report in reports} == {
        "dockerd": "verified",
        "containerd": "unverified",
    }


class Shell:
    """Answers docker and kubectl; notes what they are asked."""

    def __init__(self, answer: Ran) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []
        self.dockerfile = self.config = ""

    def __call__(self, argv: Sequence[str], _timeout: float) -> Ran:
        self.asked.append(list(argv))
        if "build" in argv:
            self.dockerfile = Path(argv[-1], "Dockerfile").read_text()
            file = Path(argv[-1]).with_name("config.json")
            self.config = file.read_text() if file.exists() else ""
        return self.answer


def test_a_run_step_is_told_what_a_real_one_is() -> None:
    shell = Shell(Ran(0, stderr=f"#5 0.4 {LINE}\n"))
    report = from_build(
        PART,
        "worker1",
        "python",
        Account("172.30.77.41:5000", "puller", "s3cret"),
        environment=TRUST.build_environment,
        run=shell,
    )
    assert (report.origin.role, report.about, report.results) == (
        "run",
        "trust",
        {"mirror": ["verified", ""]},
    )
    assert shell.dockerfile.startswith(f"FROM {BASE}\nRUN [")
    [build, remove] = shell.asked
    assert build[build.index("--add-host") + 1] == "git.example.org:192.0.2.50"
    told = json.loads(shell.config)
    assert list(told["auths"]) == ["172.30.77.41:5000"]
    assert told["proxies"] == {"default": {"httpsProxy": PROXY}}
    assert not any("s3cret" in word for word in build), "a password is in no list of processes"
    assert remove[:3] == ["docker", "image", "rm"]


@pytest.mark.parametrize(
    ("registry", "keys"),
    [
        ("r.example.org:5000", ["r.example.org:5000"]),
        # The base's name may have the port that TLS has anyway, or not.
        ("r.example.org:443", ["r.example.org:443", "r.example.org"]),
        ("registry-1.docker.io:443", ["https://index.docker.io/v1/"]),
    ],
)
def test_docker_finds_the_account_by_the_name_of_the_base(registry: str, keys: list[str]) -> None:
    assert list(json.loads(Account(registry, "puller", "s3cret").config({}))["auths"]) == keys


def test_a_run_step_without_account_or_base() -> None:
    shell = Shell(Ran(1, stderr="python3: not found"))
    report = from_build(
        {**PART, "base_image": ""}, "worker1", "python", Account("r", "", ""), environment={}, run=shell
    )
    assert "docker build on python ended with 1: python3: not found" in report.trouble
    assert shell.config == ""
    assert "--config" not in shell.asked[0]


def test_the_hubs_own_pods_are_asked() -> None:
    shell = Shell(Ran(0, stdout=f"{LINE}\n"))
    reports = from_hubs(PART, run=shell)
    assert [(report.origin.role, report.origin.hub) for report in reports] == [
        ("binder", "binder"),
        ("hub", "binder"),
        ("binder", "second"),
        ("hub", "second"),
    ]
    assert {report.about for report in reports} == {"trust"}
    assert sorted(argv[argv.index("exec") + 1] for argv in shell.asked) == [
        *["deployment/binder"] * 2,
        *["deployment/hub"] * 2,
    ]
    lost = from_hubs(PART, run=Shell(Ran(1, stderr="pods are forbidden")))
    assert {"kubectl exec in binder/hub ended with 1: pods are forbidden"} <= {
        report.trouble for report in lost
    }
    assert sys.executable not in shell.asked[0], "their own Python"
