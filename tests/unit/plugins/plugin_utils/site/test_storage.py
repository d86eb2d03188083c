# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What hubs keep, as values of the chart and as objects beside it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import read_storage
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage_objects import claim_objects
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage_values import (
    StorageSettings,
    storage_values,
)

LOCAL = {"kind": "local"}
MOUNTED = {"kind": "local", "shared_path": "/mnt/site"}
CLASS = {"kind": "existing", "class": "ceph-rbd"}
NFS = {"kind": "nfs", "server": "files.example.org", "path": "/export/binder/"}
SHARED = {"claim": "datasets", "size": "10Gi"}
USERS = {"size": "1Gi"}
PLAIN: dict[str, Any] = {"registry_host": "registry.example.org:5000", "registry_prefix": "binder/stfc-"}


def hubs(**hub: Any) -> dict[str, dict[str, Any]]:
    return resolve_hubs({"binder": hub}, "https://hub.example.org", "192.0.2.10")


def values(storage: dict[str, Any], **hub: Any) -> dict[str, Any]:
    settings = StorageSettings(storage=storage, hub_database=read_storage(storage).database_type)
    told: dict[str, Any] = storage_values(hubs(**hub)["binder"], settings).get("jupyterhub", {})
    return told


def test_a_site_without_storage_says_nothing() -> None:
    """Its values stay as they are."""
    assert storage_values(hubs()["binder"], StorageSettings()) == {}
    # Nor where the database is in the cluster's default class, as it could be before.
    assert storage_values(hubs()["binder"], StorageSettings(hub_database="sqlite-pvc")) == {}
    config = hub_values(hubs()["binder"], Settings(**PLAIN), "a" * 64, "b" * 64)["config"]
    assert "storage" not in config["jupyterhub"]["singleuser"]
    assert config["jupyterhub"]["hub"]["db"] == {"type": "sqlite-memory"}
    assert config["jupyterhub"]["cull"]["users"] is True


@pytest.mark.parametrize(
    ("storage", "database", "database_class", "people_class"),
    [
        ({}, "sqlite-memory", "", ""),
        (None, "sqlite-memory", "", ""),
        ("local", "sqlite-memory", "", ""),
        (LOCAL, "sqlite-pvc", "ironbinder-local", "ironbinder-local"),
        ({**LOCAL, "class": "fast"}, "sqlite-pvc", "fast", "fast"),
        (MOUNTED, "sqlite-pvc", "ironbinder-local", "ironbinder-shared"),
        (CLASS, "sqlite-pvc", "ceph-rbd", "ceph-rbd"),
        ({**CLASS, "hub_database": False}, "sqlite-memory", "ceph-rbd", "ceph-rbd"),
        ({**CLASS, "hub_database": None}, "sqlite-pvc", "ceph-rbd", "ceph-rbd"),
        (NFS, "sqlite-memory", "", ""),
    ],
)
def test_classes(storage: Any, database: str, database_class: str, people_class: str) -> None:
    told = read_storage(storage)
    assert (told.database_type, told.database_class, told.people_class) == (
        database,
        database_class,
        people_class,
    )


def test_the_database_has_its_class_and_is_kept() -> None:
    assert values({**LOCAL, "hub_database_size": "2Gi"})["hub"]["db"]["pvc"] == {
        "storageClassName": "ironbinder-local",
        "storage": "2Gi",
        "annotations": {"helm.sh/resource-policy": "keep"},
    }


def test_a_shared_volume_is_in_every_session() -> None:
    storage = values({}, shared_volume={"claim": "datasets"})["singleuser"]["storage"]
    assert storage["extraVolumes"] == [
        {"name": "ironbinder-shared", "persistentVolumeClaim": {"claimName": "datasets"}}
    ]
    assert storage["extraVolumeMounts"] == [
        {"name": "ironbinder-shared", "mountPath": "/home/jovyan/shared", "readOnly": True}
    ]
    assert "type" not in storage, "what the chart says of users stays"
    written = values({}, shared_volume={"claim": "x", "read_only": False, "mount_path": "/srv/x"})
    assert written["singleuser"]["storage"]["extraVolumeMounts"][0] == {
        "name": "ironbinder-shared",
        "mountPath": "/srv/x",
        "readOnly": False,
    }


def test_people_have_volumes_that_nobody_deletes() -> None:
    """Of their own name, so that all sessions of one have the same."""
    settings = Settings(**PLAIN, storage=LOCAL)
    hub = hub_values(hubs(user_volumes=USERS)["binder"], settings, "a" * 64, "b" * 64)["config"]["jupyterhub"]
    assert hub["cull"]["users"] is False
    assert hub["hub"]["config"]["BinderSpawner"] == {"auth_enabled": False, "delete_pvc": False}
    assert hub["hub"]["config"]["KubeSpawner"]["delete_pvc"] is False
    assert hub["singleuser"]["storage"] == {
        "type": "dynamic",
        "capacity": "1Gi",
        "homeMountPath": "/home/jovyan/work",
        "dynamic": {
            "storageClass": "ironbinder-local",
            "pvcNameTemplate": "claim-{username}",
            "volumeNameTemplate": "volume-{username}",
            "storageAccessModes": ["ReadWriteOnce"],
        },
    }
    assert values(LOCAL, user_volumes={**USERS, "enabled": False}).get("singleuser") is None


def test_people_of_a_file_server_have_folders() -> None:
    """As nobody makes volumes there."""
    assert values(NFS, user_volumes=USERS)["singleuser"]["storage"] == {
        "type": "static",
        "static": {"pvcName": "users", "subPath": "{username}"},
        "homeMountPath": "/home/jovyan/work",
    }


@pytest.mark.parametrize(
    ("storage", "hub", "modes", "storage_class"),
    [
        (LOCAL, {"shared_volume": SHARED}, ["ReadWriteOnce"], "ironbinder-local"),
        (MOUNTED, {"shared_volume": SHARED}, ["ReadWriteMany"], "ironbinder-shared"),
        (CLASS, {"shared_volume": SHARED}, ["ReadWriteOnce"], "ceph-rbd"),
        (
            CLASS,
            {"shared_volume": {**SHARED, "access_mode": "ReadOnlyMany"}},
            ["ReadOnlyMany"],
            "ceph-rbd",
        ),
    ],
)
def test_a_claim_beside_the_release(
    storage: dict[str, Any], hub: dict[str, Any], modes: list[str], storage_class: str
) -> None:
    (claim,) = claim_objects(hubs(**hub, user_volumes=USERS), storage)
    assert claim["kind"] == "PersistentVolumeClaim"
    assert (claim["metadata"]["namespace"], claim["metadata"]["name"]) == ("binder", "datasets")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {
        "accessModes": modes,
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "10Gi"}},
    }


def test_claims_of_others_are_left_alone() -> None:
    assert claim_objects(hubs(shared_volume={"claim": "datasets"}), CLASS) == []
    assert claim_objects(hubs(), {}) == []


def test_a_file_server_has_static_volumes() -> None:
    """Each for one claim alone, that stay when it goes, and of no class."""
    objects = claim_objects(hubs(shared_volume=SHARED, user_volumes=USERS, namespace="people"), NFS)
    volumes, claims = objects[:2], objects[2:]
    assert [entry["kind"] for entry in volumes] == ["PersistentVolume"] * 2
    assert [entry["spec"]["nfs"] for entry in volumes] == [
        {"server": "files.example.org", "path": "/export/binder/datasets"},
        {"server": "files.example.org", "path": "/export/binder/people/users"},
    ]
    for volume, claim in zip(volumes, claims, strict=True):
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert volume["spec"]["claimRef"]["name"] == claim["metadata"]["name"]
        assert volume["spec"]["claimRef"]["namespace"] == claim["metadata"]["namespace"] == "people"
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
        assert claim["spec"]["storageClassName"] == "", "a default class would make another"
        assert claim["spec"]["accessModes"] == volume["spec"]["accessModes"] == ["ReadWriteMany"]
