# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files of accounts, with the hashes that registries read."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.accounts import (
    AccountsError,
    Bcrypt,
    plan,
)

bcrypt = pytest.importorskip("bcrypt")

HASHER = Bcrypt()
LINE = f"binder:{HASHER.make('correct horse')}\n"


def test_a_hash_is_one_that_registries_read() -> None:
    hashed = HASHER.make("correct horse")
    # Go's bcrypt, which docker-registry uses, knows these versions.
    assert hashed.startswith(("$2a$", "$2b$", "$2y$"))
    assert HASHER.matches("correct horse", hashed)
    # What community.general.htpasswd wrote before, with more rounds.
    older = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(5)).decode().replace("$2b$", "$2y$")
    assert HASHER.matches("correct horse", older)
    assert not HASHER.matches("wrong horse", hashed)
    for other in ("", "plain", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "$apr1$x$y", hashed[:-10]):
        assert not HASHER.matches("correct horse", other)


def test_a_file_that_fits_stays_as_it_is() -> None:
    for text in (LINE, f"# a comment\n\n{LINE}", LINE.rstrip("\n")):
        found = plan(text, {"binder": "correct horse"}, HASHER)
        assert (found.text, found.added, found.removed, found.renewed) == (text, [], [], [])


def test_accounts_come_and_go() -> None:
    found = plan(f"{LINE}old:x\n", {"binder": "correct horse", "admin": "another"}, HASHER)
    assert (found.added, found.removed, found.renewed) == (["admin"], ["old"], [])
    assert found.text is not None
    assert LINE in found.text
    assert [line.partition(":")[0] for line in found.text.splitlines()] == ["admin", "binder"]
    assert plan(None, {}, HASHER).text is None
    assert plan(LINE, {}, HASHER).text is None
    assert plan(LINE, {}, HASHER).removed == ["binder"]


def test_another_password_is_another_hash() -> None:
    found = plan(LINE, {"binder": "wrong horse"}, HASHER)
    assert (found.added, found.removed, found.renewed) == ([], [], ["binder"])
    assert found.text is not None
    assert HASHER.matches("wrong horse", found.text.strip().partition(":")[2])


def test_a_name_that_stands_twice_stands_once_then() -> None:
    found = plan(f"binder:x\n{LINE}", {"binder": "correct horse"}, HASHER)
    assert found.text == LINE


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a\n", "#a"])
def test_names_that_no_file_holds_are_refused(name: str) -> None:
    with pytest.raises(AccountsError, match="no account's name"):
        plan(None, {name: "x"}, HASHER)


def test_what_bcrypt_does_not_read_makes_no_difference() -> None:
    hashed = HASHER.make("ü" * 36 + "one")
    assert HASHER.matches("ü" * 36 + "another", hashed)
    assert not HASHER.matches("ü" * 35 + "u", hashed)


@pytest.mark.parametrize("password", ["", "a\0b"])
def test_passwords_without_a_hash_are_refused(password: str) -> None:
    with pytest.raises(AccountsError, match="password of binder is empty, or holds a zero byte"):
        plan(None, {"binder": password}, HASHER)
