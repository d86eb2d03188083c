# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What changes in an object: tables of what is there, what was applied and what is wanted."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from typing import Any, Optional

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import LAST_APPLIED
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.merging import (
    MergeError,
    annotated,
    merge_patch,
    patch_for,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError


def item(kind: str = "ConfigMap", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **more}


def applied(wanted: dict[str, Any], **by_others: Any) -> dict[str, Any]:
    """Return an object as the server has it after `wanted` was applied and others have added something."""
    return merge_patch(merge_patch({}, annotated(wanted)), by_others)


def result(actual: dict[str, Any], wanted: dict[str, Any]) -> Optional[dict[str, Any]]:
    """Return what the patch makes of it without the memory of what was applied, None where nothing is to do."""
    patch = patch_for(actual, wanted)
    if not patch:
        return None
    after = deepcopy(merge_patch(actual, patch))
    assert json.loads(after["metadata"]["annotations"].pop(LAST_APPLIED)) == wanted
    if not after["metadata"]["annotations"]:
        del after["metadata"]["annotations"]
    assert patch_for(merge_patch(actual, patch), wanted) == {}, "the second time there is nothing to do"
    return after


def test_unchanged_and_changed() -> None:
    assert result(applied(item(data={"a": "1"})), item(data={"a": "1"})) is None
    assert result(applied(item(data={"a": "1"})), item(data={"a": "2"})) == item(data={"a": "2"})


def test_what_is_no_longer_wanted_goes_and_what_others_added_stays() -> None:
    """kubernetes.core without `apply` leaves both, with a replacement takes both."""
    actual = applied(item(data={"a": "1", "b": "2"}), data={"c": "3"}, metadata={"labels": {"own": "x"}})
    after = result(actual, item(data={"a": "1"}))
    assert after is not None
    assert after["data"] == {"a": "1", "c": "3"}
    assert after["metadata"]["labels"] == {"own": "x"}


def test_what_somebody_else_changed_is_put_back() -> None:
    assert result(applied(item(data={"a": "1"}), data={"a": "9"}), item(data={"a": "1"})) == item(
        data={"a": "1"}
    )


def test_an_object_made_by_something_else_is_taken_over() -> None:
    """Nothing in it goes; what is applied is remembered from now on. A broken memory counts as none."""
    for memory in ({}, {"annotations": {LAST_APPLIED: "by hand"}}):
        actual = item(data={"a": "1", "other": "2"})
        actual["metadata"].update(memory)
        after = result(actual, item(data={"a": "1"}))
        assert after is not None
        assert after["data"] == {"a": "1", "other": "2"}


def test_the_servers_additions_to_entries_of_a_list_stay() -> None:
    """MetalLB's controller writes its own CA into its webhook; to take it out stops the webhook."""
    kind = "ValidatingWebhookConfiguration"
    wanted = item(kind, webhooks=[{"name": "w", "clientConfig": {"service": {"name": "s"}}}])
    with_ca = [
        {"name": "w", "clientConfig": {"service": {"name": "s"}, "caBundle": "CA"}, "timeoutSeconds": 10}
    ]
    assert result(applied(wanted, webhooks=with_ca), wanted) is None
    adopted = result(item(kind, webhooks=with_ca), wanted)
    assert adopted is not None
    assert adopted["webhooks"] == with_ca


def containers(*entries: dict[str, Any]) -> dict[str, Any]:
    return item("Deployment", spec={"template": {"spec": {"containers": list(entries)}}})


def test_entries_of_a_list_are_known_by_their_key() -> None:
    actual = applied(
        containers(
            {"name": "a", "image": "1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
        )
    )
    spec = actual["spec"]["template"]["spec"]
    spec["containers"][0]["imagePullPolicy"] = "Always"
    spec["containers"].append({"name": "sidecar", "image": "s"})
    after = result(actual, containers({"name": "a", "image": "2", "env": [{"name": "A", "value": "1"}]}))
    assert after is not None
    assert after["spec"]["template"]["spec"]["containers"] == [
        {"name": "a", "image": "2", "env": [{"name": "A", "value": "1"}], "imagePullPolicy": "Always"},
        {"name": "sidecar", "image": "s"},
    ]


def test_empty_entries_of_lists_are_kept() -> None:
    """openshift leaves them out: a policy that allows everything would allow nothing."""
    old = item("NetworkPolicy", spec={"podSelector": {}, "ingress": []})
    wanted = item("NetworkPolicy", spec={"podSelector": {}, "ingress": [{}, {"from": []}]})
    assert result(applied(old), wanted) == wanted
    old, wanted = containers({"name": "a", "args": ["x"]}), containers({"name": "a", "args": ["y", "", "0"]})
    assert result(applied(old), wanted) == wanted


def test_entries_of_one_key_are_two() -> None:
    """openshift takes them for one: a name server would listen to TCP only."""
    ports = [{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}]
    old, wanted = item("Service", spec={"ports": ports[:1]}), item("Service", spec={"ports": ports})
    assert result(applied(old), wanted) == wanted


def test_an_entry_without_its_key_is_refused_with_its_place() -> None:
    old, new = (
        item("Service", spec={"ports": [{"port": 1}]}),
        item("Service", spec={"ports": [{"name": "x"}]}),
    )
    with pytest.raises(MergeError, match=r"Expected key 'port'.*Service.spec.ports"):
        patch_for(applied(old), new)


def test_nulls_and_other_spellings_of_the_server() -> None:
    """A null is not there; what the server writes in another way is sent again, and is for it to judge."""
    wanted = item(data={"a": None, "b": "1"})
    assert result(applied(item(data={"b": "1"})), wanted) is not None, "the memory differs"
    assert patch_for(applied(wanted), wanted) == {}


def test_an_object_too_large_to_be_remembered_is_applied_without() -> None:
    """The API refuses annotations of more than 256 KiB."""
    wanted = item(data={"a": "x" * 300_000})
    assert annotated(wanted) == wanted
    assert patch_for(wanted, wanted) == {}
    patch = patch_for(item(data={"a": "y", "b": "2"}), wanted)
    assert merge_patch(item(data={"a": "y", "b": "2"}), patch) == item(data={"a": "x" * 300_000, "b": "2"})


def test_without_openshift_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openshift.dynamic.apply", None)
    with pytest.raises(
        KubeError,
        match=r"required Python library \(openshift\).*requirements.txt on the controller; another host.*stage `cluster`",
    ):
        annotated(item())
