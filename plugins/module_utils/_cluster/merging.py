# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What has to change in an object: openshift's three-way merge, as `kubectl apply` does it. Pure functions.

The fields of the last application that are wanted no longer go, what others have added stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import LAST_APPLIED
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import library_missing

__all__ = ["MergeError", "annotated", "merge_patch", "patch_for"]

# All annotations of an object together may have this many bytes:
# https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/. Some for the others.
_MOST_BYTES = 250_000


class MergeError(ValueError):
    """Lists that cannot be merged. Its text names the place."""


def merge_patch(target: Any, patch: Any) -> Any:
    """Return what a merge patch makes of `target` (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def annotated(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the annotation that remembers what was applied.

    An object too large for it goes without, as with `kubectl create`: then nothing is known to prune the next time.
    """
    try:
        from openshift.dynamic.apply import annotate, dict_merge  # noqa: PLC0415 only where objects are applied
    except ImportError as error:
        raise library_missing("openshift") from error
    mark = annotate(wanted)
    if len(mark["metadata"]["annotations"][LAST_APPLIED].encode()) > _MOST_BYTES:
        return dict(wanted)
    return dict(dict_merge(wanted, mark))


def patch_for(actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes `actual` as wanted, {} where it is.

    Raises:
        MergeError: an entry of a list lacks what tells it from the others.
        KubeError: openshift is missing.
    """
    full = annotated(wanted)
    from openshift.dynamic.apply import ApplyException, merge  # noqa: PLC0415 `annotated` has said where it is missing

    remembered = (actual.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        last = annotated(json.loads(remembered)) if remembered else full
    except (ValueError, TypeError):  # somebody wrote it by hand
        last = full
    try:
        patch = merge(last, full, actual)
    except ApplyException as error:
        raise MergeError(str(error)) from error
    patch = _mended(patch, full, str(wanted["kind"]))
    return {} if merge_patch(actual, patch) == actual else patch


def _mended(patch: Any, wanted: Any, position: str) -> Any:
    """Put right what openshift 0.13 does to lists.

    It leaves out empty entries, `- {}` of a NetworkPolicy for example, which allows everything; and it takes entries of one
    key for one, port 53 of TCP and of UDP for example.
    """
    from openshift.dynamic.apply import STRATEGIC_MERGE_PATCH_KEYS  # noqa: PLC0415

    if isinstance(patch, Mapping) and isinstance(wanted, Mapping):
        return {
            key: _mended(value, wanted[key], f"{position}.{key}") if key in wanted else value
            for key, value in patch.items()
        }
    if not isinstance(patch, list) or not isinstance(wanted, list):
        return patch
    key = STRATEGIC_MERGE_PATCH_KEYS.get(position)
    if key is None or len({str(entry.get(key)) for entry in wanted}) < len(wanted):
        return wanted
    # The wanted entries come first and in their order, then those of others.
    return [_mended(own, entry, position) for own, entry in zip(patch, wanted)] + patch[len(wanted) :]
