# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module against a provider, in check mode and without."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import ENDPOINTS
from ansible_collections.ironbinder.platform.plugins.modules import openid_discovery
from web_server import Answer, WebServer

PATH = "/.well-known/openid-configuration"


def run(capsys: pytest.CaptureFixture[str], **args: Any) -> dict[str, Any]:
    with patch_module_args(args), pytest.raises(SystemExit):
        openid_discovery.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def document(issuer: str) -> Answer:
    told = {"issuer": issuer, **{key: f"{issuer}/{key}" for key in ENDPOINTS.values()}}
    return Answer(body=json.dumps(told).encode())


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_provider(capsys: pytest.CaptureFixture[str], check_mode: bool) -> None:
    with WebServer() as web:
        web.answers[PATH] = document(web.url)
        told = run(capsys, issuer=web.url, _ansible_check_mode=check_mode)
        assert told["endpoints"] == {name: f"{web.url}/{key}" for name, key in ENDPOINTS.items()}
        assert told["changed"] is False and told["claims"] == []


def test_another_provider_than_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with WebServer() as web:
        web.answers[PATH] = document(f"{web.url}/")
        told = run(capsys, issuer=web.url)
        assert told["failed"] and "with a slash at the end" in told["msg"] and "auth.endpoints" in told["msg"]


def test_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, issuer="http://127.0.0.1:1")
    assert told["failed"] and "Where: http://127.0.0.1:1. Observed: " in told["msg"]


def test_by_the_sites_proxy(capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy is asked for the whole URL."""
    with WebServer() as proxy:
        proxy.answers[f"http://iam.example.org{PATH}"] = document("http://iam.example.org")
        told = run(capsys, issuer="http://iam.example.org", proxy_environment={"http_proxy": proxy.url})
        assert "endpoints" in told and proxy.asked[0].target.startswith("http://iam.example.org/")
