# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A registry of the tests' own: Debian's docker-registry, on a port of this machine's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port

REGISTRY = shutil.which("docker-registry")
needs_registry = pytest.mark.skipif(REGISTRY is None, reason="no docker-registry on this machine")
KIND = "application/vnd.docker.distribution.manifest.v2+json"


class Live:
    """A registry of this machine's, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.config = folder / "storage", folder / "config.yml"
        self.port = free_port()
        self.config.write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {self.storage}}}, cache: {{blobdescriptor: inmemory}}, "
            f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{self.port}'}}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def restart(self, environment: str = "") -> None:
        self.stop()
        name, _, value = environment.strip().partition("=")
        variables = {**os.environ, **({name: value} if name else {})}
        self.process = subprocess.Popen(
            [str(REGISTRY), "serve", str(self.config)],
            env=variables,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the registry does not listen")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(60)

    def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> tuple[int, Any]:
        url = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        # Without a word on what is understood, the registry makes a manifest of an older kind.
        request = urllib.request.Request(url, data, {"Accept": KIND, **headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, reply.headers
        except urllib.error.HTTPError as error:
            return error.code, error.headers

    def blob(self, name: str, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        status, headers = self.ask("POST", f"/v2/{name}/blobs/uploads/", b"")
        assert status == 202
        place = f"{headers['Location']}&digest={digest}"
        assert self.ask("PUT", place, data, **{"Content-Type": "application/octet-stream"})[0] == 201
        return digest

    def push(self, name: str, tag: str, layer: bytes) -> str:
        def part(media: str, data: bytes) -> dict[str, Any]:
            return {"mediaType": media, "size": len(data), "digest": self.blob(name, data)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": KIND,
            "config": part("application/vnd.docker.container.image.v1+json", b"{}"),
            "layers": [part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        }
        status, headers = self.ask(
            "PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), **{"Content-Type": KIND}
        )
        assert status == 201
        return str(headers["Docker-Content-Digest"])

    def data(self, content: bytes) -> Path:
        """Where a blob's content lies."""
        text = hashlib.sha256(content).hexdigest()
        return self.storage / "docker/registry/v2/blobs/sha256" / text[:2] / text / "data"
