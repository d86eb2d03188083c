# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""As many sessions as `make capacity` counts run at once, each with the memory that it is sure of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site

testinfra_hosts = ["ansible://head"]

# Named as KubeSpawner names them, so that whatever fences sessions fences these.
NAME = "jupyter-capacity"
LONGEST_SECONDS = 240
# What lies beside the memory that a process asks for: its own text and stack, and pages of files.
BESIDE_MIB = 16
ENDED = {"Evicted", "OOMKilling", "SystemOOM", "EvictionThresholdMet", "Preempted"}


@pytest.fixture(scope="module")
def counted(site: Site) -> dict[str, Any]:
    """Return what the calculator says of the site; it writes nothing."""
    program = Path(sys.executable).with_name("ansible-playbook")
    chosen = ["-i", str(Path(site.inventory).resolve())] if site.inventory else []
    run = subprocess.run(
        [program, *chosen, ROOT / "playbooks/capacity.yml", "-e", "capacity_write=false"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    tasks = [task for play in json.loads(run.stdout)["plays"] for task in play["tasks"]]
    [told] = [result for task in tasks for result in task["hosts"].values() if "sessions" in result]
    return dict(told)


def job(image: str, number: int, session: dict[str, int]) -> dict[str, Any]:
    """A job of so many pods that are sessions to the scheduler, the kubelet and the fences."""
    size = max(1, session["memory_mib"] - BESIDE_MIB) << 20
    script = f"(head -c {size} /dev/zero; touch /tmp/ready; exec sleep 3600) | tail -c {size} > /dev/null"
    requests = {"memory": f"{session['memory_mib']}Mi"}
    limits = {"memory": f"{session['memory_limit_mib']}Mi"} if session["memory_limit_mib"] else {}
    if session["millicores"]:
        requests["cpu"] = f"{session['millicores']}m"
    if session["disk_mib"]:
        requests["ephemeral-storage"] = f"{session['disk_mib']}Mi"
    purpose = {"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [{"key": "hub.jupyter.org/dedicated", "value": "user", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [purpose]}]
                }
            }
        },
        "containers": [
            {
                "name": "notebook",
                "image": image,
                "command": ["sh", "-c", script],
                "resources": {"requests": requests, "limits": limits},
                "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 2},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME},
        "spec": {
            "parallelism": number,
            "completions": number,
            "backoffLimit": 0,
            # Whatever becomes of this test, they do not stay.
            "activeDeadlineSeconds": 2 * LONGEST_SECONDS,
            "ttlSecondsAfterFinished": 60,
            "template": {"spec": spec},
        },
    }


@pytest.fixture
def sessions(
    host: Any,
    site: Site,
    kubectl: Callable[..., Any],
    counted: dict[str, Any],
    request: pytest.FixtureRequest,
) -> Iterator[tuple[str, int]]:
    """Start as many as fit beside those that people have, and remove them; the namespace, and how many."""
    image = request.config.getoption("--capacity-image")
    if not image:
        pytest.skip("--capacity-image names no image to start sessions from")
    namespace = next(iter(site.hubs.values()))["namespace"]
    there = kubectl("--namespace", namespace, "get", "pods", "--selector", "component=singleuser-server")[
        "items"
    ]
    number = counted["sessions"] - len(there)
    assert number > 0, f"{counted['sessions']} sessions fit, and people have {len(there)}"
    delete = ("--namespace", namespace, "delete", "job", NAME, "--ignore-not-found", "--cascade=foreground")
    kubectl(*delete, output="")
    made = host.run(
        "printf %%s %s | kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace %s create --filename -",
        json.dumps(job(image, number, counted["session"])),
        namespace,
    )
    assert made.rc == 0, made.stderr
    yield namespace, number
    kubectl(*delete, output="")


def restarts(kubectl: Callable[..., Any]) -> dict[str, int]:
    """Count how often each container of the cluster was started again."""
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": sum(
            status["restartCount"] for status in pod["status"].get("containerStatuses", [])
        )
        for pod in kubectl("get", "pods", "--all-namespaces")["items"]
        if not pod["metadata"]["name"].startswith(NAME)
    }


def pressure(kubectl: Callable[..., Any]) -> list[str]:
    """Name nodes that lack memory, disk or process ids."""
    return [
        f"{node['metadata']['name']}: {condition['type']}"
        for node in kubectl("get", "nodes")["items"]
        for condition in node["status"]["conditions"]
        if condition["type"].endswith("Pressure") and condition["status"] != "False"
    ]


def test_as_many_sessions_as_are_counted_run_at_once(
    kubectl: Callable[..., Any], eventually: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    before = restarts(kubectl)
    old = {event["metadata"]["uid"] for event in kubectl("get", "events", "--all-namespaces")["items"]}
    namespace, number = request.getfixturevalue("sessions")

    def pods() -> list[dict[str, Any]]:
        chosen = ("--namespace", namespace, "--selector", f"job-name={NAME}")
        return list(kubectl("get", "pods", *chosen)["items"])

    def not_ready() -> list[str]:
        states = {
            pod["metadata"]["name"]: pod["status"].get("containerStatuses", [{"ready": False}])
            for pod in pods()
        }
        waiting = [name for name, status in states.items() if not all(entry["ready"] for entry in status)]
        return waiting + [f"{number - len(states)} more"] * (len(states) < number)

    assert eventually(not_ready, LONGEST_SECONDS) == []
    # All of them hold their memory now: nobody was killed for it, and nobody begins to be.
    assert eventually(lambda: pressure(kubectl), 10) == []
    after = pods()
    assert {
        pod["metadata"]["name"]: pod["status"]["phase"]
        for pod in after
        if pod["status"]["phase"] != "Running"
    } == {}
    assert len(after) == number
    users = {
        node["metadata"]["name"]
        for node in kubectl("get", "nodes", "--selector", "hub.jupyter.org/node-purpose=user")["items"]
    }
    assert {pod["spec"]["nodeName"] for pod in after} <= users
    ended = [
        f"{event['involvedObject'].get('name')}: {event['reason']}"
        for event in kubectl("get", "events", "--all-namespaces")["items"]
        if event["metadata"]["uid"] not in old and event["reason"] in ENDED
    ]
    assert ended == []
    now = restarts(kubectl)
    assert {name: now[name] for name in before if name in now and now[name] != before[name]} == {}
