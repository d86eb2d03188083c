# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What becomes of data when a claim goes, and what a cluster has of classes; by the functions and by the module."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from ansible_collections.ironbinder.platform.plugins.modules import storage_info
from kube_memory import MemoryApi

ON_WORKER = {
    "required": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker1"]}]}
        ]
    }
}


def stored(api: MemoryApi, name: str, size: str, policy: str, **spec: Any) -> None:
    """A claim with its volume; without a specification of that, the claim alone."""
    api.objects[f"/api/v1/namespaces/binder/persistentvolumeclaims/{name}"] = {
        "metadata": {"name": name, "namespace": "binder"},
        "spec": {
            "resources": {"requests": {"storage": size}},
            **({"volumeName": f"pv-{name}"} if spec else {}),
        },
    }
    if spec:
        api.objects[f"/api/v1/persistentvolumes/pv-{name}"] = {
            "metadata": {"name": f"pv-{name}"},
            "spec": {"persistentVolumeReclaimPolicy": policy, **spec},
            "status": {"phase": "Released" if name == "gone" else "Bound"},
        }


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> MemoryApi:
    api = MemoryApi()
    monkeypatch.setattr(storage_info, "connect", lambda _kubeconfig: api)
    return api


def run(capsys: pytest.CaptureFixture[str], **more: object) -> dict[str, Any]:
    with patch_module_args({"kubeconfig": "/k", **more}), pytest.raises(SystemExit):
        storage_info.main()
    return dict(json.loads(capsys.readouterr().out))


def test_what_becomes_of_data(cluster: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    folder = {"hostPath": {"path": "/srv/pvc-1"}}
    stored(cluster, "a-folder", "1Gi", "Retain", **folder, nodeAffinity=ON_WORKER)
    stored(cluster, "b-everywhere", "2Gi", "Retain", **folder)
    stored(cluster, "c-server", "3Gi", "Retain", nfs={"server": "files", "path": "/export/x"})
    stored(cluster, "d-driver", "4Gi", "Delete", csi={"driver": "rbd.csi.ceph.com"})
    stored(cluster, "e-else", "5Gi", "Delete", storageClassName="odd", fc={})
    stored(cluster, "f-nothing", "6Gi", "")
    told = run(capsys, namespaces=["binder", "binder"])
    assert told["changed"] is False
    assert told["claims"] == [
        "claim binder/a-folder (1Gi): its volume pv-a-folder stays, Released, with its data in /srv/pvc-1 on worker1",
        "claim binder/b-everywhere (2Gi): its volume pv-b-everywhere stays, Released, with its data in /srv/pvc-1 on every node",
        "claim binder/c-server (3Gi): its volume pv-c-server stays, Released, with its data in files:/export/x",
        "claim binder/d-driver (4Gi): its volume pv-d-driver and its data with rbd.csi.ceph.com go with it (Delete)",
        "claim binder/e-else (5Gi): its volume pv-e-else and its data with the class odd go with it (Delete)",
        "claim binder/f-nothing (6Gi): it has no volume, and no data",
    ]
    assert cluster.changes() == []


def test_classes_and_released_volumes(cluster: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    for name, marks in (("fast", default), ("slow", {})):
        cluster.objects[f"/apis/storage.k8s.io/v1/storageclasses/{name}"] = {
            "metadata": {"name": name, "annotations": marks},
            "provisioner": "p",
        }
    stored(cluster, "gone", "1Gi", "Retain", nfs={})
    stored(cluster, "here", "1Gi", "Retain", nfs={})
    told = run(capsys, volumes=["pv-gone", "pv-here", "pv-never"])
    assert told["classes"] == [
        {"name": "fast", "default": True, "provisioner": "p"},
        {"name": "slow", "default": False, "provisioner": "p"},
    ]
    assert (told["released"], told["claims"]) == (["pv-gone"], [])


def test_namespaces_that_stay(cluster: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    for name, marks in (
        ("binder", {"ironbinder.platform/hub": "binder"}),
        ("old", {}),
        ("other", {"ironbinder.platform/hub": "x"}),
    ):
        cluster.objects[f"/api/v1/namespaces/{name}"] = {"metadata": {"name": name, "labels": marks}}
    told = run(capsys, hubs={"binder": "binder", "old": "old", "teaching": "other", "gone": "gone"})
    assert list(told["kept"]) == ["old", "other"]
    assert "it has no label ironbinder.platform/hub" in told["kept"]["old"]
    assert "it is the hub x's" in told["kept"]["other"]


def test_an_api_that_is_away(cluster: MemoryApi, capsys: pytest.CaptureFixture[str]) -> None:
    def away(*_request: object) -> None:
        raise KubeError("GET /apis: connection refused", 0)

    cluster.before = away
    told = run(capsys, namespaces=["binder"])
    assert told["failed"]
    assert "connection refused" in told["msg"]
