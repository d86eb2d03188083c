# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The file of a new site's secrets: what is in it, and that it is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    SIGN_IN_TOKENS,
    TOKENS,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secrets_file import (
    VaultIdError,
    is_there,
    secrets_text,
    vault_secret,
    write_once,
)

NASTY = "a'b\"c d ü # \\ {{ x }}"


def test_new_secrets(tmp_path: Path) -> None:
    """New secrets are two tokens a hub, for the owner only, and are never written over."""
    numbers = iter(range(10))
    text = secrets_text(["binder", "private"], "user", NASTY, lambda: f"{next(numbers):064x}")

    class Loader(yaml.SafeLoader):
        """Knows Ansible's tag."""

    def scalar(loader: Loader, node: yaml.ScalarNode) -> Any:
        return loader.construct_scalar(node)

    Loader.add_constructor("!unsafe", scalar)
    read = yaml.load(text, Loader=Loader)
    assert read["site_registry_password"] == NASTY
    tokens = [token for name in TOKENS if name not in SIGN_IN_TOKENS for token in read[name].values()]
    assert len(set(tokens)) == len(tokens) == 6
    assert "site_registry_pull_username" not in read
    assert read["site_registry_pull_password"] == ""
    path = tmp_path / "group_vars" / "all" / "secrets.yml"
    assert write_once(path, text) is True
    assert path.stat().st_mode & 0o777 == 0o600
    assert write_once(path, "other") is False
    assert path.read_text() == text


def test_an_account_that_only_pulls_gets_a_password() -> None:
    tokens = iter("abcd")
    text = secrets_text(["binder"], "user", "p", lambda: next(tokens), pulling=("puller", ""))
    assert 'site_registry_pull_username: "puller"\nsite_registry_pull_password: !unsafe "d"\n' in text
    given = secrets_text(["binder"], "user", "p", lambda: "x", pulling=("puller", "given"))
    assert 'site_registry_pull_password: !unsafe "given"\n' in given


@pytest.mark.parametrize("left", ["", "\n", " \n\n"])
def test_an_empty_file_is_not_there(tmp_path: Path, left: str) -> None:
    """What a run that was killed left behind does not keep a site without secrets for ever."""
    path = tmp_path / "secrets.yml"
    path.write_text(left)
    assert not is_there(path)
    assert write_once(path, "site_registry_password: x\n") is True
    assert path.read_text() == "site_registry_password: x\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_there(path)


def test_a_kill_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment at which the content would reach the disk there is no file of that name yet."""
    path = tmp_path / "secrets.yml"

    def killed(_handle: int) -> None:
        assert not path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_once(path, "content")
    assert list(tmp_path.iterdir()) == []


def test_the_named_vault_id_encrypts() -> None:
    """Of several passwords the named one; without a name the first; without passwords none."""
    passwords = [("default", "a"), ("stfc", "b")]
    assert vault_secret(passwords, None) == ("default", "a")
    assert vault_secret(passwords, "stfc") == ("stfc", "b")
    assert vault_secret([], None) is None


@pytest.mark.parametrize("passwords", [[], [("default", "a")]])
def test_another_password_never_steps_in(passwords: list[tuple[str, str]]) -> None:
    """The one that the configuration names is missing: whoever has only that one could not read the file."""
    with pytest.raises(VaultIdError, match=r"stfc.*--vault-id stfc@"):
        vault_secret(passwords, "stfc")
