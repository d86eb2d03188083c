# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""apt goes where its configuration says: the real apt, a proxy and a mirror on ports of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.apt_proxy import apt_configuration
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import environment
from web_server import WebServer

DIRECT = ["localhost", "127.0.0.1", "::1", "10.96.0.0/12", ".svc", "mirror.example.org"]


def test_without_a_proxy_there_is_no_file() -> None:
    assert apt_configuration({}, "Mine") == ""


def test_only_what_apt_can_name() -> None:
    named = ("localhost", "127.0.0.1", "mirror.example.org")
    told = apt_configuration(environment("http://p:1", "http://q:2", DIRECT), "Mine")
    assert told.splitlines() == [
        "// Mine. Changes are overwritten.",
        'Acquire::http::Proxy "http://p:1";',
        'Acquire::https::Proxy "http://q:2";',
        *[f'Acquire::{kind}::Proxy::{host} "DIRECT";' for kind in ("http", "https") for host in named],
    ]


def test_https_does_not_take_the_proxy_for_http() -> None:
    told = apt_configuration(environment("http://p:1", "", ["h"]), "Mine")
    assert 'Acquire::https::Proxy "DIRECT";' in told and "https::Proxy::h" not in told


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt")
@pytest.mark.parametrize("is_direct", [False, True])
def test_apt_itself(tmp_path: Path, is_direct: bool) -> None:
    for name in ("lists/partial", "apt.conf.d", "cache/archives/partial"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "status").touch()
    with WebServer() as proxy, WebServer() as mirror:
        (tmp_path / "sources.list").write_text(f"deb [trusted=yes] {mirror.url}/debian ./\n")
        account = f"http://site:s3c%40ret@{proxy.host}"
        told = apt_configuration(environment(account, account, ["127.0.0.1"] if is_direct else ["h"]), "Mine")
        (tmp_path / "conf").write_text(
            f'Dir::State "{tmp_path}"; Dir::State::lists "{tmp_path}/lists"; Dir::State::status "{tmp_path}/status";\n'
            f'Dir::Etc "{tmp_path}"; Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Cache "{tmp_path}/cache";\n'
            f'APT::Sandbox::User "";\nAcquire::Retries "0";\n{told}'
        )
        env = {"APT_CONFIG": str(tmp_path / "conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        subprocess.run(["apt-get", "update"], env=env, capture_output=True, check=False, timeout=60)
        asked, other = (mirror, proxy) if is_direct else (proxy, mirror)
        assert asked.asked and not other.asked
        assert asked.asked[0].target.startswith("/debian/" if is_direct else f"{mirror.url}/debian/")
        # site:s3c@ret
        told_account = asked.asked[0].headers.get("proxy-authorization")
        assert told_account == (None if is_direct else "Basic c2l0ZTpzM2NAcmV0")
