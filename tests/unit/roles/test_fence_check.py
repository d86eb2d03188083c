# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Role fence_check by real Ansible against an API whose pods find what the test says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from fence_cluster import HUBS, FenceCluster
from kube_server import kubeconfig_for, serve
from role_runs import ansible, answering

ROOT = Path(__file__).parents[3]
# No proxy takes part, which alone shows that these are alive.
SKIPPED = {f"NodePort of binder on {name}": "no proxy here" for name in ("head1", "worker1", "worker2")}


def well(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a pod finds where all is well: what it has to reach is tried three times."""
    free = name.startswith(("control-", "hub-"))
    results = {
        one["name"]: ["answered" if free or one.get("tries") else "silent", ""]
        for one in targets
        if not one["name"].startswith("unassigned")
    }
    gone = {one["name"]: ["silent", ""] for one in targets if one["name"].startswith("unassigned")}
    return {"results": {**results, **gone}, "ipv6": []}


def play(api: FenceCluster, folder: Path, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the role once."""
    report = folder / "report.json"
    report.write_text('{"binder": {"total_seconds": 1}}')
    with serve(answering(api)) as url:
        variables = {
            "fence_check_hubs": HUBS,
            "fence_check_image": "python",
            "fence_check_origins": ["session", "build", "unknown"],
            "fence_check_skipped": SKIPPED,
            "fence_check_kubeconfig_file": kubeconfig_for(url, folder),
            "fence_check_report_file": str(report),
            "ansible_python_interpreter": sys.executable,
            **more,
        }
        role = {"role": "ironbinder.platform.fence_check"}
        plays = [{"hosts": "localhost", "gather_facts": False, "roles": [role]}]
        (folder / "hosts").write_text("localhost ansible_connection=local\n")
        return ansible(folder, plays, "-i", "hosts", *options, "-e", json.dumps(variables))


def test_fences_that_hold(tmp_path: Path) -> None:
    api = FenceCluster(well)
    done = play(api, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fences verified: " in done.stdout
    assert "changed=0" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["binder"] == {"total_seconds": 1}
    assert report["fence_check"]["ok"] is True
    assert report["fence_check"]["skipped"] == SKIPPED
    assert api.pods() == {}


def test_an_escape_ends_the_run_and_is_in_the_report(tmp_path: Path) -> None:
    def finds(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
        found = well(name, targets)
        if name.startswith("build-"):
            found["results"]["etcd of head1"] = ["answered", "b'x'"]
        return found

    api = FenceCluster(finds)
    done = play(api, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "build binder on worker1 reaches etcd of head1" in done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["fence_check"]["ok"] is False
    assert api.pods() == {}


def test_a_machine_is_asked_for_itself_where_nobody_else_may(tmp_path: Path) -> None:
    """Once more and no more: it says nothing of SSH here, so that there is no proof."""

    def finds(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
        found = well(name, targets)
        found["results"].update({one: ["silent", ""] for one in found["results"] if one.startswith("SSH")})
        return found

    api = FenceCluster(finds)
    places = {"fence_check_machines": {"localhost": "127.0.0.77"}, "fence_check_ssh_ports": {"localhost": 1}}
    done = play(api, tmp_path, **places)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Ask machines for what nobody else reaches" in done.stdout
    told = json.loads((tmp_path / "report.json").read_text())["fence_check"]
    assert [line.split(" (")[0] for line in told["problems"]] == ["SSH of localhost"]
    assert api.pods() == {}


def test_a_machine_that_cannot_be_asked_leaves_no_pods(tmp_path: Path) -> None:
    api = FenceCluster(well)
    done = play(api, tmp_path, fence_check_proxy_hosts=["nowhere.invalid"])
    assert done.returncode == 2, done.stdout + done.stderr
    assert any(verb == "POST" and path.endswith("/binder/pods") for verb, path in api.asked)
    assert api.pods() == {}
    told = json.loads((tmp_path / "report.json").read_text())["fence_check"]
    assert told["problems"] == [
        "node on nowhere.invalid: nothing was found out: Ansible does not reach this machine"
    ]


def test_a_machine_that_is_node_and_proxy_does_both(tmp_path: Path) -> None:
    host = "nowhere.invalid"
    done = play(
        FenceCluster(well),
        tmp_path,
        fence_check_build_host=host,
        fence_check_proxy_hosts=[host, "other.invalid"],
    )
    asked = [f"{host} as node", f"{host} as proxy", "other.invalid as proxy"]
    assert [place for place in asked if f"(item={place})" in done.stdout] == asked
    told = json.loads((tmp_path / "report.json").read_text())["fence_check"]
    assert len([line for line in told["problems"] if host in line]) == 1


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ({"head": {"head1": {}}, "workers": {"worker1": {}, "worker2": {}}}, "worker1"),
        (
            {"head": {"head1": {}}, "workers": {"worker1": {"site_node_purposes": ["core"]}, "worker2": {}}},
            "worker2",
        ),
        (
            {
                "head": {"head1": {"site_node_purposes": ["core", "user"]}},
                "workers": {"worker1": {"site_node_purposes": ["core"]}},
            },
            "head1",
        ),
        ({"head": {"head1": {}}}, "head1"),
    ],
)
def test_the_run_step_is_tried_where_builds_are(
    tmp_path: Path, hosts: dict[str, dict[str, Any]], host: str
) -> None:
    *_imported, prove = yaml.safe_load((ROOT / "playbooks/verify.yml").read_text())
    [wish] = [role["vars"] for role in prove["roles"] if role["role"].endswith(".fence_check")]
    task = {
        "ansible.builtin.copy": {"content": wish["fence_check_build_host"], "dest": str(tmp_path / "host")}
    }
    plays = [
        {
            **{"hosts": "head", "gather_facts": False, "connection": "local", "tasks": [task]},
            "vars": {**prove["vars"], "ansible_python_interpreter": sys.executable},
        }
    ]
    inventory = {"all": {"children": {group: {"hosts": members} for group, members in hosts.items()}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
    done = ansible(tmp_path, plays, "-i", "hosts.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "host").read_text() == host


def test_a_check_tries_nothing(tmp_path: Path) -> None:
    api = FenceCluster(well)
    assert play(api, tmp_path, "--check").returncode == 0
    assert api.asked == []
