# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/storage.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from site_cases import Case, case, found, rules_in, texts, value

MALFORMED, INCOMPLETE, UNKNOWN = "storage-malformed", "storage-incomplete", "storage-class-unknown"
STORAGE, DATABASE, AFFINITY = "site_storage", "site_hub_database", "site_node_purpose_affinity"
EXISTING = {"kind": "existing", "class": "ceph-rbd"}
NFS = {"kind": "nfs", "server": "files.example.org", "path": "/export/binder"}
RBD = {"name": "ceph-rbd", "default": True, "provisioner": "rbd.csi.ceph.com"}
LOCAL = {"name": "ironbinder-local", "default": False, "provisioner": "rancher.io/local-path"}
KUBERNETES = "hosts/head1/probe/kubernetes"
CLUSTER = "hosts/head1/probe/cluster"


def running(*classes: dict[str, Any], **databases: str) -> dict[str, Any]:
    """A cluster that has these classes, and databases on these nodes."""
    return {
        f"{CLUSTER}/storage": {"classes": list(classes), "databases": databases, "bound": list(databases)}
    }


CASES = [
    value("none", STORAGE, {}),
    value("folders", STORAGE, {"kind": "local"}),
    value(
        "folders in full",
        STORAGE,
        {
            "kind": "local",
            "class": "fast",
            "path": "/srv/volumes",
            "shared_path": "/mnt/site/binder",
            "helper_image": "docker.io/library/busybox:1.37.0",
            "hub_database": False,
            "hub_database_size": "500Mi",
        },
    ),
    value("a file server", STORAGE, NFS),
    value("a file server by its address", STORAGE, {**NFS, "server": "2001:db8::41"}),
    value(
        "a server with its path",
        STORAGE,
        {**NFS, "server": "files:/export"},
        (MALFORMED, f"{STORAGE}.server", ""),
    ),
    value("a server by URL", STORAGE, {**NFS, "server": "nfs://files"}, (MALFORMED, f"{STORAGE}.server", "")),
    value(
        "one class for both",
        STORAGE,
        {"kind": "local", "class": "ironbinder-shared", "shared_path": "/mnt/site"},
        (MALFORMED, f"{STORAGE}.class", ""),
    ),
    value("no kind", STORAGE, {"path": "/srv/volumes"}, (MALFORMED, f"{STORAGE}.kind", "")),
    value("a kind of cloud", STORAGE, {"kind": "s3"}, (MALFORMED, f"{STORAGE}.kind", "")),
    value("a misspelt kind", STORAGE, {"kind": "locl"}, (MALFORMED, f"{STORAGE}.kind", "")),
    value(
        "another kind's key",
        STORAGE,
        {"kind": "local", "server": "files"},
        (MALFORMED, f"{STORAGE}.server", ""),
    ),
    value("a path of nobody", STORAGE, {"kind": "local", "path": "srv"}, (MALFORMED, f"{STORAGE}.path", "")),
    value(
        "a way up",
        STORAGE,
        {"kind": "local", "shared_path": "/srv/../etc"},
        (MALFORMED, f"{STORAGE}.shared_path", ""),
    ),
    value("the root", STORAGE, {"kind": "local", "path": "/"}, (MALFORMED, f"{STORAGE}.path", "")),
    case(
        "a size in words",
        {f"values/{STORAGE}": {**EXISTING, "hub_database_size": "1 gig"}, **running(RBD)},
        (MALFORMED, f"{STORAGE}.hub_database_size", ""),
    ),
    case(
        "no size",
        {f"values/{STORAGE}": {**EXISTING, "hub_database_size": "0"}, **running(RBD)},
        (MALFORMED, f"{STORAGE}.hub_database_size", ""),
    ),
    case(
        "neither yes nor no",
        {f"values/{STORAGE}": {**EXISTING, "hub_database": "perhaps"}, **running(RBD)},
        (MALFORMED, f"{STORAGE}.hub_database", ""),
    ),
    value(
        "two images",
        STORAGE,
        {"kind": "local", "helper_image": "a b"},
        (MALFORMED, f"{STORAGE}.helper_image", ""),
    ),
    value(
        "no name of a class",
        STORAGE,
        {"kind": "existing", "class": "Ceph RBD"},
        (MALFORMED, f"{STORAGE}.class", ""),
    ),
    value("a class of nobody", STORAGE, {"kind": "existing"}, (INCOMPLETE, f"{STORAGE}.class", "")),
    value(
        "a file server without all",
        STORAGE,
        {"kind": "nfs"},
        (INCOMPLETE, f"{STORAGE}.server", ""),
        (INCOMPLETE, f"{STORAGE}.path", ""),
    ),
    case("the class is there", {f"values/{STORAGE}": EXISTING, **running(RBD)}),
    case(
        "no cluster yet", {f"values/{STORAGE}": EXISTING}, ("storage-class-not-yet", f"{STORAGE}.class", "")
    ),
    case("a cluster of which nothing is told", {f"values/{STORAGE}": EXISTING, f"{KUBERNETES}/joined": True}),
    case(
        "a class of somebody else",
        {f"values/{STORAGE}": {"kind": "local", "class": "ceph-rbd"}, **running(RBD)},
        ("storage-class-taken", f"{STORAGE}.class", "head1"),
    ),
    case(
        "a class of somebody else, for what is shared",
        {
            f"values/{STORAGE}": {"kind": "local", "shared_path": "/mnt/site"},
            **running({**RBD, "name": "ironbinder-shared"}),
        },
        ("storage-class-taken", f"{STORAGE}.shared_path", "head1"),
    ),
    case("a class of ours", {f"values/{STORAGE}": {"kind": "local"}, **running(RBD, LOCAL)}),
    case(
        "databases without a class",
        {f"values/{DATABASE}": "sqlite-pvc", **running()},
        ("hub-database-without-class", DATABASE, "head1"),
    ),
    case(
        "databases without a default class",
        {f"values/{DATABASE}": "sqlite-pvc", **running(LOCAL)},
        ("hub-database-without-class", DATABASE, "head1"),
    ),
    case("databases of a default class", {f"values/{DATABASE}": "sqlite-pvc", **running(RBD)}),
    case("databases in memory, and no class", running()),
    case(
        "databases that have their volumes",
        {f"values/{DATABASE}": "sqlite-pvc", f"{CLUSTER}/storage": {"classes": [], "bound": ["binder"]}},
    ),
    case(
        "databases of a class that the hub names",
        {
            f"values/{DATABASE}": "sqlite-pvc",
            "values/site_hubs": {
                "binder": {"values": {"jupyterhub": {"hub": {"db": {"pvc": {"storageClassName": "slow"}}}}}}
            },
            **running(LOCAL),
        },
    ),
    case(
        "the class is not",
        {f"values/{STORAGE}": EXISTING, **running(LOCAL)},
        (UNKNOWN, f"{STORAGE}.class", "head1"),
    ),
    case(
        "there is no class at all",
        {f"values/{STORAGE}": EXISTING, **running()},
        (UNKNOWN, f"{STORAGE}.class", "head1"),
    ),
    case(
        "two defaults",
        running(RBD, {**LOCAL, "default": True}),
        ("default-classes", STORAGE, "head1"),
    ),
    case(
        "databases in memory and in a volume",
        {f"values/{STORAGE}": {"kind": "local"}, f"values/{DATABASE}": "sqlite-memory", "given": [DATABASE]},
        ("hub-database-contradicted", DATABASE, ""),
    ),
    case(
        "said twice",
        {f"values/{STORAGE}": {"kind": "local"}, f"values/{DATABASE}": "sqlite-pvc", "given": [DATABASE]},
    ),
    case("as ever", {f"values/{DATABASE}": "sqlite-pvc", "given": [DATABASE]}),
    value(
        "databases on a file server",
        STORAGE,
        {**NFS, "hub_database": True},
        ("database-on-nfs", f"{STORAGE}.hub_database", ""),
    ),
    case(
        "a database on a node for sessions",
        {
            f"values/{AFFINITY}": "require",
            f"values/{DATABASE}": "sqlite-pvc",
            **running(LOCAL, binder="worker1"),
        },
        ("database-out-of-reach", AFFINITY, "worker1"),
    ),
    case(
        "a database on the head",
        {
            f"values/{AFFINITY}": "require",
            f"values/{DATABASE}": "sqlite-pvc",
            **running(LOCAL, binder="head1"),
        },
    ),
    case(
        "somebody else's database",
        {
            f"values/{AFFINITY}": "require",
            f"values/{DATABASE}": "sqlite-pvc",
            **running(RBD, wiki="worker1"),
        },
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


@pytest.mark.parametrize(
    ("kind", "rule", "words"),
    [
        ({"kind": "locl"}, MALFORMED, "did you mean local?"),
        ({"kind": "local", "pth": "/srv"}, MALFORMED, "did you mean path?"),
        ({"kind": "existing"}, INCOMPLETE, "ceph-rbd"),
    ],
)
def test_the_remedy_names_what_was_meant(kind: dict[str, Any], rule: str, words: str) -> None:
    (told,) = texts(value("x", STORAGE, kind).site(), rule)
    assert words in told


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("storage") <= {rule for entry in CASES for rule, _, _ in entry.expected}
