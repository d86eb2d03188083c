# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A file of accounts as web servers read it, `name:hash` by line: exactly the wanted ones, and no hash made in vain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

__all__ = ["AccountsError", "Bcrypt", "Hasher", "Plan", "plan"]

# bcrypt reads no more of a password, neither here nor in the registry. Newer libraries want to be spared the rest.
PASSWORD_BYTES = 72
# 2^10 rounds: what servers compute for each single request, some 50 ms.
ROUNDS = 10


class AccountsError(ValueError):
    """An account that cannot be made. The text names it and says why; no password is in it."""


class Hasher(Protocol):
    """Makes hashes, and compares with them."""

    def matches(self, password: str, hashed: str) -> bool:
        """Whether `hashed` was made of `password`."""

    def make(self, password: str) -> str:
        """Return a new hash."""


def _read(password: str) -> bytes:
    return password.encode()[:PASSWORD_BYTES]


class Bcrypt:
    """The scheme that docker-registry reads, and no other. Raises ImportError without the library bcrypt."""

    def __init__(self) -> None:
        import bcrypt  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 a bare machine in a check has none

        self._bcrypt = bcrypt

    def matches(self, password: str, hashed: str) -> bool:
        """Whether `hashed` was made of `password`; what is no hash of this scheme was not."""
        try:
            return bool(self._bcrypt.checkpw(_read(password), hashed.encode()))
        except ValueError:
            return False

    def make(self, password: str) -> str:
        """Return a new hash."""
        made: bytes = self._bcrypt.hashpw(_read(password), self._bcrypt.gensalt(ROUNDS))
        return made.decode()


@dataclass(frozen=True)
class Plan:
    """The file as it has to be, None for none, and which accounts differ from what is there."""

    text: Optional[str]
    added: Sequence[str]
    removed: Sequence[str]
    renewed: Sequence[str]


def _refuse(name: str, password: str) -> None:
    if not name or ":" in name or name.startswith("#") or any(char.isspace() for char in name):
        raise AccountsError(
            f"{name!r} is no account's name: leave out colons, spaces, and a # at the beginning"
        )
    if not password or "\0" in password:
        raise AccountsError(
            f"the password of {name} is empty, or holds a zero byte, which no hash is made of"
        )


def plan(text: Optional[str], accounts: Mapping[str, str], hasher: Hasher) -> Plan:
    """Compare a file with the accounts that are wanted.

    Args:
        text: the file as it is, None where there is none.
        accounts: {name: password}.
        hasher: makes and compares hashes.

    Returns:
        The file as it has to be. Lines that fit stay as they are; where all do, so does the file.

    Raises:
        AccountsError: a name or a password that no such file can hold.
    """
    for name, password in accounts.items():
        _refuse(name, password)
    lines = [line for line in (text or "").splitlines() if line.strip() and not line.startswith("#")]
    # Where a name stands twice, the reader takes the last, and so do we.
    there = {name: hashed for name, _, hashed in (line.partition(":") for line in lines)}
    fitting = {
        name: there[name]
        for name, password in accounts.items()
        if name in there and hasher.matches(password, there[name])
    }
    wanted = {name: fitting.get(name) or hasher.make(password) for name, password in accounts.items()}
    same = wanted == there and len(lines) == len(there)
    fresh = "".join(f"{name}:{hashed}\n" for name, hashed in sorted(wanted.items())) if wanted else None
    return Plan(
        text=text if same and wanted else fresh,
        added=sorted(set(wanted) - set(there)),
        removed=sorted(set(there) - set(wanted)),
        renewed=sorted(name for name in wanted if name in there and name not in fitting),
    )
