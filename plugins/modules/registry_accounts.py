#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Exactly the accounts that a registry shall have."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_accounts
short_description: Give a registry exactly these accounts
version_added: 0.1.0
description:
  - Writes a file of names and bcrypt hashes, as C(docker-registry) reads it. It notices by itself that the file is another one.
  - Accounts that are not named are removed. A hash that fits its password is kept, so that a second run changes nothing.
requirements:
  - The Python library bcrypt on the machine, C(python3-bcrypt) on Debian and Ubuntu.
author: Ironbinder maintainers (@ironbinder)
options:
  path:
    description: The file. Its folder has to exist.
    type: path
    required: true
  accounts:
    description: Passwords by name, of which bcrypt reads the first 72 bytes. Empty removes the file.
    type: dict
    required: true
  owner:
    description: User and group that have the file, and alone may read it.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Says what it would do. User and library may be missing then, as a package may bring them.
  diff_mode:
    support: full
    description: Names of accounts, and whose password is another one. No hash is shown.
  idempotent:
    support: full
    description: A file with exactly these accounts is left alone.
"""

EXAMPLES = r"""
- name: Let one account into the registry
  ironbinder.platform.registry_accounts:
    path: /etc/docker/registry/htpasswd
    accounts:
      binder: "{{ registry_password }}"
    owner: docker-registry
"""

RETURN = r"""
added:
  description: Accounts that were not there.
  returned: success
  type: list
  elements: str
removed:
  description: Accounts that are gone.
  returned: success
  type: list
  elements: str
renewed:
  description: Accounts whose password was another one.
  returned: success
  type: list
  elements: str
"""

import grp
import pwd
import stat
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.accounts import (
    AccountsError,
    Bcrypt,
    Hasher,
    plan,
)

MODE = 0o600


class Unknown:
    """In place of a library that only the run brings: no hash is known to fit."""

    def matches(self, password: str, hashed: str) -> bool:
        """Nobody can tell."""
        return False

    def make(self, password: str) -> str:
        """Nobody can tell."""
        return ""


def _owner(name: str) -> Optional[tuple[int, int]]:
    try:
        return pwd.getpwnam(name).pw_uid, grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _is_right(path: Path, owner: Optional[tuple[int, int]]) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return stat.S_IMODE(found.st_mode) == MODE and (found.st_uid, found.st_gid) == owner


def _printable(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _shown(accounts: Iterable[str], renewed: Collection[str] = ()) -> str:
    return "".join(f"{name}{': another password' if name in renewed else ''}\n" for name in sorted(accounts))


def main() -> None:
    """Compare, do, report."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "accounts": {"type": "dict", "required": True, "no_log": True},
            "owner": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path, accounts = Path(module.params["path"]), module.params["accounts"]
    owner = _owner(module.params["owner"])
    try:
        hasher: Hasher = Bcrypt()
    except ImportError as error:
        if not module.check_mode:
            module.fail_json(
                msg=f"{missing_required_lib('bcrypt')} On Debian and Ubuntu it is python3-bcrypt.",
                exception=str(error),
            )
        hasher = Unknown()
    if owner is None and not module.check_mode:
        module.fail_json(
            msg=f"this machine has no user and group {module.params['owner']}, who shall have {path}"
        )
    try:
        # Whatever stands there, in whatever encoding: what is not UTF-8 is written back as it was.
        before = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else None
        wanted = plan(before, {str(name): str(password) for name, password in accounts.items()}, hasher)
        changed = wanted.text != before or (wanted.text is not None and not _is_right(path, owner))
        if changed and not module.check_mode:
            if wanted.text is None:
                path.unlink()
            else:
                data = wanted.text.encode(errors="surrogateescape")
                write_atomically(path, data, mode=MODE, owner=owner)
    except (AccountsError, OSError) as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {"changed": changed}
    removed = [_printable(name) for name in wanted.removed]
    result.update(added=wanted.added, removed=removed, renewed=wanted.renewed)
    if module._diff:
        names = (set(accounts) - set(wanted.added)) | set(removed)
        result["diff"] = {
            "before": _shown(names),
            "after": _shown(accounts, wanted.renewed),
            "before_header": str(path),
            "after_header": str(path),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
