# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A run of the matrix in a cluster in memory: which pods, what they may, what becomes of them, and the verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Optional

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program, fence_step
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import LABEL
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_pods import FenceError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_run import Fences, Wish
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_step import (
    HOST_NETWORK,
    probe_from_both,
    probe_from_build,
)
from fence_cluster import LAB, FenceCluster, endpoints, service
from hand_clock import HandClock

WISH = Wish(replace(LAB, other_namespace="other"), "python", build_node="worker2")
MACHINES = ("head1", "worker1", "worker2")
ROLES = {"jupyter": "session", "build": "build", "hub": "core", "control": "control", "ironbinder": "unknown"}


def well(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a pod finds where the fences are as promised."""
    if not targets:
        return {"ipv6": ["fe80::1"]}
    role = ROLES[name.partition("-")[0]]
    results = {}
    for one in targets:
        # The three tries are what this place has to reach.
        open_here = one.get("tries") == 3 or role in ("control", "core")
        closed_to_all = one["name"].startswith(("NodePort of binder", "unassigned"))
        results[one["name"]] = ["answered" if open_here and not closed_to_all else "silent", ""]
    return {"results": results, "ipv6": ["fe80::2"]}


def machines(run: dict[str, Any], node: str = "worker2") -> list[dict[str, Any]]:
    """What RUN step, node and proxy find where the fences are as promised."""
    targets = [Target(**entry) for entry in run["targets"]]
    found = []
    for origin in (Origin("run", "", node), Origin("node", "", node), Origin("proxy", "", "proxy1")):
        results = {}
        for one in targets:
            wanted = expected(one, origin, run["networks"], run["resolved"])
            proof = origin.role == "node" and one.kind not in ("unassigned", "host_network", "node_port")
            results[one.name] = ("answered" if wanted or proof else "silent", "")
        found.append({"origin": asdict(origin), "results": results, "ipv6": [], "trouble": ""})
    return found


def fences(finds: Callable[..., Optional[dict[str, Any]]] = well) -> tuple[FenceCluster, Fences]:
    """A cluster in which pods find what `finds` says."""
    api = FenceCluster(finds)
    return api, Fences(api, HandClock())


def test_a_run_from_start_to_end() -> None:
    api, matrix = fences()
    run = matrix.start(WISH)
    names = sorted(
        name.rsplit("-", 2)[0] + f" on {pod['spec']['nodeName']}" for name, pod in api.pods().items()
    )
    assert names == [
        "build-ironbinder-probe on worker2",
        "control-ironbinder-probe on worker1",
        "control-ironbinder-probe on worker2",
        "hub-ironbinder-probe on worker2",
        "ironbinder-probe on worker2",
        "jupyter-ironbinder-probe on worker1",
        "jupyter-ironbinder-probe on worker2",
        "jupyter-ironbinder-probe on worker2",
        "jupyter-ironbinder-probe on worker2",
    ]
    namespaces = {key.split("/")[4] for key in api.objects if "/pods/" in key}
    assert namespaces == {"binder", "default", "other"}
    verdict = matrix.finish(run, machines(run), 60)
    assert verdict.problems == []
    assert verdict.ok
    assert {cell.origin for cell in verdict.cells} == {
        *("session binder", "build binder", "unknown binder", "core binder", "other", "run", "proxy"),
        *("control", "node"),
    }
    # Each node has a guard of its own.
    judged = {(cell.target, cell.node) for cell in verdict.cells if cell.origin == "control"}
    assert judged == {
        (name, node)
        for node in ("worker1", "worker2")
        for name in ("unassigned service address", *(f"NodePort of binder on {name}" for name in MACHINES))
    }
    assert [cell.target for cell in verdict.cells if cell.origin == "node"] == ["unassigned service address"]
    assert api.pods() == {}


@pytest.mark.parametrize("begins", ["build", "jupyter", "ironbinder"])
def test_a_runtime_that_fails_to_start_a_pod(begins: str) -> None:
    """Nothing was tried in it: it is made once more, and who fails again is named."""
    api, matrix = fences()
    api.stumbles[begins] = 1
    run = matrix.start(WISH)
    verdict = matrix.finish(run, machines(run), 60)
    assert verdict.problems == []
    assert verdict.ok
    assert api.stumbles[begins] == 0
    assert api.pods() == {}
    api.stumbles["build"] = 2
    run = matrix.start(WISH)
    verdict = matrix.finish(run, machines(run), 60)
    assert "StartError: runc create failed" in str(verdict.problems)
    assert api.pods() == {}


def test_a_probe_may_no_more_than_a_session() -> None:
    api, matrix = fences()
    matrix.start(WISH)
    for pod in api.pods().values():
        spec = pod["spec"]
        [container] = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["activeDeadlineSeconds"] <= 1200
        assert pod["metadata"]["labels"][LABEL]
        # It must not answer in the hub's place.
        assert pod["metadata"]["labels"].get("component") not in ("hub", "proxy", "binder")


def test_the_places_that_a_site_judges() -> None:
    api, matrix = fences()
    run = matrix.start(replace(WISH, roles=["session"], nodes=["worker1"]))
    roles = [entry["origin"]["role"] for entry in run["places"]]
    assert roles == ["control", "session", "core"]
    assert HOST_NETWORK not in [entry["name"] for entry in run["targets"]]
    assert not any(key == "/api/v1/namespaces/other2" for key in api.objects)


def test_a_node_that_builds_and_runs_no_sessions() -> None:
    """The RUN step's own gateway and name server need a proof from there; the build pod is where builds are."""
    _, matrix = fences()
    run = matrix.start(replace(WISH, build_node="head1"))
    roles = [(entry["origin"]["role"], entry["origin"]["node"]) for entry in run["places"]]
    assert ("control", "head1") in roles
    assert ("build", "head1") in roles
    assert ("session", "head1") not in roles
    verdict = matrix.finish(run, machines(run, "head1"), 60)
    assert verdict.problems == []


@pytest.mark.parametrize(
    ("hubs", "other", "told"),
    [(1, "", True), (1, "other", False), (2, "", False)],
)
def test_a_verdict_says_when_there_is_no_other_hub(hubs: int, other: str, told: bool) -> None:
    second = {**LAB.hubs["binder"], "namespace": "second", "release": "second", "node_port": 30586}
    facts = replace(
        LAB, hubs={**LAB.hubs, "second": second} if hubs == 2 else LAB.hubs, other_namespace=other
    )
    _, matrix = fences()
    run = matrix.start(replace(WISH, facts=facts))
    summary = matrix.finish(run, machines(run), 60).summary
    assert ("no pod of another hub was tried" in summary) is told


def test_a_run_step_that_nobody_ran() -> None:
    _, matrix = fences()
    run = matrix.start(WISH)
    told = [entry for entry in machines(run) if entry["origin"]["role"] != "run"]
    [problem] = matrix.finish(run, told, 60).problems
    assert problem.startswith("run on worker2: nothing was found out: no machine ran a RUN step")


def test_a_listener_outlives_whoever_tries_it() -> None:
    """An image may take minutes, and what ended by itself would look fenced."""
    api, matrix = fences()
    matrix.start(WISH)
    seconds = {name: pod["spec"]["activeDeadlineSeconds"] for name, pod in api.pods().items()}
    [listener] = [name for name in seconds if name.endswith("-100")]
    assert min(seconds.values()) >= 600
    assert all(seconds[listener] > limit for name, limit in seconds.items() if name != listener)


def test_services_of_others_are_tried() -> None:
    api, matrix = fences()
    port = {"port": 80, "nodePort": 31000}
    api.objects["/api/v1/services/web"] = service("shop", "web", "10.96.9.9", port, floating="172.30.77.102")
    path = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
    api.objects[f"{path}/web-x"] = endpoints("shop", "web", "10.244.1.7", 80)
    names = {entry["name"] for entry in matrix.start(WISH)["targets"]}
    assert names >= {
        *("floating address of shop/web", "NodePort 31000 of shop/web on head1"),
        "NodePort 31000 of shop/web on worker1",
    }


def test_what_a_run_before_left_behind_is_removed() -> None:
    api, matrix = fences()
    first = matrix.start(WISH)
    second = matrix.start(WISH)
    assert first["id"] != second["id"]
    assert {pod["metadata"]["labels"][LABEL] for pod in api.pods().values()} == {second["id"]}


def test_one_pod_that_escapes() -> None:
    def finds(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
        found = well(name, targets)
        if name.startswith("build"):
            found["results"]["etcd of head1"] = ["answered", "b'x'"]
        return found

    _, matrix = fences(finds)
    run = matrix.start(WISH)
    verdict = matrix.finish(run, machines(run), 60)
    [problem] = verdict.problems
    assert problem.startswith("build binder on worker2 reaches etcd of head1 (172.30.77.11 port 2379, tcp)")


def test_without_the_machines_there_is_no_proof() -> None:
    _, matrix = fences()
    verdict = matrix.finish(matrix.start(WISH), [], 60)
    assert {cell.target for cell in verdict.cells if cell.verdict == "unproven"} == {
        f"NodePort of binder on {name}" for name in ("head1", "worker1", "worker2")
    }


def test_a_machine_shows_itself_what_only_it_may_reach() -> None:
    """A firewall that lets nobody in but the administrators is no reason to doubt a fence."""

    def firewalled(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
        found = well(name, targets)
        results = found.get("results", {})
        results.update({target: ["silent", ""] for target in shut & set(results)})
        return found

    shut = {"SSH of proxy1", "etcd of head1", "metrics of cluster DNS"}
    _, matrix = fences(firewalled)
    run = matrix.start(WISH)
    told = machines(run)
    for entry in told:
        entry["results"].update(dict.fromkeys(shut & set(entry["results"]), ("silent", "")))
    first = matrix.reports(run, told, 60)
    # Nobody can show what is no machine's.
    assert {cell.target for cell in matrix.judge(run, first).cells if cell.verdict == "unproven"} == shut
    assert matrix.asked_again(run, matrix.judge(run, first)) == ["head1", "proxy1"]
    own = [
        {"origin": asdict(Origin("machine", "", name)), "results": {target: ("answered", "")}}
        for name, target in (("head1", "etcd of head1"), ("proxy1", "SSH of proxy1"))
    ]
    verdict = matrix.judge(run, [*first, *matrix.read(own)])
    assert [line.split(" (")[0] for line in verdict.problems] == ["metrics of cluster DNS"]
    assert matrix.asked_again({**run, "asked": True}, matrix.judge(run, first)) == []


def test_a_probe_that_never_starts() -> None:
    api, matrix = fences(lambda name, targets: None if name.startswith("build") else well(name, targets))
    run = matrix.start(WISH)
    verdict = matrix.finish(run, machines(run), 60)
    assert "build binder on worker2: nothing was found out: pod binder/build-" in verdict.problems[0]
    assert "ImagePullBackOff: no such image" in verdict.problems[0]
    assert api.pods() == {}


def test_a_probe_that_somebody_deleted() -> None:
    api, matrix = fences()
    run = matrix.start(WISH)
    [path] = [key for key in api.objects if "/pods/build-" in key]
    del api.objects[path]
    assert "the pod is gone" in matrix.finish(run, machines(run), 60).problems[0]


def test_a_listener_that_never_starts() -> None:
    api, matrix = fences(lambda _name, _targets: None)
    with pytest.raises(FenceError) as caught:
        matrix.start(WISH)
    assert "ImagePullBackOff" in str(caught.value)
    assert "site_fence_probe_image" in str(caught.value)
    assert api.pods() == {}


def test_an_admission_that_refuses() -> None:
    api, matrix = fences()

    def refuse(verb: str, path: str, body: Any) -> None:
        if verb == "POST" and body["metadata"]["name"].startswith("build-"):
            raise KubeError("403", 403, "violates PodSecurity")

    api.before = refuse
    with pytest.raises(FenceError) as caught:
        matrix.start(WISH)
    assert "violates PodSecurity" in str(caught.value)
    assert api.pods() == {}


def test_no_node_for_sessions() -> None:
    _, matrix = fences()
    with pytest.raises(FenceError):
        matrix.start(replace(WISH, nodes=["worker9"]))


class Docker:
    """Answers `docker build` as a daemon would; `refusal` is what it says of --network=host, "" where it grants it."""

    def __init__(self, refusal: str, rc: int = 0, lacks_buildx: bool = False, pulls: int = -1) -> None:
        self.refusal, self.rc, self.lacks_buildx = refusal, rc, lacks_buildx
        # What a pull ends with, where the image is not there.
        self.pulls = pulls
        self.asked: list[list[str]] = []

    def __call__(self, argv: Sequence[str], _timeout: float) -> Ran:
        self.asked.append(list(argv))
        if argv[1:3] == ["image", "inspect"]:
            return Ran(int(self.pulls >= 0))
        if argv[1] == "pull":
            return Ran(self.pulls, stderr="manifest unknown")
        if argv[0] == sys.executable:
            return Ran(0, stdout=f'{fence_program.MARK} {{"results":{{"a":["answered",""]}},"ipv6":[]}}')
        if "build" not in argv:
            return Ran(0)
        if self.lacks_buildx and "DOCKER_BUILDKIT=1" in argv:
            return Ran(1, stderr="ERROR: BuildKit is enabled but the buildx component is missing or broken.")
        with open(f"{argv[-1]}/Dockerfile", encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
        assert text.startswith("FROM python\nRUN ")
        if "--network=host" in text:
            return Ran(1, stderr=self.refusal) if self.refusal else Ran(0)
        if self.rc:
            return Ran(self.rc, stderr="ERROR: python3: not found")
        line = f'{fence_program.MARK} {{"results":{{"a":["silent",""]}},"ipv6":[]}}'
        # The text of the step comes first, then what it prints.
        return Ran(0, stderr=f"#5 [2/2] RUN [...]\n#5 0.412 {line}\n#5 DONE 3.2s\n")


@pytest.mark.parametrize(
    ("refusal", "found"),
    [
        ("ERROR: failed to solve: network.host is not allowed", ["refused", ""]),
        (
            "failed to solve with frontend dockerfile.v0: entitlement network.host is not allowed",
            ["refused", ""],
        ),
        ("dockerfile parse error line 2: Unknown flag: network", ["refused", ""]),
        ("", ["answered", "the daemon grants it"]),
    ],
)
def test_a_run_step(refusal: str, found: list[str]) -> None:
    docker = Docker(refusal)
    report = probe_from_build(Origin("run"), "python", "{}", docker)
    assert report.results == {"a": ["silent", ""], HOST_NETWORK: tuple(found)}
    assert "--no-cache" in docker.asked[0]
    assert docker.asked[-1][:4] == ["docker", "image", "rm", "--force"]


@pytest.mark.parametrize(("pulls", "pulled"), [(-1, 0), (0, 1), (1, 1)])
def test_an_image_is_there_before_anything_is_tried(pulls: int, pulled: int) -> None:
    """Else the node would see a listener that has ended when at last the RUN step does not reach it."""
    docker = Docker("network.host", pulls=pulls)
    node, step = probe_from_both(Origin("node", "", "worker1"), "{}", "python", "{}", docker)
    verbs = [" ".join(argv[1:3]) for argv in docker.asked[: pulled + 1]]
    assert verbs == ["image inspect", "pull --quiet"][: pulled + 1]
    assert node.results == {"a": ["answered", ""]}
    assert step.origin == Origin("run", "", "worker1")
    assert ("manifest unknown" in step.trouble) is (pulls > 0)
    assert bool(step.results) is (pulls <= 0)


def test_a_client_without_buildx() -> None:
    docker = Docker("Unknown flag: network", lacks_buildx=True)
    report = probe_from_build(Origin("run"), "python", "{}", docker)
    assert report.results["a"] == ["silent", ""]
    assert "DOCKER_BUILDKIT=0" in docker.asked[1]


def test_a_build_that_fails() -> None:
    report = probe_from_build(Origin("run"), "python", "{}", Docker("network.host", rc=1))
    assert "docker build ended with 1: ERROR: python3: not found" in report.trouble
    assert report.results == {}


def test_a_refusal_for_another_reason_is_no_proof() -> None:
    report = probe_from_build(Origin("run"), "python", "{}", Docker("no space left on device"))
    assert "no space left" in report.trouble
    assert HOST_NETWORK not in report.results


def test_a_machine_tries_by_itself() -> None:
    argument = '{"targets": [{"name": "x", "address": "nowhere.invalid", "port": 1}]}'
    report = fence_step.probe_from_here(Origin("node"), argument)
    assert report.results["x"][0] == "unresolved"
    lacking = fence_step.probe_from_here(
        Origin("node"), argument, lambda _argv, _timeout: Ran(127, stderr="no python3")
    )
    assert "no python3" in lacking.trouble
