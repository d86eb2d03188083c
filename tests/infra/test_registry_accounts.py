# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The registry's accounts: one pushes, the other only pulls, and a stranger does neither. Asked from the controller."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from live_site import Site
from web import Answer, Client

testinfra_hosts = ["ansible://head"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# Variables of the accounts begin with these.
PUSHES, PULLS = "site_registry", "site_registry_pull"


class Registry:
    """The site's registry, asked by one account or by nobody in particular."""

    def __init__(self, site: Site, client: Client) -> None:
        self._contract = site.contract
        self._client = client
        scheme = "http" if self._contract["site_registry_plain_http_enabled"] else "https"
        self.url = f"{scheme}://{self._contract['site_registry_host']}"
        self.repository = f"/v2/{self._contract['site_registry_prefix']}ironbinder-test"

    def ask(
        self, method: str, place: str, account: str = "", body: bytes | None = None, kind: str = ""
    ) -> Answer:
        """Ask for a path, or for a URL that the registry named."""
        headers = {"Content-Type": kind} if kind else {}
        if account:
            pair = f"{self._contract[f'{account}_username']}:{self._contract[f'{account}_password']}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return self._client.send(method, place if "://" in place else f"{self.url}{place}", headers, body)


@pytest.fixture
def registry(site: Site, client: Client) -> Registry:
    """Return the registry of a site that has both accounts, and that asks for them itself."""
    if not site.contract["site_registry_pull_username"]:
        pytest.skip("the registry has one account")
    found = Registry(site, client)
    # One with a token server has another way to log in; preflight goes it.
    if not found.ask("GET", "/v2/").headers.get("www-authenticate", "").lower().startswith("basic"):
        pytest.skip("the registry has a token server")
    return found


def test_both_accounts_are_let_in_and_strangers_are_not(registry: Registry) -> None:
    assert [registry.ask("GET", "/v2/", account).status for account in (PUSHES, PULLS, "")] == [200, 200, 401]


def test_the_account_that_only_pulls_cannot_push(registry: Registry) -> None:
    """Neither a blob nor a manifest; and what it is refused is what the other account is granted."""
    uploads = f"{registry.repository}/blobs/uploads/"
    manifest = f"{registry.repository}/manifests/none"
    empty = b'{"schemaVersion": 2}'
    begun = registry.ask("POST", uploads, PUSHES)
    assert begun.status == 202
    assert registry.ask("PATCH", begun.headers["location"], PULLS, b"x").status == 403
    # Called off, so that nothing of it stays.
    assert registry.ask("DELETE", begun.headers["location"], PULLS).status == 403
    assert registry.ask("DELETE", begun.headers["location"], PUSHES).status == 204
    assert registry.ask("PUT", manifest, PUSHES, empty, MANIFEST).status == 400, (
        "it is no manifest, and was read"
    )
    assert registry.ask("POST", uploads, PULLS).status == 403
    assert registry.ask("PUT", manifest, PULLS, empty, MANIFEST).status == 403
    assert registry.ask("POST", uploads).status == 401


def test_sessions_have_the_account_that_only_pulls(site: Site, registry: Registry, kubectl: Any) -> None:
    wanted = base64.b64encode(
        f"{site.contract['site_registry_pull_username']}:{site.contract['site_registry_pull_password']}".encode()
    ).decode()
    for hub in site.hubs.values():
        secret = kubectl("--namespace", hub["namespace"], "get", "secret", "image-pull-secret")
        text = base64.b64decode(secret["data"][".dockerconfigjson"]).decode()
        # Not compared in the assertion, which would show it.
        has_it = wanted in text
        assert has_it, hub["namespace"]
