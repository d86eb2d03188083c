# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The text of a new site's secrets.yml, and the one way it gets onto the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically

__all__ = ["VaultIdError", "is_there", "secrets_text", "vault_secret", "write_once"]

HEADER = """---
# Secrets of this site, made once by `make site`. Keep them out of git, or keep this file encrypted:
# ansible-vault encrypt secrets.yml; ansible-vault edit secrets.yml
"""


class VaultIdError(ValueError):
    """A vault id without a password. Its text names the id and the remedy."""


def _account(prefix: str, username: str, password: str) -> list[str]:
    return [
        f"{'' if username else '#'}{prefix}_username: {json.dumps(username)}\n",
        f"{prefix}_password: {'!unsafe ' if password else ''}{json.dumps(password)}\n",
    ]


def secrets_text(
    hubs: Sequence[str],
    username: str,
    password: str,
    token: Callable[[], str],
    pulling: tuple[str, str] = ("", ""),
) -> str:
    """Write secrets.yml for these hubs.

    Args:
        hubs: their names.
        username: account that pushes, `` for none.
        password: its password.
        token: gives a new token at each call.
        pulling: name and password of the account that only pulls. One with a name gets a password.
    """
    proxies = {hub: token() for hub in hubs}
    apis = {hub: token() for hub in hubs}
    builds = {hub: token() for hub in hubs}
    puller, pull_password = pulling
    if puller and not pull_password:
        pull_password = token()
    # JSON is YAML in which quotes, umlauts and backslashes of a password need no thought. The tag keeps
    # Ansible from reading a template into it.
    return HEADER + "".join(
        [
            f"site_hub_proxy_tokens: {json.dumps(proxies)}\n",
            f"site_hub_api_tokens: {json.dumps(apis)}\n",
            f"site_hub_build_token_secrets: {json.dumps(builds)}\n",
            "# Account that pushes to and pulls from the registry. Empty: the registry asks for none.\n",
            *_account("site_registry", username, password),
            "# Account that only pulls, for sessions. Empty: they pull with the one above.\n",
            *_account("site_registry_pull", puller, pull_password),
            '# Build tokens of hubs that ask for one, for the launch at the end: {binder: "..."}.\n',
            "#site_verify_build_tokens: {}\n",
            "# What BinderHub asks GitHub and GitLab with. Builds clone with it: give it no scope.\n",
            '#site_github_access_token: ""\n',
            '#site_gitlab_access_token: ""\n',
            "# Of hubs on which people sign in, see docs/sign-in.md: what it takes, and by what token the launch comes in,\n",
            '# {private: {client_secret: "..."}} and {private: "..."}.\n',
            "#site_hub_auth_secrets: {}\n",
            "#site_hub_verify_tokens: {}\n",
        ]
    )


def is_there(path: Path) -> bool:
    """Whether a file has any content. An empty one is what a run left that was killed while it wrote."""
    return path.exists() and bool(path.read_text(encoding="utf-8", errors="replace").strip())


def write_once(path: Path, text: str) -> bool:
    """Write a file that only its owner can read, whole or not at all, and say whether it was written.

    A file with content is never overwritten; an empty one counts as not there.

    Raises:
        OSError: as the system has it.
    """
    if is_there(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomically(path, text, mode=0o600, replace=path.exists())


def vault_secret(passwords: Sequence[tuple[str, Any]], identity: str | None) -> tuple[str, Any] | None:
    """Choose the password that encrypts.

    Args:
        passwords: Ansible's (vault id, secret), in its order.
        identity: the id that the configuration names for encrypting, if any.

    Returns:
        (vault id, secret); None where nothing is to be encrypted.

    Raises:
        VaultIdError: the named id is not among the passwords. Another one would lock out whoever has that one.
    """
    if not identity:
        return passwords[0] if passwords else None
    found = next((entry for entry in passwords if entry[0] == identity), None)
    if found is None:
        known = ", ".join(name for name, _ in passwords) or "none"
        raise VaultIdError(
            f"the configuration names the vault id {identity} for encrypting (vault_encrypt_identity), and its password was "
            f"not given (given: {known}): add --vault-id {identity}@prompt, or --vault-id {identity}@FILE"
        )
    return found
