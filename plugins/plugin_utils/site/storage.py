# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where a site keeps what outlives a pod, and which volumes a hub has: every default filled in, in this one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, as_text

__all__ = [
    "ACCESS_MODES",
    "DATABASE_CLAIM",
    "DELETION_WAYS",
    "EXISTING",
    "LOCAL",
    "LOCAL_CLASS",
    "MANY",
    "NFS",
    "PROVISIONER",
    "QUANTITY",
    "READ_ONLY",
    "SHARED_CLASS",
    "USERS_CLAIM",
    "USER_CLAIM",
    "SharedVolume",
    "Storage",
    "UserVolumes",
    "read_shared_volume",
    "read_storage",
    "read_user_volumes",
]

LOCAL, EXISTING, NFS = "local", "existing", "nfs"
# Classes that role storage makes for `local`: folders of each node, and of a file system that all nodes mount.
LOCAL_CLASS, SHARED_CLASS = "ironbinder-local", "ironbinder-shared"
# What makes volumes of these, and of no class of somebody else.
PROVISIONER = "rancher.io/local-path"
ONCE, MANY, READ_ONLY = "ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"
ACCESS_MODES = (ONCE, MANY, READ_ONLY)
# The official chart's own claim, and that of a folder in which each user has one.
DATABASE_CLAIM, USERS_CLAIM = "hub-db-dir", "users"
# Ways in a hub's values that say whether people's claims go with them.
DELETION_WAYS = tuple(
    f"jupyterhub.hub.config.{spawner}.delete_pvc" for spawner in ("KubeSpawner", "BinderSpawner")
)
# How the claim of one user begins, where each has one.
USER_CLAIM = "claim-"
# An amount of disk as Kubernetes writes it, and more than none.
QUANTITY = re.compile(r"(?=.*[1-9])[0-9]{1,12}(\.[0-9]{1,3})?([KMGTP]i|[kMGTP])?")


@dataclass(frozen=True)
class Storage:
    """`site_storage`. `kind` is empty where the site has none.

    `database_class` and `people_class` are the classes of the hubs' databases and of people's volumes; empty where volumes are
    static. `follows` says whether a volume can be used on more than one node.
    """

    kind: str = ""
    class_name: str = ""
    path: str = ""
    shared_path: str = ""
    server: str = ""
    hub_database: bool = False
    hub_database_size: str = "1Gi"

    @property
    def database_class(self) -> str:
        """The class of databases."""
        return self.class_name if self.kind in (LOCAL, EXISTING) else ""

    @property
    def people_class(self) -> str:
        """The class of shared and users' volumes."""
        return SHARED_CLASS if self.kind == LOCAL and self.shared_path else self.database_class

    @property
    def database_type(self) -> str:
        """The chart's word for where databases are."""
        return "sqlite-pvc" if self.hub_database else "sqlite-memory"

    @property
    def follows(self) -> bool:
        """Whether people's volumes are there on every node; of a class that exists already nobody but the site knows."""
        return self.kind == NFS or (self.kind == LOCAL and bool(self.shared_path))


@dataclass(frozen=True)
class SharedVolume:
    """A volume in every session of a hub; none where `claim` is empty. Without a `size` the claim is somebody else's."""

    claim: str = ""
    size: str = ""
    mount_path: str = "/home/jovyan/shared"
    read_only: bool = True
    access_mode: str = ONCE


@dataclass(frozen=True)
class UserVolumes:
    """A volume for each user of a hub, the same in all of this user's sessions."""

    enabled: bool = False
    size: str = "5Gi"
    mount_path: str = "/home/jovyan/work"
    access_mode: str = ONCE


def _given(data: Any) -> dict[str, Any]:
    """A key without a value counts as not given."""
    return {key: value for key, value in as_mapping(data).items() if value is not None}


def _flag(value: Any) -> bool:
    return value is True or as_text(value).lower() in ("yes", "on", "true", "1")


def read_storage(data: Any) -> Storage:
    """Read `site_storage`. Nothing has to be right: what is no text counts as not given."""
    given = _given(data)
    kind = as_text(given.get("kind"))
    local = kind == LOCAL
    return Storage(
        kind=kind,
        class_name=as_text(given.get("class")) or (LOCAL_CLASS if local else ""),
        path=as_text(given.get("path")) or ("/var/lib/ironbinder/volumes" if local else ""),
        shared_path=as_text(given.get("shared_path")),
        server=as_text(given.get("server")),
        # SQLite needs locks that hold, which those of NFS are not known to.
        hub_database=_flag(given.get("hub_database", kind in (LOCAL, EXISTING))),
        hub_database_size=as_text(given.get("hub_database_size")) or Storage.hub_database_size,
    )


def _access(given: Mapping[str, Any], storage: Storage) -> str:
    return as_text(given.get("access_mode")) or (MANY if storage.follows else ONCE)


def read_shared_volume(hub: Mapping[str, Any], storage: Storage) -> SharedVolume:
    """Read `shared_volume` of a hub, which may be wrong in any way."""
    given = _given(hub.get("shared_volume"))
    return SharedVolume(
        claim=as_text(given.get("claim")),
        size=as_text(given.get("size")),
        mount_path=as_text(given.get("mount_path")) or SharedVolume.mount_path,
        read_only=_flag(given.get("read_only", True)),
        access_mode=_access(given, storage),
    )


def read_user_volumes(hub: Mapping[str, Any], storage: Storage) -> UserVolumes:
    """Read `user_volumes` of a hub, which may be wrong in any way. Whoever writes one of its keys wants them."""
    given = _given(hub.get("user_volumes"))
    return UserVolumes(
        enabled=_flag(given.get("enabled", bool(given))),
        size=as_text(given.get("size")) or UserVolumes.size,
        mount_path=as_text(given.get("mount_path")) or UserVolumes.mount_path,
        access_mode=_access(given, storage),
    )
