# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs that are added get their tokens, and nothing else of secrets.yml changes."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.parsing.vault import VaultLib, VaultSecret
from controller_runs import GOOD, ROOT, ids, make_site, play

OLD = {"proxy": "a" * 64, "api": "b" * 64, "build": "c" * 64}
SECRETS = f"""---
# Made once, and kept.
site_hub_proxy_tokens: {{"binder": "{OLD["proxy"]}"}} # of the hub
site_hub_api_tokens:
  # The public one.
  binder: {OLD["api"]}  # since March

site_hub_build_token_secrets: {{"binder": "{OLD["build"]}"}}
site_registry_password: !unsafe "{{{{ as it is }}}}"
#site_verify_build_tokens: {{}}
"""
NAMES = ("site_hub_proxy_tokens", "site_hub_api_tokens", "site_hub_build_token_secrets")
HUBS = {"binder": {}, "private": {"public_url": "http://localhost"}}
ME = ("-e", f"ansible_python_interpreter={sys.executable}")


def site_with(folder: Path, text: str, hubs: object = HUBS) -> Path:
    values = {key: value for key, value in GOOD.items() if "tokens" not in key}
    hosts = {"head": {"head1": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}
    site = make_site(
        folder, hosts, {**values, "site_hubs": hubs, "site_floating_pool": "192.0.2.1-192.0.2.2"}
    )
    file = site / "group_vars/all/secrets.yml"
    file.write_text(text)
    file.chmod(0o600)
    return site


def make_secrets(site: Path, *arguments: str) -> tuple[int, str]:
    """Run the verb; give the exit code and the output."""
    done = play("-i", str(site), str(ROOT / "playbooks/secrets.yml"), *ME, *arguments)
    return done.returncode, done.stdout + done.stderr


def tokens_in(text: str) -> dict[str, dict[str, str]]:
    told = yaml.safe_load(text.replace("!unsafe ", ""))
    return {name: told[name] for name in NAMES}


def test_only_tokens_are_added(tmp_path: Path) -> None:
    site = site_with(tmp_path / "site", SECRETS)
    file = site / "group_vars/all/secrets.yml"
    code, output = make_secrets(site, "--check")
    assert (code, file.read_text()) == (0, SECRETS), output
    code, output = make_secrets(site, "-vvv", "--diff")
    assert code == 0, output
    text = file.read_text()
    told = tokens_in(text)
    fresh = [hubs.pop("private") for hubs in told.values()]
    assert list(told.values()) == [{"binder": secret} for secret in OLD.values()]
    assert len(set(fresh)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", token) for token in fresh)
    # No run shows one, not even one that shows everything.
    assert not any(token in output for token in (*fresh, *OLD.values()))
    # Of the lines that were there, two became longer, and all others are the same.
    lost = [
        line[2:] for line in difflib.ndiff(SECRETS.splitlines(), text.splitlines()) if line.startswith("- ")
    ]
    assert [line.split(":")[0] for line in lost] == ["site_hub_proxy_tokens", "site_hub_build_token_secrets"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert make_secrets(site)[0] == 0
    assert file.read_text() == text


def test_a_hub_that_is_there_gets_no_secret_that_it_goes_without(tmp_path: Path) -> None:
    old = "".join(line for line in SECRETS.splitlines(keepends=True) if "build_token_secrets" not in line)
    site = site_with(tmp_path / "site", old)
    assert make_secrets(site)[0] == 0
    assert list(tokens_in((site / "group_vars/all/secrets.yml").read_text())[NAMES[2]]) == ["private"]


def test_what_is_there_and_empty_is_filled(tmp_path: Path) -> None:
    """A second key of that name would make every later run show the tokens beside it."""
    empty = SECRETS.replace(f'"{OLD["proxy"]}"', f'"{OLD["proxy"]}", private: " "').replace(
        "  # since March\n", "  # since March\n  private:  # soon\n"
    )
    site = site_with(tmp_path / "site", empty)
    code, output = make_secrets(site)
    assert code == 0, output
    text = (site / "group_vars/all/secrets.yml").read_text()
    assert text.count("private") == 3
    assert all(re.fullmatch("[0-9a-f]{64}", hubs["private"]) for hubs in tokens_in(text).values())
    code, output = make_secrets(site)
    assert (code, "duplicate" in output) == (0, False)


def test_line_ends_mode_and_owner_stay(tmp_path: Path) -> None:
    site = site_with(tmp_path / "site", "")
    file = site / "group_vars/all/secrets.yml"
    file.write_bytes(SECRETS.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    groups = [group for group in os.getgroups() if group != os.getgid()]
    if groups or os.geteuid() == 0:
        os.chown(file, -1, groups[0] if groups else 1)
    before = file.stat()
    code, output = make_secrets(site)
    assert code == 0, output
    after, lines = file.stat(), file.read_bytes().split(b"\n")
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert all(line.endswith(b"\r") for line in lines[:-1])
    assert b"private" in file.read_bytes()


@pytest.mark.parametrize("label", [DEFAULT_VAULT_IDENTITY, "stfc"])
def test_an_encrypted_file_stays_one(tmp_path: Path, label: str) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    vault = VaultLib([(label, VaultSecret(b"correct horse"))])
    closed = vault.encrypt(SECRETS, vault_id=None if label == DEFAULT_VAULT_IDENTITY else label).decode()
    site = site_with(tmp_path / "site", closed)
    code, output = make_secrets(site, "--vault-id", f"{label}@{password}")
    assert code == 0, output
    after = (site / "group_vars/all/secrets.yml").read_text()
    assert after.splitlines()[0] == closed.splitlines()[0]
    text = vault.decrypt(after).decode()
    assert all(set(hubs) == {"binder", "private"} for hubs in tokens_in(text).values())
    assert "#site_verify_build_tokens: {}\n" in text


VAULT = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(b"correct horse"))])
ONE = "!vault |\n" + "".join(f"    {line}\n" for line in VAULT.encrypt(OLD["api"]).decode().splitlines())
REFUSED = {
    "encrypted one by one": (
        SECRETS.replace(f"{OLD['api']}  # since March\n", ONE),
        "encrypted by itself",
    ),
    "from elsewhere": (SECRETS.replace("site_hub_api_tokens:", "elsewhere:"), "is set elsewhere"),
    "computed": (
        re.sub(
            r"site_hub_api_tokens:.*?March\n",
            'site_hub_api_tokens: "{{ mine }}"\nmine: {}\n',
            SECRETS,
            flags=re.DOTALL,
        ),
        "is no mapping in it",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_added_to_is_told_and_left(tmp_path: Path, name: str) -> None:
    text, told = REFUSED[name]
    site, password = site_with(tmp_path / "site", text), tmp_path / "password"
    password.write_text("correct horse\n")
    if name == "from elsewhere":
        (site / "group_vars/all/more.yml").write_text(f"site_hub_api_tokens: {{binder: {OLD['api']}}}\n")
    code, output = make_secrets(site, "--vault-password-file", str(password))
    assert code != 0
    assert told in output
    assert "Traceback" not in output
    assert (site / "group_vars/all/secrets.yml").read_text() == text


def test_one_run_adds_a_hub_and_uses_its_tokens(tmp_path: Path) -> None:
    """site.yml's first stage judges what was just written; in check mode nothing is, and the hub lacks its tokens."""
    site, report = site_with(tmp_path / "site", SECRETS), tmp_path / "report.json"
    arguments = ("-i", str(site), str(ROOT / "site.yml"), *ME, "-e", f"preflight_report_file={report}")
    done = play(*arguments, "--check")
    assert "site_hub_api_tokens.private" in done.stdout
    assert (site / "group_vars/all/secrets.yml").read_text() == SECRETS
    done = play(*arguments)
    assert done.returncode != 0
    findings = ids(json.loads(report.read_text()))
    assert ("head-unreachable", "ansible_host", "head1") in findings
    assert not {entry for entry in findings if entry[0].startswith("token")}
