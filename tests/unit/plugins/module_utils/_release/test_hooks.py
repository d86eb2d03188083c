# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.hooks import (
    Hook,
    HookObjects,
    hooks_of,
    objects_of,
)
from helm_replay import statuses
from hook_cluster import PULL_SECRET, HookCluster, made_by_hook

# As helm 3.22 told it.
RECORDED = next(statuses("hooks"))["hooks"]
(SECRET,) = hooks_of(RECORDED, "ns")


def left(cluster: HookCluster, *hooks: Hook) -> dict[str, str]:
    return HookObjects(cluster, "binder").left(hooks)


def test_a_hook_is_read_as_helm_tells_it() -> None:
    assert str(SECRET) == "Secret ns/image-pull-secret"
    assert (SECRET.api_version, SECRET.policies) == ("v1", {"before-hook-creation"})
    assert SECRET.events == {"pre-install", "pre-upgrade"}
    assert SECRET.ran and SECRET.lasts
    assert SECRET.labels == {"release": "binder"}


def test_what_helm_tells_of_no_hooks_and_in_other_shapes() -> None:
    assert hooks_of(None, "ns") == []
    assert hooks_of(["text"], "ns") == []
    for manifest in (None, "", "- a list", "{broken", "kind: Secret"):
        (hook,) = hooks_of([{"kind": "Secret", "name": "x", "manifest": manifest}], "ns")
        assert (str(hook), hook.api_version, hook.lasts) == ("Secret ns/x", "", False)
        assert HookObjects(HookCluster(), "binder").left([hook]) == {}


def test_a_hook_names_its_namespace() -> None:
    manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: other}\n"
    (hook,) = hooks_of([{"kind": "Secret", "name": "x", "manifest": manifest}], "ns")
    assert str(hook) == "Secret other/x"


@pytest.mark.parametrize(
    "changed",
    [
        {"policies": frozenset({"before-hook-creation", "hook-succeeded"})},
        {"events": frozenset({"pre-install"})},
        {"events": frozenset({"test"})},
        {"ran": False},
        {"kind": "Job"},
        {"kind": "Pod"},
    ],
)
def test_what_need_not_be_there_for_ever(changed: dict[str, Any]) -> None:
    hook = replace(SECRET, **changed)
    assert not hook.lasts
    assert HookObjects(HookCluster(), "binder").lost([hook]) == []


def test_an_object_that_is_gone_is_named() -> None:
    cluster = HookCluster()
    assert HookObjects(cluster, "binder").lost([SECRET]) == ["Secret ns/image-pull-secret"]
    cluster.objects[PULL_SECRET] = made_by_hook()
    assert HookObjects(cluster, "binder").lost([SECRET]) == []
    # A Secret that an admin made by the same name serves as well.
    cluster.objects[PULL_SECRET] = {"metadata": {}}
    assert HookObjects(cluster, "binder").lost([SECRET]) == []


MANIFEST = """
apiVersion: v1
kind: Secret
metadata: {name: image-pull-secret}
---
# a template that rendered to nothing
---
apiVersion: v1
kind: List
items:
  - {apiVersion: batch/v1, kind: Job, metadata: {name: once}}
  - {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: y}}
---
apiVersion: v1
kind: Secret
metadata: {name: image-pull-secret, namespace: other}
"""


def test_an_object_of_the_manifest_that_is_gone_is_named() -> None:
    """A Job that ended may be cleaned up, and is no loss."""
    objects = objects_of(MANIFEST, "ns")
    assert [str(one) for one in objects] == [
        *("Secret ns/image-pull-secret", "Job ns/once", "ClusterRole ns/y", "Secret other/image-pull-secret")
    ]
    cluster = HookCluster(**{PULL_SECRET: made_by_hook()})
    assert HookObjects(cluster, "binder").lost(objects) == [
        "ClusterRole ns/y",
        "Secret other/image-pull-secret",
    ]
    assert objects_of("", "ns") == []


def test_kinds_are_found_where_the_api_has_them() -> None:
    job = replace(SECRET, kind="Job", name="x", api_version="batch/v1")
    role = replace(SECRET, kind="ClusterRole", name="y", api_version="rbac.authorization.k8s.io/v1")
    paths = {
        "Secret ns/image-pull-secret": PULL_SECRET,
        "Job ns/x": "/apis/batch/v1/namespaces/ns/jobs/x",
        "ClusterRole ns/y": "/apis/rbac.authorization.k8s.io/v1/clusterroles/y",
    }
    cluster = HookCluster(**{path: made_by_hook() for path in paths.values()})
    assert left(cluster, SECRET, job, role) == paths
    asked = [path for _method, path in cluster.asked if path in ("/api/v1", "/apis/batch/v1")]
    assert len(asked) == 2, "each group is asked for once"


def test_a_kind_that_the_cluster_does_not_know_has_no_objects() -> None:
    strange = replace(SECRET, kind="Strange", api_version="example.org/v1")
    assert left(HookCluster(), strange) == {}
    assert HookObjects(HookCluster(), "binder").lost([strange]) == []


@pytest.mark.parametrize(
    ("item", "ours"),
    [
        (made_by_hook(), True),
        (made_by_hook(labels=None), True),
        # An admin's own, or another release's, by the same name.
        ({"metadata": {"labels": {"release": "binder"}}}, False),
        ({}, False),
        (made_by_hook(labels={"release": "other"}), False),
        (
            made_by_hook(annotations={"helm.sh/hook": "pre-install", "meta.helm.sh/release-name": "other"}),
            False,
        ),
        (
            made_by_hook(annotations={"helm.sh/hook": "pre-install", "meta.helm.sh/release-name": "binder"}),
            True,
        ),
        # Its chart wants it to outlive the release.
        (
            made_by_hook(annotations={"helm.sh/hook": "pre-install", "helm.sh/resource-policy": "keep"}),
            False,
        ),
        (
            made_by_hook(annotations={"helm.sh/hook": "pre-install", "helm.sh/resource-policy": "other"}),
            True,
        ),
    ],
)
def test_only_this_releases_objects_are_found(item: dict[str, Any], ours: bool) -> None:
    assert bool(left(HookCluster(**{PULL_SECRET: item}), SECRET)) is ours


@pytest.mark.parametrize(
    ("kind", "api_version", "path"),
    [
        ("PersistentVolumeClaim", "v1", "/api/v1/namespaces/ns/persistentvolumeclaims/image-pull-secret"),
        ("Namespace", "v1", "/api/v1/namespaces/image-pull-secret"),
        (
            "CustomResourceDefinition",
            "apiextensions.k8s.io/v1",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/image-pull-secret",
        ),
    ],
)
def test_what_holds_others_data_stays(kind: str, api_version: str, path: str) -> None:
    """They take more with them than the release has made."""
    hook = replace(SECRET, kind=kind, api_version=api_version)
    cluster = HookCluster(**{path: made_by_hook()})
    assert HookObjects(cluster, "binder").lost([hook]) == [], "the cluster has it there"
    assert left(cluster, hook) == {}


def test_objects_go_with_what_they_own() -> None:
    cluster = HookCluster(**{PULL_SECRET: made_by_hook()})
    HookObjects(cluster, "binder").remove([PULL_SECRET])
    assert cluster.objects == {}
    assert cluster.deleted == [f"{PULL_SECRET}?propagationPolicy=Background"]
