# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine asks of a registry, asked of one that is there, and what preflight finds in its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net import (
    probe,
    registry_push,
    registry_token,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.servers import ask_servers
from free_ports import free_port
from registry_service import RegistryService
from site_cases import found, good_site

ROBOT, SECRET = "robot$project+builder", "p'a\"ss$HOME{{ x }}"
KEY = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nü\n-----END"}, indent=2)
PULLER = ("robot$project+puller", "pull-password")
QUIET = {"registry-plain-http-password"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time."""
    for module in (probe, registry_push, registry_token):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 60.0)


def ask(
    host: str, username: str, password: str, prefix: str = "project/stfc-", **more: Any
) -> dict[str, Any]:
    params = {
        "ca_pem": "",
        "proxy_environment": {},
        "urls": {},
        "package_indexes": [],
        "package_names": [],
        "registry_url": f"http://{host}/v2/",
        "registry_username": username,
        "registry_password": password,
        "registry_pull_username": PULLER[0],
        "registry_pull_password": PULLER[1],
        "registry_push_repository": f"{prefix}ironbinder-probe",
        "registry_push_tried": True,
        "registry_token_url": "",
        **more,
    }
    return ask_servers(params)["urls"]


def findings(
    host: str, answers: dict[str, Any], username: str, prefix: str = "project/stfc-", token_url: str = ""
) -> set[str]:
    """Name what preflight finds of a site with somebody else's registry, to which its head was answered like this."""
    site = good_site()
    site["groups"]["registry"] = []
    site["values"] |= {
        "site_registry_host": host,
        "site_registry_prefix": prefix,
        "site_registry_username": username,
        "site_registry_pull_username": PULLER[0],
        "site_registry_plain_http_enabled": True,
        "site_registry_token_url": token_url,
    }
    for machine in site["hosts"].values():
        machine["probe"].setdefault("urls", {}).pop("registry", None)
    site["hosts"]["head1"]["probe"]["urls"] |= answers
    return {rule for rule, variable, _ in found(site) if variable.startswith("site_registry")} - QUIET


@pytest.mark.parametrize("by_token", [True, False], ids=["token", "basic"])
@pytest.mark.parametrize(
    ("username", "password"),
    [(ROBOT, SECRET), ("_json_key", KEY), ("org", "dckr_pat_0123456789")],
    ids=["robot", "key", "access token"],
)
def test_an_account_of_each_kind_is_taken_and_leaves_nothing(
    by_token: bool, username: str, password: str
) -> None:
    accounts = {username: password, PULLER[0]: PULLER[1]}
    with RegistryService(accounts, [username], by_token=by_token) as registry:
        token_url = f"{registry.url}/token?service=registry" if by_token else ""
        answers = ask(registry.host, username, password, registry_token_url=token_url)
        assert answers["registry_login"]["status"] == 200
        assert (answers["registry_push"]["status"], answers["registry_push"]["called_off"]) == (202, True)
        assert answers["registry_pull_push"]["status"] == 403
        if by_token:
            assert answers["registry_token"] == {"url": f"{registry.url}/token", "status": 200, "token": True}
        assert registry.uploads == 0
        assert password not in json.dumps(answers)
        assert findings(registry.host, answers, username, token_url=token_url) == set()


BAD = [
    ("wrong password", {"password": "wrong-password"}, "registry-login-refused"),
    ("another project", {"prefix": "elsewhere/stfc-"}, "registry-push-refused"),
    ("another service", {"token": "?service=other"}, "registry-token-refused"),
    ("no token service", {"token": "-is-none"}, "registry-token-refused"),
]


@pytest.mark.parametrize(("changes", "rule"), [entry[1:] for entry in BAD], ids=[entry[0] for entry in BAD])
def test_each_fault_is_found_once(changes: dict[str, str], rule: str) -> None:
    prefix = changes.get("prefix", "project/stfc-")
    with RegistryService({"builder": SECRET, PULLER[0]: PULLER[1]}, ["builder"]) as registry:
        token_url = f"{registry.url}/token{changes.get('token', '?service=registry')}"
        password = changes.get("password", SECRET)
        answers = ask(registry.host, "builder", password, prefix, registry_token_url=token_url)
        # The robot's own project is another rule's.
        seen = findings(registry.host, answers, "builder", prefix, token_url) - {
            "registry-robot-other-project"
        }
    assert seen == {rule}


def test_nobody_there_is_found_once() -> None:
    host = f"127.0.0.1:{free_port()}"
    answers = ask(host, "builder", SECRET, registry_token_url=f"http://{host}/token")
    assert findings(host, answers, "builder", token_url=f"http://{host}/token") == {"registry-unreachable"}


def test_nobody_is_asked_where_there_is_no_registry_yet() -> None:
    with RegistryService({}) as registry:
        assert ask(registry.host, "builder", SECRET, registry_url="") == {}
        assert registry.asked == []


def test_the_sites_own_registry_is_asked_as_ever() -> None:
    """Role registry proves who may push there."""
    with RegistryService({"builder": SECRET, PULLER[0]: PULLER[1]}, ["builder"], by_token=False) as registry:
        answers = ask(registry.host, "builder", SECRET, registry_push_tried=False)
    assert set(answers) == {"registry", "registry_login", "registry_pull_login", "registry_pull_push"}
