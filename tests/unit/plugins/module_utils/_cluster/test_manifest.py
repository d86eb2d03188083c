# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Manifests read, ordered and shown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import (
    LAST_APPLIED,
    ManifestError,
    Ref,
    essence,
    read_manifest,
    read_objects,
    secret_texts,
    shown,
)

TEXT = """
# A comment first
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: ns, creationTimestamp: null, resourceVersion: "7"}
status: {replicas: 3}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: ns}}
  - apiVersion: v1
    kind: ConfigMapList
    items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {day: 2026-11-20, sign: =}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.org}
---
apiVersion: v1
kind: Secret
metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}}
data: {a: b25l}
stringData: {b: "two", a: "three"}
"""


def test_objects_of_a_manifest() -> None:
    """In its order, lists taken apart, without what the server decides, secrets as the server keeps them."""
    objects = read_objects(read_manifest(TEXT, "m"), "m")
    assert [str(ref) for ref in objects] == [
        "Deployment ns/d",
        "Namespace ns",
        "ConfigMap c",
        "CustomResourceDefinition foos.example.org",
        "Secret s",
    ]
    assert [ref.rank for ref in objects] == [2, 0, 2, 1, 2]
    deployment, _namespace, config, _definition, secret = objects.values()
    assert deployment == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "ns"},
    }
    assert config["data"] == {"day": "2026-11-20", "sign": "="}
    assert secret["data"] == {"a": "dGhyZWU=", "b": "dHdv"}
    assert "stringData" not in secret
    assert secret["metadata"]["annotations"] == {}


def test_text_of_a_template_is_text() -> None:
    """Ansible marks texts by a class of its own, which the C loader does not take for one."""

    class Tagged(str):
        """As Ansible 2.19 has it."""

        __slots__ = ()

    assert read_manifest(Tagged("a: ä"), "m") == [{"a": "ä"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "m is no YAML"),
        ("", "no object of Kubernetes in it"),
        ("---\n# nothing\n---\n", "no object of Kubernetes in it"),
        ("<html>Sign in</html>", "no list of Kubernetes objects: '<html>Sign in</html>'"),
        ("- a\n", "no list of Kubernetes objects"),
        ("kind: Pod\nmetadata: {name: x}\n", "no object of Kubernetes.*needs apiVersion"),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x}\n",
            "needs apiVersion, kind and metadata.name",
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: [x]\n", "no object of Kubernetes"),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\n",
            "twice",
        ),
    ],
)
def test_what_is_no_manifest(text: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        read_objects(read_manifest(text, "m"), "m")


def config_map(**data: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "metadata": {
            "name": "c",
            "managedFields": [1],
            "resourceVersion": "7",
            "annotations": {LAST_APPLIED: "secret"},
        },
        "data": data,
        "status": {"a": 1},
    }


def test_what_a_person_sees() -> None:
    """No bookkeeping; the essence keeps the memory of what was applied, because to lose it is a change."""
    before, after = shown(None, config_map(a="1"))
    assert before == {}
    assert after == {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    assert essence(config_map(a="1"))["metadata"] == {"name": "c", "annotations": {LAST_APPLIED: "secret"}}
    kept = config_map()
    kept["metadata"]["annotations"]["own"] = "x"
    assert shown(kept, None)[0]["metadata"]["annotations"] == {"own": "x"}


def test_values_of_secrets_are_never_shown() -> None:
    """Which one is another is."""

    def secret(**data: str) -> dict[str, Any]:
        return {**config_map(**data), "kind": "Secret"}

    before, after = shown(
        secret(same="b25l", other="dHdv", gone="eA=="), secret(same="b25l", other="dGhyZWU=")
    )
    assert before["data"] == {"same": "(hidden)", "other": "(hidden, one)", "gone": "(hidden, one)"}
    assert after["data"] == {"same": "(hidden)", "other": "(hidden, another)"}
    texts = secret_texts(
        [
            secret(a="cGFzc3dvcmQ=", b="not base64", c="/////////w==", d="", e="MQ=="),
            config_map(x="plain text"),
        ]
    )
    assert texts == {"cGFzc3dvcmQ=", "password", "not base64", "/////////w=="}


def test_groups() -> None:
    assert Ref("v1", "Pod", "", "a").group == ""
    assert Ref("metallb.io/v1beta1", "IPAddressPool", "", "a").group == "metallb.io"
