# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""playbooks/artifacts.yml as a person runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from controller_runs import ROOT, SECRET, new_site, play

PLAYBOOK = ROOT / "playbooks/artifacts.yml"


def artifacts(site: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """Run it, and give what it wrote and what it said."""
    file = site / "artifacts.json"
    python = f"ansible_python_interpreter={sys.executable}"
    done = play("-i", str(site), str(PLAYBOOK), "-e", f"artifacts_file={file}", "-e", python, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text()) if file.is_file() else {}, done.stdout + done.stderr


def test_of_a_site_that_mirrors(tmp_path: Path) -> None:
    """Packages by what this machine runs, images by the chart, and no secret of the hub's."""
    site = tmp_path / "site"
    (site / "group_vars/all").mkdir(parents=True)
    (site / "hosts.yml").write_text("all: {children: {head: {hosts: {head1: {ansible_connection: local}}}}}")
    values = {
        "artifact_source": "mirror",
        "artifact_mirror_url": "http://127.0.0.1:1",
        "site_binderhub_chart_repository": str(ROOT / "lab/chart"),
        "site_user_scheduler_replicas": 2,
        "site_hubs": {"binder": {"secret_values": {"config": {"BinderHub": {"x": SECRET}}}}},
    }
    (site / "group_vars/all/site.yml").write_text(yaml.safe_dump(values))
    told, output = artifacts(site)
    by_name = {entry["name"]: entry for entry in told["artifacts"]}
    versions = yaml.safe_load((ROOT / "roles/site/defaults/main/versions.yml").read_text())
    kubernetes = versions["site_kubernetes_version"]
    assert by_name[f"kubelet={kubernetes}"]["mirrored"].startswith("http://127.0.0.1:1/pkgs.k8s.io/")
    assert by_name[f"registry.k8s.io/kube-scheduler:v{kubernetes}"]["used_for"] in (
        "Kubernetes",
        "user-schedulers",
    )
    assert any(name.startswith("quay.io/jupyterhub/k8s-hub:") for name in by_name)
    assert SECRET not in output + json.dumps(told)
    assert "Not in this list" in output


def test_of_a_site_that_is_not_filled_in(tmp_path: Path) -> None:
    """What the pins alone say is listed, and the rest is named."""
    assert new_site(tmp_path, "-e", "site_name=demo").returncode == 0
    told, output = artifacts(tmp_path / "demo", "-e", "site_binderhub_chart_repository=/no/such/chart")
    assert "registry.k8s.io/kube-apiserver" in output
    assert any("whose system is not known" in note for note in told["notes"])
    assert any("the chart was not read, as there is none at /no/such/chart" in note for note in told["notes"])


def test_a_check_writes_no_file(tmp_path: Path) -> None:
    assert new_site(tmp_path, "-e", "site_name=demo").returncode == 0
    told, _ = artifacts(tmp_path / "demo", "-e", "site_binderhub_chart_repository=/no/such/chart", "--check")
    assert told == {}
