# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""JSON as others write it, well or not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.json_text import read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, 2.5, null, true, "\xc3\xbc"]}', {"a": [1, 2.5, None, True, "ü"]}),
        (b'"\\ud83d\\ude00 and \xf0\x9f\x98\x80"', "😀 and 😀"),
        ('"\\u00fc"', "ü"),
        (b'{"\\ud800 k": ["\\udc00", {"a": "b\\ud800"}]}', {"? k": ["?", {"a": "b?"}]}),
        (b'"\xed\xa0\x80"', "?"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"\xef\xbb\xbf[]", []),
    ],
)
def test_what_is_read_can_be_written(text: bytes | str, value: Any) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(text)
