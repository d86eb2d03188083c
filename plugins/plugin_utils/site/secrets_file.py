# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The text of a new site's secrets.yml, and the one way it gets onto the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["secrets_text", "write_once"]

HEADER = """---
# Secrets of this site, made once by `make site`. Keep them out of git, or keep this file encrypted:
# ansible-vault encrypt secrets.yml; ansible-vault edit secrets.yml
"""


def secrets_text(hubs: Sequence[str], username: str, password: str, token: Callable[[], str]) -> str:
    """Write secrets.yml for these hubs. `token` gives a new token at each call."""
    proxies = {hub: token() for hub in hubs}
    apis = {hub: token() for hub in hubs}
    builds = {hub: token() for hub in hubs}
    # JSON is YAML in which quotes, umlauts and backslashes of a password need no thought. The tag keeps
    # Ansible from reading a template into it.
    return HEADER + "".join(
        [
            f"site_hub_proxy_tokens: {json.dumps(proxies)}\n",
            f"site_hub_api_tokens: {json.dumps(apis)}\n",
            f"site_hub_build_token_secrets: {json.dumps(builds)}\n",
            "# Account that pushes to and pulls from the registry. Empty: the registry asks for none.\n",
            f"{'' if username else '#'}site_registry_username: {json.dumps(username)}\n",
            f"site_registry_password: {'!unsafe ' if password else ''}{json.dumps(password)}\n",
        ]
    )


def write_once(path: Path, text: str) -> bool:
    """Write a new file that only its owner can read, and say whether it was new. Never overwrites."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return True
