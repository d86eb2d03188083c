# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Write a new site's secrets on the controller, encrypted where a vault password is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import VAULT_HEADER
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secrets_file import (
    VaultIdError,
    is_there,
    secrets_text,
    vault_secret,
    write_once,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.token_text import new_token


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
                "registry_pull_username": {"type": "str", "default": ""},
                "registry_pull_password": {"type": "str", "default": "", "no_log": True},
            }
        )
        path = Path(options["path"])
        try:
            return result | self._make(path, options)
        except VaultIdError as error:
            told = str(error)
        except (OSError, AnsibleError) as error:
            told = f"{type(error).__name__}: {error}"
        return {**result, "failed": True, "msg": f"{path} could not be made: {told}"}

    def _make(self, path: Path, options: dict[str, Any]) -> dict[str, Any]:
        """Write the file unless it has content. Raises VaultIdError, OSError and AnsibleError."""
        if is_there(path):
            return {"changed": False, "encrypted": path.read_text().startswith(VAULT_HEADER)}
        # The loader holds the passwords of --vault-id, --ask-vault-pass and the configuration alike.
        passwords = self._loader._vault.secrets or []
        chosen = vault_secret(passwords, constants.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY"))
        made: dict[str, Any] = {"changed": True, "encrypted": chosen is not None}
        if path.exists():
            made["warnings"] = [f"{path} was empty, as a run leaves it that was killed: it gets new secrets"]
        if self._task.check_mode:
            return made
        account = (options["registry_username"], options["registry_password"])
        pulling = (options["registry_pull_username"], options["registry_pull_password"])
        text = secrets_text(options["hubs"], *account, token=new_token, pulling=pulling)
        if chosen:
            name, secret = chosen
            # Without a name of its own the file is one that every password may open.
            label = None if name == constants.DEFAULT_VAULT_IDENTITY else name
            text = VaultLib(passwords).encrypt(text, secret=secret, vault_id=label).decode()
        return made | {"changed": write_once(path, text)}
