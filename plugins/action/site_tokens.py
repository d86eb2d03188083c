# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Add the tokens of new hubs to a site's secrets, and touch nothing else of them."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, parse_vaulttext_envelope
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import HUB_LABEL
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import VAULT_HEADER
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.token_text import (
    TOKENS_OF_HUBS,
    TokenTextError,
    lacking_tokens,
    new_token,
    variables_in,
    with_tokens,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues


class ActionModule(ActionBase):
    """Finds hubs without tokens, and gives them some."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write what is missing; where that cannot be, fail or warn, and leave the file as it is."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "refuse": {"type": "bool", "default": True},
            }
        )
        path = Path(options["path"])
        values = SiteValues(self._loader, self._templar, task_vars or {})
        result |= {"changed": False, "added": {}, "path": str(path)}
        try:
            lacking = _lacking(values)
            if not lacking:
                return result
            self._add(path, lacking, set(values.raw()))
            return {**result, "changed": True, "added": lacking}
        except TokenTextError as error:
            told = str(error)
        except (OSError, AnsibleError, UnicodeDecodeError) as error:
            told = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
        names = ", ".join(f"{variable}.{hub}" for variable, hubs in lacking.items() for hub in hubs)
        msg = f"{path} did not get {names}: {told}"
        return {**result, "failed": True, "msg": msg} if options["refuse"] else {**result, "warnings": [msg]}

    def _add(self, path: Path, lacking: Mapping[str, Iterable[str]], given: set[str]) -> None:
        """Write the file anew. Raises TokenTextError, OSError and AnsibleError."""
        # A file that several sites link to stays one.
        place = path.resolve()
        if not place.is_file():
            raise TokenTextError("there is no such file: `make site NAME=<site>` writes one")
        # As bytes: a file's line ends are its own.
        text, known = place.read_bytes().decode(), place.stat()
        encrypted = text.startswith(VAULT_HEADER)
        vault, secret, label = VaultLib(self._loader._vault.secrets or []), None, None
        if encrypted:
            plain, _, secret = vault.decrypt_and_get_vault_id(text)
            label, text = _label(text), plain.decode()
        # A variable that comes from elsewhere would be hidden, or hide what is written here.
        strange = [name for name in lacking if name in given and name not in variables_in(text)]
        if strange:
            raise TokenTextError(
                f"{', '.join(strange)} is set elsewhere; add the hub's there: openssl rand -hex 32"
            )
        text = with_tokens(text, lacking, new_token)
        if self._task.check_mode:
            return
        content = vault.encrypt(text, secret=secret, vault_id=label).decode() if encrypted else text
        # Who may read it stays as it is, too; preflight tells where that is too many.
        owner, mode = (known.st_uid, known.st_gid), stat.S_IMODE(known.st_mode)
        write_atomically(place, content, mode=mode, owner=owner)


def _label(text: str) -> str | None:
    """Give the vault id in a file's header, None where it has none."""
    _, _, version, label = parse_vaulttext_envelope(text.encode())
    return label if version != b"1.1" else None


def _lacking(values: SiteValues) -> dict[str, list[str]]:
    """Look for hubs without tokens. What cannot be computed is preflight's to tell, and lacks nothing here."""
    hubs = {
        name: hub for name, hub in as_mapping(values.find("site_hubs")).items() if HUB_LABEL.fullmatch(name)
    }
    tokens: dict[str, list[str]] = {}
    for variable in TOKENS_OF_HUBS:
        found = values.find(variable, default=None)
        unknown = found is None and variable in values.raw()
        tokens[variable] = (
            list(hubs)
            if unknown
            else [name for name, token in as_mapping(found).items() if token and str(token).strip()]
        )
    return lacking_tokens(hubs, tokens)
