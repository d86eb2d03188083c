# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""kubeadm init killed in each of its phases, on a fresh machine each: the next run makes a control plane, the one after nothing.

Two minutes a phase. The table for docs/reliability.md is written to inventories/lab/.lab/reliability/phases.md.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from random import Random

import pytest
from killing import Moment, Recovery, Row, begin, strike, write_table
from live_site import Site
from machines import container

from playbooks import ROOT, play

HEAD = "head1"
ONLY = ("--limit", HEAD)
MACHINES = ("-e", json.dumps({"lab_hosts": ["mirror1", HEAD]}))
ADMIN = "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=2s"
# By phase, what is there first when it has begun, https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-init/
PHASES = {
    "certs": "test -e /etc/kubernetes/pki/ca.crt",
    "kubeconfig": "test -e /etc/kubernetes/admin.conf",
    "control-plane": "test -e /etc/kubernetes/manifests/kube-apiserver.yaml",
    "wait-control-plane": "test -e /var/lib/etcd/member/snap/db",
    "upload-config": f"{ADMIN} get --raw /readyz >/dev/null 2>&1",
    "addon": f"{ADMIN} get --namespace kube-system configmap kubeadm-config >/dev/null 2>&1",
}
ROWS: list[Row] = []


@pytest.fixture
def fresh_head(site: Site, tmp_path: Path) -> None:
    """Make the head anew, and bring it to where kubeadm begins."""
    subprocess.run(["docker", "rm", "--force", container(HEAD)], check=True, capture_output=True, timeout=60)
    for name, playbook, arguments in (
        ("up", "lab/up.yml", MACHINES),
        ("nodes", "playbooks/nodes.yml", ONLY),
    ):
        log = tmp_path / f"{name}.log"
        assert play(site.inventory, ROOT / playbook, *arguments, log=log) == 0, log.read_text()[-4000:]


@pytest.mark.parametrize("phase", PHASES)
def test_killed_in(phase: str, site: Site, fresh_head: None, tmp_path: Path) -> None:
    moment = Moment(f"phase {phase}", "Run kubeadm", 0, HEAD, "kubeadm", PHASES[phase])
    run = begin(site, "playbooks/cluster.yml", *ONLY, log=tmp_path / "killed.log")
    # As soon as the phase has begun: nothing is drawn.
    struck = strike(run, moment, Random(0))
    assert struck, run.said()[-4000:]
    assert run.process.returncode != 0
    recovery = Recovery(site, tmp_path, ("head",))
    again = ("playbooks/cluster.yml", *ONLY)
    ROWS.append(recovery.after(struck, moment, again))
    recovery.prove_rest(*again)
    write_table(site, "phases", ROWS, phases=len(ROWS))
