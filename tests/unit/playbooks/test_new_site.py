# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""new_site as a person runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from controller_runs import ROOT, ids, new_site, preflight


def test_new_site_says_what_to_fill_in(tmp_path: Path) -> None:
    """A new site without answers has exactly the findings that a person has to fill in, and nothing else of the contract."""
    done = new_site(tmp_path, "-e", "site_name=demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING: secrets.yml is not encrypted" in done.stdout
    secrets = tmp_path / "demo/group_vars/all/secrets.yml"
    assert secrets.stat().st_mode & 0o777 == 0o600
    tokens = re.findall(r'"([0-9a-f]{64})"', secrets.read_text())
    assert len(set(tokens)) == 3
    report, output, _ = preflight(tmp_path / "demo")
    found = ids(report) - {("chart-not-found", "site_binderhub_chart_repository", "")}
    assert found == {
        ("address-missing", "ansible_host", "head1"),
        ("address-missing", "ansible_host", "worker1"),
        ("address-missing", "ansible_host", "proxy1"),
        ("value-missing", "site_public_url", ""),
        ("value-missing", "site_floating_pool", ""),
        ("value-missing", "site_registry_host", ""),
        # Of the pinned chart, until there is one with a newer JupyterHub.
        ("known-vulnerability", "site_binderhub_chart_version", ""),
    }
    assert not any(token in output + done.stdout for token in tokens)


def test_new_site_shows_the_whole_contract(tmp_path: Path) -> None:
    """Every variable that a site may set is there, commented out with its default unless it was answered."""
    assert new_site(tmp_path, "-e", "site_name=demo").returncode == 0
    folder = tmp_path / "demo/group_vars/all"
    text = (folder / "site.yml").read_text() + (folder / "secrets.yml").read_text()
    specs = yaml.safe_load((ROOT / "roles/site/meta/argument_specs.yml").read_text())
    contract = list(specs["argument_specs"]["contract"]["options"])
    files = sorted((ROOT / "roles/site/defaults/main").glob("*.yml"))
    computed = "".join(file.read_text().partition("# ---- computed")[2] for file in files)
    shown = set(re.findall(r"^#?(\w+):", text, re.MULTILINE))
    hidden = set(re.findall(r"^(\w+):", computed, re.MULTILINE)) | {"site_supported_systems"}
    assert set(contract) - shown == hidden
    # Every line that is commented out can be put into force by taking the mark away.
    given = re.sub(r"^#(?=[a-z_]+:|  )", "", (folder / "site.yml").read_text(), flags=re.MULTILINE)
    assert set(yaml.safe_load(given)) <= set(contract)


def test_new_site_never_overwrites(tmp_path: Path) -> None:
    """A second run with other answers leaves every file as it is."""
    answers = (
        "-e",
        "site_name=demo",
        "-e",
        "site_floating_pool=192.0.2.7",
        "-e",
        "new_site_workers=192.0.2.21,192.0.2.22",
    )
    assert new_site(tmp_path, *answers).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = new_site(tmp_path, "-e", "site_name=demo", "-e", "site_floating_pool=192.0.2.99")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert re.search(r"localhost +: ok=\d+ +changed=0 ", again.stdout)
    hosts = yaml.safe_load((tmp_path / "demo/hosts.yml").read_text())
    assert list(hosts["all"]["children"]["workers"]["hosts"]) == ["worker1", "worker2"]


def test_new_site_with_a_vault(tmp_path: Path) -> None:
    """Where a vault password is configured, secrets are encrypted by it, and preflight reads them."""
    password = tmp_path / "vault-password"
    password.write_text("open sesame\n")
    done = new_site(tmp_path, "-e", "site_name=vaulted", ANSIBLE_VAULT_PASSWORD_FILE=str(password))
    secrets = tmp_path / "vaulted/group_vars/all/secrets.yml"
    assert done.returncode == 0, done.stdout + done.stderr
    assert secrets.read_text().startswith("$ANSIBLE_VAULT;")
    report, _, _ = preflight(tmp_path / "vaulted", "--vault-password-file", str(password))
    assert not {entry["id"] for entry in report["findings"]} & {
        "token-missing",
        "token-malformed",
        "secrets-file-readable",
    }


def test_new_site_with_a_vault_id_that_is_missing(tmp_path: Path) -> None:
    """The configuration names an id whose password was not given: refused, and no other password takes its place."""
    password = tmp_path / "vault-password"
    password.write_text("open sesame\n")
    site = tmp_path / "vaulted"
    around = {"ANSIBLE_VAULT_PASSWORD_FILE": str(password), "ANSIBLE_VAULT_ENCRYPT_IDENTITY": "stfc"}
    done = new_site(tmp_path, "-e", "site_name=vaulted", **around)
    assert done.returncode != 0
    assert "--vault-id stfc@" in done.stdout + done.stderr
    assert not (site / "group_vars/all/secrets.yml").exists()
    done = new_site(
        tmp_path,
        "-e",
        "site_name=vaulted",
        "--vault-id",
        f"stfc@{password}",
        ANSIBLE_VAULT_ENCRYPT_IDENTITY="stfc",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    header = (site / "group_vars/all/secrets.yml").read_text().splitlines()[0]
    assert header == "$ANSIBLE_VAULT;1.2;AES256;stfc"


def test_new_site_after_a_kill(tmp_path: Path) -> None:
    """An empty secrets.yml is written, with a line that says so; a second run leaves it."""
    secrets = tmp_path / "demo/group_vars/all/secrets.yml"
    secrets.parent.mkdir(parents=True)
    secrets.touch()
    done = new_site(tmp_path, "-e", "site_name=demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was empty" in done.stdout + done.stderr
    assert len(set(re.findall(r'"([0-9a-f]{64})"', secrets.read_text()))) == 3
    again = new_site(tmp_path, "-e", "site_name=demo")
    assert "was empty" not in again.stdout + again.stderr


def test_new_site_where_it_cannot_write(tmp_path: Path) -> None:
    """A folder where the secrets belong is one clear failure."""
    (tmp_path / "demo/group_vars/all/secrets.yml").mkdir(parents=True)
    done = new_site(tmp_path, "-e", "site_name=demo")
    assert done.returncode != 0
    assert "secrets.yml" in done.stdout + done.stderr
    assert "Is a directory" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "My Site", "../up", "-x"])
def test_new_site_refuses_odd_names(tmp_path: Path, name: str) -> None:
    """A name that is none makes nothing."""
    done = new_site(tmp_path, "-e", json.dumps({"site_name": name}))
    assert done.returncode != 0
    assert list(tmp_path.iterdir()) == []
