# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is deleted from the site's own registry leaves its disk, and the registry answers before and after."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from live_site import Site
from web import Client

testinfra_hosts = ["ansible://registry"]

KIND = "application/vnd.docker.distribution.manifest.v2+json"
SERVICE = "ironbinder-registry-garbage.service"


class Registry:
    """The site's registry, as builds use it."""

    def __init__(self, site: Site, client: Client) -> None:
        scheme = "http" if site.contract["site_registry_plain_http_enabled"] else "https"
        self.url = f"{scheme}://{site.contract['site_registry_host']}"
        self.name = f"{site.contract['site_registry_prefix']}garbage-{secrets.token_hex(4)}"
        self._client = client
        account = f"{site.contract['site_registry_username']}:{site.contract['site_registry_password']}"
        self._headers = {"Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/octet-stream"
    ) -> Any:
        url = path if "://" in path else f"{self.url}{path}"
        headers = {
            **self._headers,
            "Accept": KIND,
            "Content-Type": kind,
            "Content-Length": str(len(body or b"")),
        }
        return self._client.send(method, url, headers, body)

    def blob(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        begun = self.ask("POST", f"/v2/{self.name}/blobs/uploads/", b"")
        assert begun.status == 202, begun
        place = begun.headers["location"]
        assert self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", data).status == 201
        return digest

    def push(self, layer: bytes) -> str:
        def part(media: str, data: bytes) -> dict[str, Any]:
            return {"mediaType": media, "size": len(data), "digest": self.blob(data)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": KIND,
            "config": part("application/vnd.docker.container.image.v1+json", b"{}"),
            "layers": [part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        }
        pushed = self.ask("PUT", f"/v2/{self.name}/manifests/x", json.dumps(manifest).encode(), KIND)
        assert pushed.status == 201, pushed
        return str(pushed.headers["docker-content-digest"])


@pytest.fixture
def registry(host: Any, site: Site, client: Client) -> Iterator[Registry]:
    """Return the registry, with a repository of this test's, which is gone afterwards."""
    told = Registry(site, client)
    yield told
    top = f"{site.variables(host.backend.host)['site_registry_storage_dir']}/docker/registry/v2/repositories"
    host.run("rm --recursive --force %s/%s", top, told.name)


def test_the_timer_runs(host: Any) -> None:
    timer = host.service("ironbinder-registry-garbage.timer")
    assert timer.is_running
    assert timer.is_enabled


def test_what_is_deleted_leaves_the_disk(
    host: Any, site: Site, registry: Registry, eventually: Callable[..., Any]
) -> None:
    layer = secrets.token_bytes(1024)
    digest = registry.push(layer)
    text = hashlib.sha256(layer).hexdigest()
    top = f"{site.variables(host.backend.host)['site_registry_storage_dir']}/docker/registry/v2"
    data = f"{top}/blobs/sha256/{text[:2]}/{text}/data"
    assert host.file(data).exists
    assert registry.ask("DELETE", f"/v2/{registry.name}/manifests/{digest}").status == 202
    assert registry.ask("GET", "/v2/").status == 200
    # The collection waits until nobody has pushed for two minutes; pushes of tests, this one and those before, are over.
    host.check_output(
        "find %s/repositories -newermt '1 hour ago' -exec touch --no-create --date='1 hour ago' {} +", top
    )
    host.run_expect([0], "systemctl start %s", SERVICE)
    assert not host.file(data).exists
    assert "blobs that nothing needs" in host.check_output(
        "journalctl --unit=%s --lines=20 --output=cat", SERVICE
    )

    def silent() -> str:
        try:
            return "" if registry.ask("GET", "/v2/").status == 200 else "it answers something else"
        except OSError as error:
            return str(error)

    assert eventually(silent, seconds=30, pause=0.5) == ""
    # It takes pushes again, and knows that what it had is gone.
    registry.push(layer)
    assert host.file(data).exists
