# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about where a site keeps what outlives a pod."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import REQUIRE, purpose_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.spelling import closest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.storage import (
    EXISTING,
    LOCAL,
    NFS,
    PROVISIONER,
    QUANTITY,
    SHARED_CLASS,
    Storage,
    read_storage,
)

STORAGE, DATABASE, AFFINITY = "site_storage", "site_hub_database", "site_node_purpose_affinity"
# The keys of each kind, those that it cannot do without first, with an example of each.
NEEDS: dict[str, tuple[str, ...]] = {LOCAL: (), EXISTING: ("class",), NFS: ("server", "path")}
KEYS: dict[str, tuple[str, ...]] = {
    LOCAL: ("kind", "class", "path", "shared_path", "helper_image", "hub_database", "hub_database_size"),
    EXISTING: ("kind", "class", "hub_database", "hub_database_size"),
    NFS: ("kind", "server", "path", "hub_database"),
}
WHAT_TO_WRITE = {"class": "ceph-rbd", "server": "files.example.org", "path": "/export/binder"}
# A folder that goes into a script and a JSON text as it is.
FOLDER = re.compile(r"(/[A-Za-z0-9._-]+)+/?")
SERVER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _given(site: Site) -> Mapping[str, Any]:
    """What the site says; of another type it is wrong-type's."""
    return {key: value for key, value in as_mapping(site.values.get(STORAGE)).items() if value is not None}


def _storage(site: Site) -> Storage:
    return read_storage(site.values.get(STORAGE))


@rule("storage-malformed", ERROR, "The site's storage cannot be read as it is told.", acceptable=False)
def storage_malformed(site: Site) -> Iterator[Problem]:
    given = _given(site)
    kind = as_text(given.get("kind"))
    if given and kind not in KEYS:
        near = closest(kind, list(KEYS)) if kind else ""
        yield Problem(
            f"is {str(given.get('kind'))[:40]!r}" if "kind" in given else "is missing",
            f"did you mean {near}?" if near else f"set it to one of {', '.join(KEYS)}",
            f"{STORAGE}.kind",
        )
        return
    for key, value in given.items():
        place, known = f"{STORAGE}.{key}", KEYS[kind]
        if key not in known:
            near = closest(key, list(known))
            remedy = f"did you mean {near}?" if near else f"use {', '.join(known)}"
            yield Problem(f"is no key of storage of the kind {kind}", remedy, place)
        elif key.endswith("path") and not _folder(value):
            yield Problem(
                f"is {str(value)[:60]!r}, no absolute path",
                "write a folder such as /srv/volumes, of letters, digits and ._- between slashes",
                place,
            )
        elif key == "class" and not LABEL.fullmatch(as_text(value)):
            yield Problem(
                f"is {str(value)[:60]!r}, no name", "use the StorageClass' name, as kubectl shows it", place
            )
        elif key == "hub_database_size" and not QUANTITY.fullmatch(as_text(value)):
            yield Problem(f"is {str(value)[:30]!r}, no amount", "write an amount such as 1Gi", place)
        elif key == "hub_database" and not isinstance(value, bool):
            yield Problem(f"is {str(value)[:30]!r}", "write true or false", place)
        elif key == "class" and value == SHARED_CLASS and "shared_path" in given:
            yield Problem(
                f"is {value}, as the class of shared_path is", "drop it, or use another name", place
            )
        elif key == "server" and not (SERVER.fullmatch(as_text(value)) or parse_ip(value)):
            yield Problem(
                f"is {str(value)[:60]!r}, no name or address of a server",
                f"write its name alone, such as {WHAT_TO_WRITE['server']}; the folder goes into path",
                place,
            )
        elif key == "helper_image" and not re.fullmatch(r"\S+", as_text(value)):
            yield Problem(f"is {str(value)[:60]!r}", "write one name without blanks", place)


def _folder(value: Any) -> bool:
    text = as_text(value)
    return FOLDER.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


@rule("storage-incomplete", ERROR, "The site's storage lacks a key that its kind needs.", acceptable=False)
def storage_incomplete(site: Site) -> Iterator[Problem]:
    given = _given(site)
    kind = as_text(given.get("kind"))
    for key in NEEDS.get(kind, ()):
        if key not in given:
            yield Problem(
                f"is missing, and storage of the kind {kind} needs it",
                f"set it, such as {WHAT_TO_WRITE[key]}",
                f"{STORAGE}.{key}",
            )


def _told(site: Site) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the first head that was told the storage of a running cluster, and this."""
    for head in site.seen("head"):
        told = as_mapping(as_mapping(head.probe.get("cluster")).get("storage"))
        if "classes" in told:
            yield head.name, told
            return


def _classes(site: Site) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for head, told in _told(site):
        yield head, [as_mapping(entry) for entry in as_list(told["classes"])]


@rule("storage-class-unknown", ERROR, "The StorageClass is none of the running cluster.", acceptable=False)
def storage_class_unknown(site: Site) -> Iterator[Problem]:
    storage = _storage(site)
    if storage.kind != EXISTING or not storage.class_name:
        return
    for head, classes in _classes(site):
        names = sorted(as_text(entry.get("name")) for entry in classes)
        if storage.class_name not in names:
            near = closest(storage.class_name, names)
            have = (
                f"name one of {', '.join(names)}" if names else "it has none yet: make it first, or use local"
            )
            yield Problem(
                f"is {storage.class_name}, which the cluster does not have",
                f"did you mean {near}?" if near else have,
                f"{STORAGE}.class",
                head,
            )


@rule(
    "storage-class-not-yet", ERROR, "The StorageClass is to be that of a cluster which is still to be made."
)
def storage_class_not_yet(site: Site) -> Iterator[Problem]:
    storage, heads = _storage(site), site.members("head")
    # One that was not seen may have joined.
    there = any(head.joined or not head.seen for head in heads) or any(_told(site))
    if storage.kind != EXISTING or not LABEL.fullmatch(storage.class_name) or not heads or there:
        return
    yield Problem(
        f"is {storage.class_name}, and there is no cluster yet that could have it: all machines would be changed, and then no "
        "hub released",
        "make the cluster (playbooks/nodes.yml, playbooks/cluster.yml), install what brings the class, and go on with site.yml; "
        "or use local",
        f"{STORAGE}.class",
    )


@rule("storage-class-taken", ERROR, "A StorageClass that is to be made is somebody else's.", acceptable=False)
def storage_class_taken(site: Site) -> Iterator[Problem]:
    storage = _storage(site)
    if storage.kind != LOCAL:
        return
    made = {storage.class_name: "class", **({SHARED_CLASS: "shared_path"} if storage.shared_path else {})}
    for head, classes in _classes(site):
        for entry in classes:
            name, provisioner = as_text(entry.get("name")), as_text(entry.get("provisioner"))
            if name in made and provisioner not in ("", PROVISIONER):
                yield Problem(
                    f"makes the class {name}, and the cluster has one of this name from {provisioner}",
                    f"use {{kind: {EXISTING}, class: {name}}}, or another name"
                    if made[name] == "class"
                    else f"remove that class, or drop {made[name]}",
                    f"{STORAGE}.{made[name]}",
                    head,
                )


def _without_class(site: Site) -> Iterator[tuple[str, str]]:
    """Give hubs whose database takes the cluster's default class, each with its namespace."""
    for name, hub in site_hubs(site).items():
        values = as_mapping(site.hubs[name].get("values"))
        own = as_mapping(as_mapping(as_mapping(values.get("jupyterhub")).get("hub")).get("db"))
        kind = as_text(own.get("type")) or site.text(DATABASE)
        if kind == "sqlite-pvc" and not as_text(as_mapping(own.get("pvc")).get("storageClassName")):
            yield name, as_text(hub["namespace"])


@rule("hub-database-without-class", ERROR, "A hub's database is to be in a volume that nothing makes.")
def hub_database_without_class(site: Site) -> Iterator[Problem]:
    if _storage(site).kind:
        return
    for head, told in _told(site):
        if any(as_mapping(entry).get("default") is True for entry in as_list(told["classes"])):
            return
        # A volume that is there needs no class any more.
        bound = as_list(told.get("bound"))
        names = [name for name, namespace in _without_class(site) if namespace not in bound]
        if names:
            yield Problem(
                f"is sqlite-pvc, and no StorageClass is the default one: the database of {', '.join(names)} would wait for ever",
                f"set {STORAGE}, such as {{kind: local}}; or make a class the default one",
                DATABASE,
                head,
            )


@rule("default-classes", WARNING, "A cluster has several default StorageClasses.")
def default_classes(site: Site) -> Iterator[Problem]:
    for head, classes in _classes(site):
        names = sorted(as_text(entry.get("name")) for entry in classes if entry.get("default") is True)
        if len(names) > 1:
            yield Problem(
                f"{' and '.join(names)} are defaults both, and the newest takes what names no class",
                "kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class- of all but one",
                STORAGE,
                head,
            )


@rule("hub-database-contradicted", ERROR, "Two values disagree about where databases are.", acceptable=False)
def hub_database_contradicted(site: Site) -> Iterator[Problem]:
    storage, wanted = _storage(site), site.text(DATABASE)
    if storage.kind in KEYS and DATABASE in site.given and wanted and wanted != storage.database_type:
        yield Problem(
            f"is {wanted}, and by {STORAGE} it is {storage.database_type}",
            f"drop {DATABASE}: {STORAGE}.hub_database says it, true or false",
            DATABASE,
        )


@rule("database-on-nfs", ERROR, "A hub's database is to be on a file server.", acceptable=False)
def database_on_nfs(site: Site) -> Iterator[Problem]:
    storage = _storage(site)
    if storage.kind == NFS and storage.hub_database:
        yield Problem(
            "is true, and SQLite's locks are not known to hold over NFS: hubs would lose what they write",
            "drop it, or keep databases in a class (local or existing)",
            f"{STORAGE}.hub_database",
        )


@rule(
    "database-out-of-reach",
    ERROR,
    "A hub's database is on a node where the hub may not run.",
    acceptable=False,
)
def database_out_of_reach(site: Site) -> Iterator[Problem]:
    if site.text(AFFINITY) != REQUIRE or site.text(DATABASE) != "sqlite-pvc":
        return
    namespaces = {as_text(hub.get("namespace")) or name: name for name, hub in site.hubs.items()}
    nodes = {host.name: host for host in site.nodes}
    for head in site.seen("head"):
        told = as_mapping(as_mapping(head.probe.get("cluster")).get("storage"))
        for namespace, node in as_mapping(told.get("databases")).items():
            host = nodes.get(as_text(node))
            if namespace in namespaces and host and purpose_of(site.purposes(host)) == "user":
                yield Problem(
                    f"is {REQUIRE}, and the database of the hub {namespaces[namespace]} is on {host.name} alone, which is for "
                    "sessions: the hub would start nowhere",
                    f"set {AFFINITY}: prefer, or give {host.name} to core (site_node_purposes)",
                    AFFINITY,
                    host.name,
                )
        return
