# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A hub's database and people's volumes, as values of the BinderHub chart.

https://z2jh.jupyter.org/en/stable/jupyterhub/customizing/user-storage.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import (
    NFS,
    USER_CLAIM,
    USERS_CLAIM,
    Storage,
    UserVolumes,
    read_shared_volume,
    read_storage,
    read_user_volumes,
)

__all__ = ["KEEP", "StorageSettings", "storage_values"]

# Helm leaves what has this annotation, also when a hub goes back to another database.
KEEP = {"helm.sh/resource-policy": "keep"}
_SHARED = "ironbinder-shared"


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """`storage` is the contract's `site_storage`; `hub_database` is sqlite-memory or sqlite-pvc."""

    storage: Mapping[str, Any] = field(default_factory=dict)
    hub_database: str = "sqlite-memory"


def storage_values(hub: Mapping[str, Any], settings: StorageSettings) -> dict[str, Any]:
    """Compute what a hub keeps beyond a pod's life; nothing where the site has no storage and the hub no volumes.

    Args:
        hub: the fields of `hubs.Hub`, of which `shared_volume` and `user_volumes` are read.
        settings: what all hubs share.
    """
    storage = read_storage(settings.storage)
    shared, users = read_shared_volume(hub, storage), read_user_volumes(hub, storage)
    parts: list[dict[str, Any]] = []
    if settings.hub_database == "sqlite-pvc" and storage.database_class:
        claim = {
            "storageClassName": storage.database_class,
            "storage": storage.hub_database_size,
            "annotations": KEEP,
        }
        parts.append({"hub": {"db": {"pvc": claim}}})
    if shared.claim:
        volume = {"name": _SHARED, "persistentVolumeClaim": {"claimName": shared.claim}}
        mount = {"name": _SHARED, "mountPath": shared.mount_path, "readOnly": shared.read_only}
        parts.append({"singleuser": {"storage": {"extraVolumes": [volume], "extraVolumeMounts": [mount]}}})
    if users.enabled:
        parts.append(_users(users, storage))
    return {"jupyterhub": merge(*parts)} if parts else {}


def _users(users: UserVolumes, storage: Storage) -> dict[str, Any]:
    """Give each user a volume, and have nothing but a person delete one.

    The names are those of the user alone: the chart's own differ for each of a user's servers, and BinderHub gives every
    launch one.
    """
    kept = {"delete_pvc": False}
    static = {"type": "static", "static": {"pvcName": USERS_CLAIM, "subPath": "{username}"}}
    dynamic = {
        "type": "dynamic",
        "capacity": users.size,
        "dynamic": {
            "storageClass": storage.people_class,
            "pvcNameTemplate": f"{USER_CLAIM}{{username}}",
            "volumeNameTemplate": "volume-{username}",
            "storageAccessModes": [users.access_mode],
        },
    }
    return {
        # KubeSpawner deletes a user's claim with the user, and the culler deletes whoever has not been seen for an hour.
        "cull": {"users": False},
        "hub": {"config": {"KubeSpawner": kept, "BinderSpawner": kept}},
        "singleuser": {
            "storage": {**(static if storage.kind == NFS else dynamic), "homeMountPath": users.mount_path}
        },
    }
