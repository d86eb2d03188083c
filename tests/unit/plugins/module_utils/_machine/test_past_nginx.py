# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an NGINX serves before the hubs come: Debian's, nginx.org's, and an admin's sites."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_nginx import (
    CONFFILES_OF,
    nginx_facts,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_packages import read_dpkg
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineFiles

DEFAULT = "server {\n\tlisten 80 default_server;\n\tlisten [::]:80 default_server;\n\troot /var/www/html;\n\tserver_name _;\n}\n"
DIGEST = hashlib.md5(DEFAULT.encode(), usedforsecurity=False).hexdigest()
STATUS = (
    "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n"
    "Package: nginx-common\nStatus: install ok installed\nVersion: 1.22.1-9\nConffiles:\n"
    f" /etc/nginx/nginx.conf {'0' * 32}\n /etc/nginx/sites-available/default {DIGEST}\n"
)


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """NGINX as Debian's package leaves it."""
    for folder in (
        "etc/nginx/conf.d",
        "etc/nginx/sites-available",
        "etc/nginx/sites-enabled",
        "var/lib/dpkg",
        "var/www/html",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    (tmp_path / "var/www/html/index.nginx-debian.html").touch()
    (tmp_path / "etc/nginx/sites-available/default").write_text(DEFAULT)
    (tmp_path / "etc/nginx/sites-enabled/default").symlink_to("../sites-available/default")
    return tmp_path


def told(root: Path) -> dict[str, Any]:
    files = MachineFiles(root, strict=False)
    return nginx_facts(files, read_dpkg(files, CONFFILES_OF))


def test_the_package_alone(debian: Path) -> None:
    assert told(debian) == {"version": "1.22.1-9", "default": "packaged", "sites": []}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("etc/nginx/sites-available/default", DEFAULT.replace("_", "wiki.example.org")),
        # The package's site, with somebody's pages.
        ("var/www/html/index.html", "our wiki"),
    ],
)
def test_a_default_site_that_somebody_made(debian: Path, name: str, text: str) -> None:
    (debian / name).write_text(text)
    assert told(debian)["default"] == "changed"


def test_a_default_site_that_is_no_link_to_the_packages(debian: Path) -> None:
    enabled = debian / "etc/nginx/sites-enabled/default"
    enabled.unlink()
    assert told(debian)["default"] == ""
    enabled.write_text(DEFAULT)
    assert told(debian)["default"] == "changed"


def test_nginx_org_has_no_folder_of_sites(tmp_path: Path) -> None:
    """Its default answers for the name localhost alone, and may stay."""
    (tmp_path / "etc/nginx/conf.d").mkdir(parents=True)
    (tmp_path / "etc/nginx/conf.d/default.conf").write_text(
        "server {\n    listen       80;\n    server_name  localhost;\n}\n"
    )
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: nginx\nStatus: install ok installed\nVersion: 1.28.0-1~bookworm\n"
    )
    listens = [{"port": 80, "address": "", "default": False}]
    site = {"file": "/etc/nginx/conf.d/default.conf", "listens": listens, "names": ["localhost"]}
    assert told(tmp_path) == {"version": "1.28.0-1~bookworm", "default": "", "sites": [site]}


@pytest.mark.parametrize(
    ("words", "port", "address", "default"),
    [
        ("443 ssl http2 default_server", 443, "", True),
        ("*:80 default", 80, "", True),
        ("[::]:443 ssl", 443, "", False),
        ("0.0.0.0", 80, "", False),
        ("192.0.2.31:443 ssl", 443, "192.0.2.31", False),
        ("192.0.2.31", 80, "192.0.2.31", False),
        ("[2001:db8::1]:80", 80, "[2001:db8::1]", False),
        ("wiki.example.org:80", 80, "wiki.example.org", False),
    ],
)
def test_where_a_site_listens(debian: Path, words: str, port: int, address: str, default: bool) -> None:
    (debian / "etc/nginx/conf.d/wiki.conf").write_text(
        f"server {{ listen {words}; server_name wiki 'w.example.org'; }}"
    )
    [site] = told(debian)["sites"]
    assert site["listens"] == [{"port": port, "address": address, "default": default}]
    assert site["names"] == ["wiki", "w.example.org"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conf.d/off.conf.disabled", "server { listen 80 default_server; }"),
        (
            "conf.d/off.conf",
            "# server { listen 80 default_server; }\nserver {\n  # listen 80;\n  listen unix:/run/x; }",
        ),
        (
            "conf.d/own.conf",
            "server { listen 127.0.0.1:80 default_server; listen localhost:80; listen [::1]:80; }",
        ),
        ("conf.d/ironbinder.conf", "server { listen 80 default_server; }"),
    ],
)
def test_what_is_in_nobodys_way(debian: Path, name: str, text: str) -> None:
    (debian / "etc/nginx" / name).write_text(text)
    assert told(debian)["sites"] == []
