# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Texts of PEM files."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.pem import certificates


def pem(text: str, end: str = "\n") -> str:
    return f"-----BEGIN CERTIFICATE-----{end}{text}{end}-----END CERTIFICATE-----"


CASES = {
    "one": (pem("a"), [pem("a")]),
    "two and words between": (f"# one\n{pem('a')}\nsubject=x\n{pem('b')}\n", [pem("a"), pem("b")]),
    "the same twice": (f"{pem('a')}\n{pem('a')}\n", [pem("a")]),
    "glued together, as files without a last end of line are": (pem("a") + pem("b"), [pem("a"), pem("b")]),
    "a key is no certificate": ("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", []),
    "cut off": ("-----BEGIN CERTIFICATE-----\nabc", []),
    "lines of Windows": (pem("a", "\r\n"), [pem("a", "\r\n")]),
    "nothing": ("", []),
}


@pytest.mark.parametrize(("text", "found"), CASES.values(), ids=CASES.keys())
def test_certificates(text: str, found: list[str]) -> None:
    assert certificates(text) == [f"{entry}\n" for entry in found]
