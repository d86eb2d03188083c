# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Nested mappings as Helm uses them: merged, compared, written, and shown without their secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

__all__ = ["as_helm_text", "masked_diff", "merge", "same", "secret_texts"]

Path = tuple[str, ...]

HIDDEN = "(secret)"
# Characters that JSON leaves alone in a string and YAML folds, refuses or drops.
_YAML_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
# Names of keys whose values are never shown, wherever they came from.
_SECRET_NAME = re.compile(r"token|password|passwd|secret|credential|private_?key|api_?key", re.IGNORECASE)
# The same wherever a value is a URL with an account in it, such as a proxy's.
_ACCOUNT = re.compile(r"://[^/\s]*@")


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `layers` the way Helm merges values files: later ones win, mappings merge, lists are replaced.

    Scalars are passed on as they are, so that Ansible's marks on untrusted strings survive.
    """
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            before = result.get(key)
            if isinstance(value, Mapping):
                result[key] = merge(before if isinstance(before, Mapping) else {}, value)
            else:
                result[key] = value
    return result


def same(left: Any, right: Any) -> bool:
    """Compare two values as JSON would: 1 is 1.0, but not true."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def as_helm_text(values: Mapping[str, Any]) -> str:
    """Write `values` for `helm --values`: JSON, which is YAML that needs no guessing.

    PyYAML writes YAML 1.1 and leaves `1e3` unquoted; Helm's parser reads that as a number.
    """
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return _YAML_UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"


def _leaves(values: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _leaves(value, (*path, str(key)))
    elif path:
        yield path, values


def secret_texts(values: Any) -> set[str]:
    """Return every string in `values`, however deep, and the same in base64 as a Secret's manifest has it."""
    if isinstance(values, Mapping):
        return {text for value in values.values() for text in secret_texts(value)}
    if _is_list(values):
        return {text for value in values for text in secret_texts(value)}
    if not isinstance(values, str) or not values:
        return set()
    return {str(values), base64.b64encode(values.encode()).decode()}


def _at(values: Any, path: Path) -> tuple[bool, Any]:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False, None
        values = values[key]
    return True, values


def _is_secret(path: Path, value: Any) -> bool:
    return any(_SECRET_NAME.search(key) for key in path) or bool(_ACCOUNT.search(str(value)))


def _put(target: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):  # a scalar on one side, a mapping on the other
            return
    target[path[-1]] = value


def masked_diff(
    before: Optional[Mapping[str, Any]], public: Mapping[str, Any], secrets: Mapping[str, Any]
) -> tuple[str, str]:
    """Show a change of values without a secret in it.

    Args:
        before: the deployed values, public and secret in one; None where nothing is deployed.
        public: the wanted values that may be shown.
        secrets: the wanted values that may not. Of these only is shown whether one changed.

    Returns:
        The text before and the text after, as YAML. A deployed value that is not among the wanted
        public ones may have been a secret, so that it is shown as hidden too.
    """
    secret_paths = {path for path, _value in _leaves(secrets)}
    shown_before: dict[str, Any] = {}
    shown_after: dict[str, Any] = {}
    for path, value in _leaves(before or {}):
        known, _wanted = _at(public, path)
        hidden = path in secret_paths or not known or _is_secret(path, value)
        _put(shown_before, path, HIDDEN if hidden else value)
    for path, value in _leaves(merge(public, secrets)):
        hidden = path in secret_paths or _is_secret(path, value)
        there, deployed = _at(before or {}, path)
        changed = f"{HIDDEN[:-1]}, changed)" if there and not same(deployed, value) else HIDDEN
        _put(shown_after, path, changed if hidden else value)
    return _yaml(shown_before) if before is not None else "", _yaml(shown_after)


def _yaml(values: Mapping[str, Any]) -> str:
    # Through JSON first: Ansible's own string types are nothing that a safe dumper knows.
    return str(yaml.safe_dump(json.loads(json.dumps(values, default=str)), allow_unicode=True))
