# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Roles fence_check and trust_check by real Ansible: one set of probes, two verdicts, and both in the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fence_cluster import HUBS, FenceCluster
from kube_server import kubeconfig_for, serve
from role_runs import ansible, answering

TRUST = {
    "enabled": True,
    "provider": "git",
    "spec": "https%3A%2F%2F192.0.2.41%2Fhello.git/main",
    "mounts_bundle": True,
    "base_image": "registry.example.org/base:1",
}


def finds(name: str, targets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Trust everybody from everywhere."""
    assert all("url" in one for one in targets), f"{name} tries the fences, which are off"
    return {"results": {one["name"]: ["verified", "HTTP 200"] for one in targets}, "ipv6": []}


@pytest.mark.parametrize("check", [False, True])
def test_one_set_of_probes_for_both(tmp_path: Path, check: bool) -> None:
    """The fences are off here; and nobody asked from the machines, which a verdict has to say."""
    api = FenceCluster(finds)
    report = tmp_path / "report.json"
    roles = [
        {"role": "ironbinder.platform.fence_check"},
        {
            "role": "ironbinder.platform.trust_check",
            "vars": {"trust_check_verdict": "{{ fence_check_trust_verdict | default({}) }}"},
        },
    ]
    with serve(answering(api)) as url:
        variables = {
            "fence_check_enabled": False,
            "fence_check_hubs": HUBS,
            "fence_check_image": "python",
            "fence_check_public_url": "https://192.0.2.31",
            "fence_check_trust": TRUST,
            "fence_check_kubeconfig_file": kubeconfig_for(url, tmp_path),
            "fence_check_report_file": str(report),
            "ansible_python_interpreter": sys.executable,
        }
        (tmp_path / "hosts").write_text("localhost ansible_connection=local\n")
        plays = [{"hosts": "localhost", "gather_facts": False, "roles": roles}]
        options = ["-i", "hosts", "-e", json.dumps(variables), *(["--check"] if check else [])]
        done = ansible(tmp_path, plays, *options)
    text = done.stdout + done.stderr
    assert api.pods() == {}
    if check:
        assert done.returncode == 0, text
        assert api.asked == []
        return
    assert done.returncode == 2, text
    assert "nobody asked from node, dockerd, containerd, BinderHub, RUN step, hub" in text
    assert "fences verified" not in text, "nothing was tried of them"
    told = json.loads(report.read_text())
    assert list(told) == ["trust_check"]
    assert len(told["trust_check"]["problems"]) == 1
    found = {(cell["origin"], cell["target"]): cell["verdict"] for cell in told["trust_check"]["cells"]}
    assert found["build binder", "Git host"] == "verified"
    assert found["session binder", "public URL"] == "verified"
