# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Values against the types of an argument spec, more strictly than Ansible coerces them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["type_fault"]

BOOLEAN_TEXTS = frozenset({"yes", "no", "on", "off", "true", "false"})


def _is_int(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("-").isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in BOOLEAN_TEXTS)


CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("text", lambda value: isinstance(value, str)),
    "path": ("a path", lambda value: isinstance(value, str)),
    "int": ("a whole number", _is_int),
    "float": ("a number", lambda value: _is_int(value) or isinstance(value, float)),
    "bool": ("true or false", _is_bool),
    "list": ("a list", lambda value: isinstance(value, (list, tuple))),
    "dict": ("a mapping", lambda value: isinstance(value, Mapping)),
    "raw": ("anything", lambda value: True),
}

NAMES = {"str": "text", "bool": "true or false", "int": "a number", "float": "a number with a decimal point"}


def _shown(value: Any) -> str:
    kind = type(value).__name__
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"{NAMES.get(kind, kind)}, {str(value)[:40]!r}"


def type_fault(value: Any, spec: Mapping[str, Any]) -> str:
    """Say what is wrong with a value's type, or nothing.

    Args:
        value: what the inventory gives.
        spec: one option of an argument spec: `type`, `elements`, `choices`, `options`.

    Returns:
        A text like "is a list, not text", or ``.
    """
    kind = spec.get("type") or "str"
    name, check = CHECKS.get(kind, CHECKS["raw"])
    if not check(value):
        return f"is {_shown(value)}, not {name}"
    choices = spec.get("choices")
    # Of a list, Ansible's choices are those of each entry.
    if isinstance(choices, list) and kind != "list" and value not in choices:
        return f"is {str(value)[:40]!r}, not one of {', '.join(map(str, choices))}"
    element = spec.get("elements")
    if kind == "list" and isinstance(element, str):
        options = spec.get("options")
        inner = {"type": element, "options": options, "choices": choices}
        for index, entry in enumerate(value):
            fault = type_fault(entry, inner)
            if fault:
                return f"has entry {index + 1}, which {fault}"
    return ""
