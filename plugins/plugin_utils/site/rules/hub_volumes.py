# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the volumes of a hub: one that its sessions share, and those of people."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_mapping,
    as_text,
    look_up,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.mounts import HOME, hidden_by, is_below
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import purpose_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import (
    ACCESS_MODES,
    DATABASE_CLAIM,
    DELETION_WAYS,
    LOCAL,
    MANY,
    QUANTITY,
    READ_ONLY,
    USER_CLAIM,
    USERS_CLAIM,
    SharedVolume,
    Storage,
    UserVolumes,
    read_shared_volume,
    read_storage,
    read_user_volumes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage_objects import claim_objects

SHARED, USERS = "shared_volume", "user_volumes"
KEYS: dict[str, tuple[str, ...]] = {
    SHARED: ("claim", "size", "mount_path", "read_only", "access_mode"),
    USERS: ("enabled", "size", "mount_path", "access_mode"),
}
FLAGS = ("enabled", "read_only")
# A name that Kubernetes takes for a claim, and the chart for its volume.
CLAIM = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PATH = re.compile(r"(/[A-Za-z0-9._-]+)+/?|/")


def _given(site: Site) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each that a hub has: the hub's name, which it is, and what is said of it."""
    for name, hub in site.hubs.items():
        for key in KEYS:
            given = as_mapping(hub.get(key))
            if given:
                yield name, key, given


def _storage(site: Site) -> Storage:
    return read_storage(site.values.get("site_storage"))


def _volumes(site: Site) -> Iterator[tuple[str, SharedVolume, UserVolumes]]:
    storage = _storage(site)
    for name, hub in site.hubs.items():
        yield name, read_shared_volume(hub, storage), read_user_volumes(hub, storage)


def _fault(key: str, value: Any) -> tuple[str, str] | None:
    """Say what is wrong with a value, and what would be right."""
    text, shown = as_text(value), str(value)[:60]
    if key in FLAGS:
        return None if isinstance(value, bool) else (f"is {shown!r}", "write true or false")
    if key == "size":
        return (
            None if QUANTITY.fullmatch(text) else (f"is {shown!r}, no amount", "write an amount such as 10Gi")
        )
    if key == "access_mode":
        return None if text in ACCESS_MODES else (f"is {shown!r}", f"use one of {', '.join(ACCESS_MODES)}")
    if key == "claim":
        taken = text in (DATABASE_CLAIM, USERS_CLAIM) or text.startswith(USER_CLAIM)
        bad = not CLAIM.fullmatch(text) or taken
        return (
            (
                f"is {shown!r}" + (", a name for the database or for people's own" if taken else ""),
                "use another name, of lower-case letters, digits and hyphens",
            )
            if bad
            else None
        )
    bad = not PATH.fullmatch(text) or bool({".", ".."} & set(text.split("/")))
    return (f"is {shown!r}, no absolute path", "write a folder such as /home/jovyan/shared") if bad else None


@rule("hub-volume-malformed", ERROR, "A volume of a hub cannot be read as it is told.", acceptable=False)
def hub_volume_malformed(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        for key in KEYS:
            if hub.get(key) is not None and not isinstance(hub[key], Mapping):
                yield Problem(
                    f"is {str(hub[key])[:60]!r}, no mapping",
                    f"write {key}: {{{KEYS[key][0]}: ...}}",
                    f"site_hubs.{name}.{key}",
                )
    for name, which, given in _given(site):
        for key, value in given.items():
            place, known = f"site_hubs.{name}.{which}.{key}", KEYS[which]
            if key not in known:
                near = closest(key, list(known))
                yield Problem(
                    "is no key of such a volume",
                    f"did you mean {near}?" if near else f"use {', '.join(known)}",
                    place,
                )
                continue
            fault = _fault(key, value) if value is not None else None
            if (which, key, value) == (USERS, "access_mode", READ_ONLY):
                fault = (f"is {value}, and people write to their own", "drop it, or use another")
            if fault:
                yield Problem(*fault, place)


@rule("shared-volume-unnamed", ERROR, "A volume that sessions share has no name.", acceptable=False)
def shared_volume_unnamed(site: Site) -> Iterator[Problem]:
    for name, which, given in _given(site):
        if which == SHARED and given.get("claim") is None:
            yield Problem(
                "is missing: nobody knows which volume is meant",
                "name the claim, such as datasets; with a size it is made, without one it has to be there",
                f"site_hubs.{name}.{SHARED}.claim",
            )


@rule("hub-volume-without-storage", ERROR, "A hub wants volumes that nothing makes.", acceptable=False)
def hub_volume_without_storage(site: Site) -> Iterator[Problem]:
    if _storage(site).kind:
        return
    for name, shared, users in _volumes(site):
        if (shared.claim and shared.size) or users.enabled:
            yield Problem(
                "asks for volumes, and site_storage says nowhere they could be",
                "set site_storage, such as {kind: local}"
                + ("" if users.enabled else ", or drop the size of a claim that is there already"),
                f"site_hubs.{name}.{USERS if users.enabled else SHARED}",
            )


@rule(
    "user-volumes-without-sign-in",
    ERROR,
    "A hub without sign-in is to have a volume for each user.",
    acceptable=False,
)
def user_volumes_without_sign_in(site: Site) -> Iterator[Problem]:
    for name, _, users in _volumes(site):
        kind = as_text(as_mapping(site.hubs[name].get("auth")).get("kind")) or "none"
        if users.enabled and kind == "none":
            yield Problem(
                "asks for them, and nobody signs in: each launch is a new user, and would leave a volume behind for ever",
                f"give the hub a sign-in (site_hubs.{name}.auth.kind), or drop {USERS}",
                f"site_hubs.{name}.{USERS}",
            )


@rule("user-volumes-deleted", ERROR, "A hub's own values delete people's volumes with their accounts.")
def user_volumes_deleted(site: Site) -> Iterator[Problem]:
    for name, _, users in _volumes(site):
        for key in ("values", "secret_values") if users.enabled else ():
            for way in DELETION_WAYS:
                if look_up(site.hubs[name].get(key), way) is True:
                    yield Problem(
                        "is true: whoever is deleted in the hub loses all files",
                        f"drop it; or drop {USERS}, if nothing has to be kept",
                        f"site_hubs.{name}.{key}.{way}",
                    )


@rule(
    "mount-path-hides",
    ERROR,
    "A volume would hide the files of people's repositories or of their image.",
    acceptable=False,
)
def mount_path_hides(site: Site) -> Iterator[Problem]:
    for name, shared, users in _volumes(site):
        wanted = {
            SHARED: shared.mount_path if shared.claim else "",
            USERS: users.mount_path if users.enabled else "",
        }
        for which, path in wanted.items():
            hidden = hidden_by(path) if path else ""
            if hidden:
                yield Problem(
                    f"is {path}, and {hidden}",
                    f"mount it in a folder of its own, such as {HOME}/{'shared' if which == SHARED else 'work'}",
                    f"site_hubs.{name}.{which}.mount_path",
                )
        if all(wanted.values()) and posixpath.normpath(wanted[SHARED]) == posixpath.normpath(wanted[USERS]):
            yield Problem(
                f"is {wanted[SHARED]}, where users' own volumes are, too",
                "give each a folder of its own",
                f"site_hubs.{name}.{SHARED}.mount_path",
            )
        elif all(wanted.values()) and shared.read_only and is_below(wanted[USERS], wanted[SHARED]):
            yield Problem(
                f"is {wanted[USERS]}, in the shared volume, which is read-only: no folder for it can be made there",
                "give each a folder of its own",
                f"site_hubs.{name}.{USERS}.mount_path",
            )


@rule("shared-volume-one-node", ERROR, "A volume of one node is to be on several at once.", acceptable=False)
def shared_volume_one_node(site: Site) -> Iterator[Problem]:
    storage = _storage(site)
    if storage.kind != LOCAL or storage.shared_path:
        return
    for name, which, given in _given(site):
        if as_text(given.get("access_mode")) in (MANY, *((READ_ONLY,) if which == SHARED else ())):
            yield Problem(
                f"is {given['access_mode']}, and a folder of a node can only be ReadWriteOnce",
                "drop it; or set site_storage.shared_path to a file system that all nodes mount",
                f"site_hubs.{name}.{which}.access_mode",
            )


def _static(site: Site) -> Iterator[tuple[str, str, str, str]]:
    """Give each volume on a file server: its hub, its claim with the namespace, its own name, and its folder."""
    storage = as_mapping(site.values.get("site_storage"))
    for name, hub in site_hubs(site).items():
        for volume in claim_objects({name: hub}, storage):
            if volume["kind"] == "PersistentVolume":
                spec, claim = volume["spec"], volume["spec"]["claimRef"]
                yield (
                    name,
                    f"{claim['namespace']}/{claim['name']}",
                    volume["metadata"]["name"],
                    spec["nfs"]["path"],
                )


@rule(
    "hub-volumes-collide", ERROR, "A volume on the file server would be another one, too.", acceptable=False
)
def hub_volumes_collide(site: Site) -> Iterator[Problem]:
    # Those of people have names and folders that nobody chooses: what is shared gives way, and of two of these the second.
    volumes = sorted(_static(site), key=lambda entry: not entry[1].endswith(f"/{USERS_CLAIM}"))
    for place, (name, claim, volume, folder) in enumerate(volumes):
        above = [other for other, _, _, path in volumes if path.startswith(f"{folder}/")]
        # Two hubs of one namespace are hubs-share-namespace's.
        same = [other for other, theirs, called, _ in volumes[:place] if called == volume and theirs != claim]
        if above:
            yield Problem(
                f"would be {folder} on the file server, in which the hub {above[0]} has the folders of its people",
                f"name it otherwise than the namespace of the hub {above[0]}",
                f"site_hubs.{name}.{SHARED}.claim",
            )
        elif same:
            yield Problem(
                f"is {claim.partition('/')[2]}, and by it the volume is {volume}, as one of the hub {same[0]} is",
                "use another name",
                f"site_hubs.{name}.{SHARED}.claim",
            )


@rule("sessions-on-one-node", WARNING, "A shared volume binds all sessions of a hub to one node.")
def sessions_on_one_node(site: Site) -> Iterator[Problem]:
    storage = _storage(site)
    users = [host for host in site.nodes if purpose_of(site.purposes(host)) != "core"]
    if storage.kind != LOCAL or storage.shared_path or len(users) < 2:
        return
    for name, shared, _ in _volumes(site):
        if shared.claim and shared.size:
            yield Problem(
                f"is a folder of the one node on which the first session starts, and the other {len(users) - 1} nodes for "
                "sessions get none of this hub",
                "set site_storage.shared_path to a file system that all nodes mount, or take nfs or a class that all can reach",
                f"site_hubs.{name}.{SHARED}",
            )
