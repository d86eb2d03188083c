# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is said about secrets, and that it is never a secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    describe,
    equal_secrets,
    flatten,
    holds_secret,
    shared_secrets,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_files import (
    describe_files,
    other_sites,
    secret_files,
)

TOKEN = "0123456789abcdef" * 4
NASTY = "a'b\"c d ü # \\ {{ x }}"


def load(path: Path) -> Any:
    """Read YAML, as Ansible would."""
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TOKEN, {"empty": False, "default": False, "length": 64, "hex": True, "text": True}),
        ("", {"empty": True}),
        (None, {"empty": True}),
        ("changeme", {"default": True}),
        ("<change-me>", {"default": True}),
        ("<the client's secret>", {"default": True}),
        ("...", {"default": True}),
        ("a...b", {"default": False}),
        ("<a>b<c>", {"default": False}),
        ("xxxxxxxx", {"default": True}),
        (12345, {"text": False, "empty": False}),
        (TOKEN, {"spaced": False}),
        (f"{TOKEN}\n", {"spaced": True}),
        ({"a": 1}, {"text": False}),
    ],
)
def test_describe(value: Any, expected: dict[str, Any]) -> None:
    """Descriptions say what rules ask for, and hold nothing else."""
    told = describe(value)
    assert {key: told[key] for key in expected} == expected
    assert TOKEN not in json.dumps(told)


def test_what_signing_in_takes_is_told_one_by_one() -> None:
    """And two hubs may be one client of a provider."""
    values = {
        "site_hub_auth_secrets": {
            "a": {"client_secret": "x"},
            "b": {"client_secret": "x", "password": "p"},
            "c": "?",
        },
        "site_registry_password": "p",
    }
    told = dict(flatten(values))
    assert set(told) == {
        "site_hub_auth_secrets.a.client_secret",
        "site_hub_auth_secrets.b.client_secret",
        "site_hub_auth_secrets.b.password",
        "site_registry_password",
    }
    assert equal_secrets(values) == [["site_hub_auth_secrets.b.password", "site_registry_password"]]


def test_equal_and_shared() -> None:
    """Equal secrets are named, and never shown."""
    values = {
        "site_hub_api_tokens": {"binder": TOKEN},
        "site_hub_proxy_tokens": {"binder": TOKEN},
        "site_registry_password": "p",
    }
    assert len(list(flatten(values))) == 3
    assert equal_secrets(values) == [["site_hub_proxy_tokens.binder", "site_hub_api_tokens.binder"]]
    shared = shared_secrets(
        values, {"staging": {"site_registry_password": "p"}, "other": {"site_registry_password": ""}}
    )
    assert shared == [{"variable": "site_registry_password", "site": "staging"}]
    assert list(flatten({"site_hub_api_tokens": "text", "site_registry_password": None})) == [
        ("site_registry_password", None)
    ]


def make_site(folder: Path, name: str, text: str) -> Path:
    """Make a site's folder with one file of variables."""
    path = folder / name / "group_vars" / "all" / "secrets.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_files_and_other_sites(tmp_path: Path) -> None:
    """Files with secrets are found by what they set; a vault that does not open counts, and says nothing."""
    plain = make_site(tmp_path, "production", f"site_hub_api_tokens: {{binder: '{TOKEN}'}}\n")
    (plain.parent / "site.yml").write_text("# site_registry_password belongs elsewhere\nsite_name: x\n")
    vault = make_site(tmp_path, "staging", "$ANSIBLE_VAULT;1.1;AES256\n6162\n")

    def open_none(path: Path) -> Any:
        if path == vault:
            raise ValueError("no password")
        return load(path)

    assert list(secret_files(tmp_path / "production", open_none)) == [plain]
    assert secret_files(tmp_path / "staging", open_none) == {vault: {}}
    assert other_sites(tmp_path / "staging", open_none) == {
        "production": {"site_hub_api_tokens": {"binder": TOKEN}}
    }
    assert other_sites(tmp_path / "production", open_none) == {}
    # A neighbour that cannot be looked into, as somebody else's folder cannot, is no site of ours.
    (tmp_path / "odd").symlink_to("x" * 300)
    assert list(other_sites(tmp_path / "staging", open_none)) == ["production"]


def test_git_knows_or_ignores(tmp_path: Path) -> None:
    """Git itself is asked whether it has a file."""
    path = make_site(tmp_path, "a", "site_registry_password: x\n")
    told = describe_files([path])[0]
    assert told == {"path": str(path), "mode": 0o600, "encrypted": False, "tracked": None, "ignored": None}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert {key: describe_files([path])[0][key] for key in ("tracked", "ignored")} == {
        "tracked": False,
        "ignored": False,
    }
    (tmp_path / ".gitignore").write_text("secrets.yml\n")
    assert describe_files([path])[0]["ignored"] is True
    subprocess.run(["git", "-C", str(tmp_path), "add", "-f", str(path)], check=True)
    assert describe_files([path])[0]["tracked"] is True


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("site_registry_password", "x", True),
        ("site_registry_password", "", False),
        ("site_http_proxy", "http://proxy:3128", False),
        ("site_http_proxy", "http://site:pass@proxy:3128", True),
        ("site_https_proxy", None, False),
    ],
)
def test_a_proxy_is_a_secret_where_it_holds_an_account(
    tmp_path: Path, variable: str, value: str | None, expected: bool
) -> None:
    assert holds_secret(variable, value) is expected
    folder = tmp_path / "site/group_vars/all"
    folder.mkdir(parents=True)
    (folder / "site.yml").write_text(f"{variable}: x\n")
    found = secret_files(tmp_path / "site", lambda _path: {variable: value})
    assert found == ({folder / "site.yml": {variable: value}} if expected else {})


def test_no_rule_about_passwords_judges_a_proxy() -> None:
    """Two of them are most often one."""
    one = "http://site:pass@proxy:3128"
    assert list(flatten({"site_http_proxy": one, "site_https_proxy": one})) == []
