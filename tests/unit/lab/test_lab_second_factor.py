# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The hub's image brings what nativeauthenticator asks of `onetimepass`: the second factor of RFC 6238."""

from __future__ import annotations

import importlib.util
import types
from base64 import b32encode
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[3] / "lab" / "images" / "k8s-hub" / "onetimepass.py"
# RFC 6238, appendix B.
SECRET = b32encode(b"12345678901234567890").decode()


@pytest.fixture
def onetimepass() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("onetimepass", FILE)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("seconds", "token"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_of_the_standard(
    onetimepass: types.ModuleType, monkeypatch: pytest.MonkeyPatch, seconds: int, token: str
) -> None:
    monkeypatch.setattr(onetimepass.time, "time", lambda: seconds)
    assert onetimepass.valid_totp(token, SECRET)
    assert onetimepass.valid_totp(int(token), SECRET.lower())
    assert not onetimepass.valid_totp("000000", SECRET)
    monkeypatch.setattr(onetimepass.time, "time", lambda: seconds + 60)
    assert not onetimepass.valid_totp(token, SECRET)


@pytest.mark.parametrize("token", ["", "12 345", "x", "-1"])
def test_what_is_no_code(onetimepass: types.ModuleType, token: str) -> None:
    assert not onetimepass.valid_totp(token, SECRET)
