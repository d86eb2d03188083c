# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Write a new site's secrets on the controller, encrypted where a vault password is known."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.parsing.vault import VaultLib
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import VAULT_HEADER
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secrets_file import (
    secrets_text,
    write_once,
)

TOKEN_BYTES = 32


class ActionModule(ActionBase):
    """Makes secrets where there are none."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the file unless it exists."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "hubs": {"type": "list", "elements": "str", "default": ["binder"]},
                "registry_username": {"type": "str", "default": ""},
                "registry_password": {"type": "str", "default": "", "no_log": True},
            }
        )
        path = Path(options["path"])
        # The loader holds the passwords of --vault-id, --ask-vault-pass and the configuration alike.
        passwords = self._loader._vault.secrets
        result["encrypted"] = path.read_text().startswith(VAULT_HEADER) if path.exists() else bool(passwords)
        result["changed"] = not path.exists()
        if result["changed"] and not self._task.check_mode:
            account = (options["registry_username"], options["registry_password"])
            text = secrets_text(options["hubs"], *account, token=lambda: secrets.token_hex(TOKEN_BYTES))
            if passwords:
                identity = constants.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY")
                chosen = next(
                    (secret for name, secret in passwords if identity and name == identity), passwords[0][1]
                )
                text = VaultLib(passwords).encrypt(text, secret=chosen).decode()
            result["changed"] = write_once(path, text)
        return result
