# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What role storage makes of a cluster, refuses, and leaves: by real Ansible, against an API in memory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_memory import MemoryApi
from kube_server import kubeconfig_for, serve
from role_runs import ansible, answering

NAMESPACE = "/api/v1/namespaces/ironbinder-storage"
CLASSES, VOLUMES = "/apis/storage.k8s.io/v1/storageclasses", "/api/v1/persistentvolumes"
NFS = {"kind": "nfs", "server": "files.example.org", "path": "/export"}
HUBS = {"binder": {"namespace": "binder", "shared_volume": {"claim": "datasets", "size": "1Gi"}}}


class Cluster:
    """An API that runs what it is given at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.api, self.kubeconfig = folder, MemoryApi(), ""
        self.api.serve(
            "v1",
            ("Namespace", "namespaces", False),
            ("ServiceAccount", "serviceaccounts", True),
            ("ConfigMap", "configmaps", True),
            ("PersistentVolume", "persistentvolumes", False),
            ("PersistentVolumeClaim", "persistentvolumeclaims", True),
        )
        self.api.serve("apps/v1", ("Deployment", "deployments", True))
        self.api.serve("storage.k8s.io/v1", ("StorageClass", "storageclasses", False))
        self.api.serve(
            "rbac.authorization.k8s.io/v1",
            ("Role", "roles", True),
            ("RoleBinding", "rolebindings", True),
            ("ClusterRole", "clusterroles", False),
            ("ClusterRoleBinding", "clusterrolebindings", False),
        )
        self.api.defaults = self.run_at_once

    @staticmethod
    def run_at_once(item: dict[str, Any]) -> None:
        if item.get("kind") == "Deployment":
            item["metadata"]["generation"] = 1
            item["status"] = dict.fromkeys(
                ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1
            )

    def play(self, *options: str, tasks_from: str = "main", **told: Any) -> subprocess.CompletedProcess[str]:
        """Play the role once."""
        role = {"name": "ironbinder.platform.storage", "tasks_from": tasks_from}
        task = {
            "ansible.builtin.include_role": role,
            "vars": {"storage_kubeconfig_file": self.kubeconfig, **told},
        }
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
        return ansible(self.folder, [play], *options)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    with serve(answering(made.api)) as url:
        made.kubeconfig = kubeconfig_for(url, tmp_path)
        yield made


def test_folders_of_nodes(cluster: Cluster) -> None:
    """Two classes that keep their data; and a second run changes nothing."""
    settings = {"kind": "local", "path": "/srv/volumes", "shared_path": "/mnt/site"}
    done = cluster.play(storage_settings=settings)
    assert done.returncode == 0, done.stdout
    for name in ("ironbinder-local", "ironbinder-shared"):
        made = cluster.api.objects[f"{CLASSES}/{name}"]
        assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Retain", "WaitForFirstConsumer")
        assert "annotations" not in made["metadata"] or not any(
            "default" in key for key in made["metadata"]["annotations"]
        )
    told = cluster.api.objects[f"{NAMESPACE}/configmaps/local-path-config"]["data"]
    assert json.loads(told["config.json"])["storageClassConfigs"] == {
        "ironbinder-local": {
            "nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/srv/volumes"]}]
        },
        "ironbinder-shared": {"sharedFileSystemPath": "/mnt/site"},
    }
    again = cluster.play(storage_settings=settings)
    assert "changed=0" in again.stdout


def test_the_provisioner_has_little_right(cluster: Cluster) -> None:
    """What runs for ever has none but the API's; what makes folders has two capabilities, and no token."""
    assert cluster.play(storage_settings={"kind": "local"}).returncode == 0
    pod = cluster.api.objects[
        f"/apis/apps/v1{NAMESPACE.removeprefix('/api/v1')}/deployments/local-path-provisioner"
    ]
    spec = pod["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "docker.io/rancher/local-path-provisioner:v0.0.30"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    told = cluster.api.objects[f"{NAMESPACE}/configmaps/local-path-config"]["data"]
    helper = yaml.safe_load(told["helperPod.yaml"])["spec"]
    assert helper["automountServiceAccountToken"] is False
    assert helper["containers"][0]["securityContext"]["capabilities"] == {
        "drop": ["ALL"],
        "add": ["DAC_OVERRIDE", "FOWNER"],
    }
    rights = cluster.api.objects[
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/ironbinder-local-path-provisioner"
    ]
    assert "secrets" not in str(rights)
    assert "pods" not in str(rights)


@pytest.mark.parametrize("others", [["data"], ["lost+found"], []])
def test_the_folder_above_is_closed_where_it_is_for_volumes_alone(
    cluster: Cluster, tmp_path: Path, others: list[str]
) -> None:
    """And never a folder in which somebody else has something."""
    above = tmp_path / "volumes"
    for other in others:
        (above / other).mkdir(parents=True)
    assert cluster.play(storage_settings={"kind": "local", "path": f"{above}/"}).returncode == 0
    told = cluster.api.objects[f"{NAMESPACE}/configmaps/local-path-config"]["data"]
    (tmp_path / "setup").write_text(told["setup"])
    folder = above / "pvc-1_binder_hub-db-dir"
    above.mkdir(exist_ok=True)
    above.chmod(0o755)
    subprocess.run(
        ["/bin/sh", str(tmp_path / "setup")],
        env={"VOL_DIR": str(folder), "PATH": "/bin:/usr/bin"},
        check=True,
    )
    assert folder.stat().st_mode & 0o777 == 0o777
    assert above.stat().st_mode & 0o777 == (0o755 if others == ["data"] else 0o700)


def test_a_check_of_a_cluster_that_is_not_there(cluster: Cluster, tmp_path: Path) -> None:
    Path(cluster.kubeconfig).unlink()
    for settings in ({"kind": "local"}, {"kind": "existing", "class": "fast"}):
        done = cluster.play("--check", storage_settings=settings)
        assert done.returncode == 0, done.stdout
    done = cluster.play("--check", tasks_from="claims", storage_settings=NFS, storage_hubs=HUBS)
    assert done.returncode == 0, done.stdout


def test_a_class_that_is_there(cluster: Cluster) -> None:
    cluster.api.objects[f"{CLASSES}/fast"] = {"metadata": {"name": "fast"}, "provisioner": "p"}
    assert cluster.play(storage_settings={"kind": "existing", "class": "fast"}).returncode == 0
    refused = cluster.play(storage_settings={"kind": "existing", "class": "slow"})
    assert refused.returncode != 0
    assert "no StorageClass slow: name one of fast" in " ".join(refused.stdout.split())
    assert cluster.api.changes() == []


def test_nothing_is_made_of_nothing(cluster: Cluster) -> None:
    for part in ("main", "claims"):
        assert cluster.play(tasks_from=part).returncode == 0
    assert cluster.api.asked == []


def test_claims_of_a_file_server_come_back(cluster: Cluster) -> None:
    """A volume whose claim was deleted is an object of no use: it is made anew, for the same folder."""
    told: dict[str, Any] = {"tasks_from": "claims", "storage_settings": NFS, "storage_hubs": HUBS}
    assert "changed=1" in cluster.play(**told).stdout
    volume = f"{VOLUMES}/ironbinder-binder-datasets"
    claim = "/api/v1/namespaces/binder/persistentvolumeclaims/datasets"
    cluster.api.objects[volume]["status"] = {"phase": "Bound"}
    assert "changed=0" in cluster.play(**told).stdout
    del cluster.api.objects[claim]
    cluster.api.objects[volume]["status"] = {"phase": "Released"}
    cluster.api.objects[volume]["spec"]["claimRef"]["uid"] = "of-the-old-one"
    done = cluster.play(**told)
    assert done.returncode == 0, done.stdout
    assert "uid" not in cluster.api.objects[volume]["spec"]["claimRef"]
    assert claim in cluster.api.objects
