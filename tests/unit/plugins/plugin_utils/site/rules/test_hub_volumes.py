# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/hub_volumes.py by a bad site of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import RULES
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.facts import reduce_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from site_cases import TOKEN, Case, case, found, rules_in

MALFORMED, UNNAMED, NOWHERE = "hub-volume-malformed", "shared-volume-unnamed", "hub-volume-without-storage"
UNSIGNED, HIDES, ALONE, COLLIDE = (
    "user-volumes-without-sign-in",
    "mount-path-hides",
    "sessions-on-one-node",
    "hub-volumes-collide",
)
SHARED, USERS = "site_hubs.binder.shared_volume", "site_hubs.binder.user_volumes"
DATASETS = {"claim": "datasets", "size": "10Gi"}
LOCAL = {"values/site_storage": {"kind": "local", "shared_path": "/mnt/site"}}
DELETED = {"jupyterhub": {"hub": {"config": {"KubeSpawner": {"delete_pvc": True}}}}}
NODES = {"values/site_storage": {"kind": "local"}}


NFS = {"values/site_storage": {"kind": "nfs", "server": "files", "path": "/export"}}


def two(first: Any, name: str, second: Any, storage: dict[str, Any]) -> dict[str, Any]:
    """A site of two hubs with these volumes; whoever has one of people signs in, as far as these rules look."""
    tokens = {f"secrets/values/site_hub_{kind}_tokens.{name}": TOKEN for kind in ("proxy", "api")}
    return {"values/site_hubs": {"binder": first, name: second}, **tokens, **storage}


def hub(shared: Any = None, users: Any = None, **site: Any) -> dict[str, Any]:
    """A site whose one hub has these volumes."""
    given = {
        key: entry for key, entry in (("shared_volume", shared), ("user_volumes", users)) if entry is not None
    }
    return {"values/site_hubs": {"binder": given}, **LOCAL, **site}


CASES = [
    case("a shared volume", hub(DATASETS)),
    case("one that is there", hub({"claim": "datasets"}, **{"values/site_storage": {}})),
    case(
        "in full",
        hub({**DATASETS, "mount_path": "/srv/shared", "read_only": False, "access_mode": "ReadWriteMany"}),
    ),
    case("no mapping", hub("datasets"), (MALFORMED, SHARED, "")),
    case("a misspelt key", hub({**DATASETS, "volume": "1Gi"}), (MALFORMED, f"{SHARED}.volume", "")),
    case("no amount", hub({**DATASETS, "size": "ten"}), (MALFORMED, f"{SHARED}.size", "")),
    case("no name", hub({**DATASETS, "claim": "Data Sets"}), (MALFORMED, f"{SHARED}.claim", "")),
    case("the database", hub({**DATASETS, "claim": "hub-db-dir"}), (MALFORMED, f"{SHARED}.claim", "")),
    case("no flag", hub({**DATASETS, "read_only": "maybe"}), (MALFORMED, f"{SHARED}.read_only", "")),
    case("no access", hub({**DATASETS, "access_mode": "RWX"}), (MALFORMED, f"{SHARED}.access_mode", "")),
    case("no path", hub({**DATASETS, "mount_path": "shared"}), (MALFORMED, f"{SHARED}.mount_path", "")),
    case("nobody's", hub({"size": "10Gi"}), (UNNAMED, f"{SHARED}.claim", "")),
    case("nowhere", hub(DATASETS, **{"values/site_storage": {}}), (NOWHERE, SHARED, "")),
    case(
        "over the repository",
        hub({**DATASETS, "mount_path": "/home/jovyan/"}),
        (HIDES, f"{SHARED}.mount_path", ""),
    ),
    case("over all homes", hub({**DATASETS, "mount_path": "/home"}), (HIDES, f"{SHARED}.mount_path", "")),
    *(
        case(
            f"over the image's own: {path}",
            hub({**DATASETS, "mount_path": path}),
            (HIDES, f"{SHARED}.mount_path", ""),
        )
        for path in (
            "/srv",
            "/srv/conda/",
            "/srv/conda/envs",
            "/usr",
            "/usr/local/bin",
            "/etc",
            "/bin",
            "/lib",
            "/tmp",
        )
    ),
    *(
        case(f"beside the image's own: {path}", hub({**DATASETS, "mount_path": path}))
        for path in ("/srv/data", "/data", "/mnt/usr", "/var/data", "/srv/condas")
    ),
    case(
        "people's in one that nobody may write to",
        hub({**DATASETS, "mount_path": "/data"}, {"mount_path": "/data/me/"}),
        (HIDES, f"{USERS}.mount_path", ""),
        (UNSIGNED, USERS, ""),
    ),
    case(
        "people's in one that they may write to",
        hub({**DATASETS, "mount_path": "/data", "read_only": False}, {"mount_path": "/data/me"}),
        (UNSIGNED, USERS, ""),
    ),
    case(
        "people's that nobody may write to",
        hub(users={"access_mode": "ReadOnlyMany"}),
        (MALFORMED, f"{USERS}.access_mode", ""),
        (UNSIGNED, USERS, ""),
    ),
    case(
        "people's that nobody may write to, of several nodes",
        hub(users={"access_mode": "ReadOnlyMany"}, **NODES),
        (MALFORMED, f"{USERS}.access_mode", ""),
        (UNSIGNED, USERS, ""),
    ),
    case(
        "of users nobody knows",
        hub(users={"enabled": True}),
        (UNSIGNED, USERS, ""),
    ),
    case(
        "of users, gone with them",
        {
            "values/site_hubs": reduce_hubs(
                {"binder": {"user_volumes": {"size": "1Gi"}, "values": DELETED, "secret_values": DELETED}}
            ),
            **LOCAL,
        },
        (UNSIGNED, USERS, ""),
        ("user-volumes-deleted", "site_hubs.binder.values.jupyterhub.hub.config.KubeSpawner.delete_pvc", ""),
        (
            "user-volumes-deleted",
            "site_hubs.binder.secret_values.jupyterhub.hub.config.KubeSpawner.delete_pvc",
            "",
        ),
    ),
    case("of users, not wanted", hub(users={"enabled": False, "size": "1Gi"})),
    case("of several nodes", hub(DATASETS, **NODES), (ALONE, SHARED, "")),
    case(
        "of several nodes at once",
        hub({**DATASETS, "access_mode": "ReadWriteMany"}, **NODES),
        (ALONE, SHARED, ""),
        ("shared-volume-one-node", f"{SHARED}.access_mode", ""),
    ),
    case(
        "one that a person has",
        hub({**DATASETS, "claim": "claim-ada"}),
        (MALFORMED, f"{SHARED}.claim", ""),
    ),
    case(
        "the folder above people's",
        two(
            {"shared_volume": {"claim": "a", "size": "1Gi"}},
            "a",
            {"user_volumes": {"size": "1Gi"}},
            NFS,
        ),
        (COLLIDE, f"{SHARED}.claim", ""),
        (UNSIGNED, "site_hubs.a.user_volumes", ""),
    ),
    case(
        "the folder above people's, where it is none",
        two(
            {"shared_volume": {"claim": "a", "size": "1Gi"}},
            "a",
            {"user_volumes": {"size": "1Gi"}},
            LOCAL,
        ),
        (UNSIGNED, "site_hubs.a.user_volumes", ""),
    ),
    case(
        "one name of two volumes",
        two(
            {"shared_volume": {"claim": "private-data", "size": "1Gi"}},
            "binder-private",
            {"shared_volume": {"claim": "data", "size": "1Gi"}},
            NFS,
        ),
        (COLLIDE, "site_hubs.binder-private.shared_volume.claim", ""),
    ),
    case(
        "one name of a shared volume and of people's",
        two(
            {"shared_volume": {"claim": "private-users", "size": "1Gi"}},
            "binder-private",
            {"user_volumes": {"size": "1Gi"}},
            NFS,
        ),
        (COLLIDE, f"{SHARED}.claim", ""),
        (UNSIGNED, "site_hubs.binder-private.user_volumes", ""),
    ),
    case(
        "one folder of two hubs",
        two({"shared_volume": DATASETS}, "a", {"shared_volume": DATASETS}, NFS),
    ),
    case(
        "both at one place",
        hub({**DATASETS, "mount_path": "/home/jovyan/work"}, {"size": "1Gi"}),
        (HIDES, f"{SHARED}.mount_path", ""),
        (UNSIGNED, USERS, ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


@pytest.mark.parametrize(("auth", "problems"), [({}, 1), ({"kind": "none"}, 1), ({"kind": "oidc"}, 0)])
def test_people_who_sign_in_may_have_volumes(auth: dict[str, str], problems: int) -> None:
    given = {"auth": auth, "user_volumes": {"size": "1Gi"}}
    site = Site.from_data({"values": {"site_hubs": {"private": given}, "site_storage": {"kind": "local"}}})
    assert len(list(RULES[UNSIGNED].check(site))) == problems


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("hub_volumes") <= {rule for entry in CASES for rule, _, _ in entry.expected}
