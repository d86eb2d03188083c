# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The claims that hubs name, and the static volumes behind those of a file server, as objects of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import (
    NFS,
    USERS_CLAIM,
    Storage,
    read_shared_volume,
    read_storage,
    read_user_volumes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage_values import KEEP

__all__ = ["claim_objects"]


@dataclass(frozen=True)
class _Wanted:
    """A claim that is to be there; `folder` is below the exported path of a file server."""

    namespace: str
    claim: str
    size: str
    access_mode: str
    folder: str

    @property
    def volume(self) -> str:
        return f"ironbinder-{self.namespace}-{self.claim}"


_LABELS = {"app.kubernetes.io/managed-by": "ironbinder"}


def claim_objects(hubs: Mapping[str, Mapping[str, Any]], storage: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write what the hubs' pods mount and no chart makes, volumes first.

    Args:
        hubs: {name: fields of `hubs.Hub`}.
        storage: the contract's `site_storage`.

    Returns:
        PersistentVolumes, with `nfs` only, and PersistentVolumeClaims; nothing where no hub asks for any.
    """
    site = read_storage(storage)
    wanted = [entry for hub in hubs.values() for entry in _wanted(hub, site)]
    volumes = [_volume(entry, site) for entry in wanted] if site.kind == NFS else []
    return volumes + [_claim(entry, site) for entry in wanted]


def _wanted(hub: Mapping[str, Any], site: Storage) -> Iterator[_Wanted]:
    shared, users = read_shared_volume(hub, site), read_user_volumes(hub, site)
    # A claim without a size is somebody else's.
    if shared.claim and shared.size:
        yield _Wanted(hub["namespace"], shared.claim, shared.size, shared.access_mode, shared.claim)
    # Users' folders are a hub's own; what is shared has one folder, whichever hubs name it.
    if users.enabled and site.kind == NFS:
        folder = f"{hub['namespace']}/{USERS_CLAIM}"
        yield _Wanted(hub["namespace"], USERS_CLAIM, users.size, users.access_mode, folder)


def _volume(wanted: _Wanted, storage: Storage) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": wanted.volume, "labels": dict(_LABELS)},
        "spec": {
            "capacity": {"storage": wanted.size},
            "accessModes": [wanted.access_mode],
            "persistentVolumeReclaimPolicy": "Retain",
            # No other claim may take it.
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": wanted.namespace,
                "name": wanted.claim,
            },
            "nfs": {"server": storage.server, "path": f"{storage.path.rstrip('/')}/{wanted.folder}"},
        },
    }


def _claim(wanted: _Wanted, storage: Storage) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": wanted.claim,
            "namespace": wanted.namespace,
            "labels": dict(_LABELS),
            "annotations": dict(KEEP),
        },
        "spec": {
            "accessModes": [wanted.access_mode],
            # Empty, and not left out, for a volume of ours: a default class would make another.
            "storageClassName": storage.people_class,
            "resources": {"requests": {"storage": wanted.size}},
            **({"volumeName": wanted.volume} if storage.kind == NFS else {}),
        },
    }
