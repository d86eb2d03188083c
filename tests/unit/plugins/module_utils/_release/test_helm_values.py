# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import (
    as_helm_text,
    masked_diff,
    merge,
    same,
    secret_texts,
)
from hypothesis import given
from hypothesis import strategies as st

AWKWARD = "Pä\"s's {{ x }} # \\ 1e3 \u2028 \x85 😀"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{}, {}], {}),
        ([{"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}], {"a": {"b": 3, "c": 2}}),
        ([{"a": [1, 2]}, {"a": [3]}], {"a": [3]}),
        ([{"a": {"b": 1}}, {"a": None}], {"a": None}),
        ([{"a": None}, {"a": {"b": 1}}], {"a": {"b": 1}}),
        ([{"a": 1}, {"a": {"b": 1}}], {"a": {"b": 1}}),
        ([{"a": 1}, {"b": 2}, {"a": 3}], {"a": 3, "b": 2}),
    ],
)
def test_merge_does_as_helm_does(layers: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert merge(*layers) == expected


def test_merge_leaves_its_arguments_alone() -> None:
    first = {"a": {"b": 1}}
    merge(first, {"a": {"c": 2}})
    assert first == {"a": {"b": 1}}


def test_merge_keeps_the_very_string() -> None:
    class Marked(str):
        pass

    secret = Marked("{{ x }}")
    assert merge({"a": {}}, {"a": {"b": secret}})["a"]["b"] is secret


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, {}, False),
        ("1", 1, False),
        ({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        ("ab", ["a", "b"], False),
    ],
)
def test_same(left: Any, right: Any, expected: bool) -> None:
    assert same(left, right) is expected


def test_helm_text_quotes_what_yaml_would_guess_at() -> None:
    text = as_helm_text({"a": "1e3", "b": AWKWARD, "c": "0o7", "d": "null", "e": 30585, "f": None})
    assert '"1e3"' in text
    assert "\x85" not in text
    assert "\u2028" not in text
    assert "\\ud83d" not in text, "a YAML parser refuses half a character"
    assert json.loads(text)["b"] == AWKWARD
    assert yaml.safe_load(text)["b"] == AWKWARD


@given(st.text())
def test_helm_text_carries_any_string_unchanged(value: str) -> None:
    assert yaml.safe_load(as_helm_text({"a": value}))["a"] == value


def test_secret_texts_are_strings_and_their_base64() -> None:
    encoded = base64.b64encode(b"geheim").decode()
    assert secret_texts({"a": {"b": ["geheim", "", 5, None]}}) == {"geheim", encoded}


def test_diff_says_that_a_secret_changed_and_not_what_it_is() -> None:
    before, after = masked_diff(
        {"image": "a", "pw": "old-secret", "other": "same-secret"},
        {"image": "b"},
        {"pw": "new-secret", "other": "same-secret", "fresh": "fresh-secret"},
    )
    assert "secret, changed" in after
    assert after.count("changed") == 1
    assert "image: a" in before
    assert "image: b" in after
    assert not [word for word in ("old-", "new-", "same-", "fresh-") if word in before + after]


def test_diff_hides_what_was_secret_once_and_is_wanted_no_more() -> None:
    before, _after = masked_diff({"image": "a", "gone": "old-value"}, {"image": "a"}, {})
    assert "old-value" not in before
    assert "gone: (secret)" in before


def test_diff_hides_values_with_telling_names() -> None:
    before, after = masked_diff({"a": {"apiToken": "one"}}, {"a": {"apiToken": "two"}}, {})
    assert "one" not in before
    assert "two" not in after
    assert "changed" in after


def test_diff_of_a_first_install_has_nothing_before() -> None:
    assert masked_diff(None, {"a": 1}, {}) == ("", "a: 1\n")


def test_diff_survives_a_mapping_in_the_place_of_a_scalar() -> None:
    before, after = masked_diff({"a": 1}, {"a": {"b": 2}}, {"a": {"c": "x"}})
    assert "x" not in after.replace("secret", "")
    assert before


def test_an_account_in_a_url_is_not_shown() -> None:
    """Also of one that was deployed, and is a proxy without an account now."""
    before = {"extraEnv": {"http_proxy": "http://site:s3cret@proxy:3128"}}
    shown = masked_diff(before, {"extraEnv": {"http_proxy": "http://proxy:3128"}}, {})
    assert (
        "s3cret" not in "".join(shown) and "http://proxy:3128" not in shown[0] and "changed" not in shown[0]
    )
    assert "http://proxy:3128" in shown[1]
    assert "s3cret" not in "".join(masked_diff({}, before, {}))
