# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Plays by real Ansible, against an API in memory that is put behind HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError
from kube_server import Request

__all__ = ["ansible", "answering"]

ROOT = Path(__file__).parents[3]


def answering(api: KubeApi) -> Callable[[Request], None]:
    """Put an API in memory behind HTTP."""

    def answer(request: Request) -> None:
        url = urlsplit(request.path)
        query = dict(parse_qsl(url.query))
        try:
            if request.command == "POST":
                request.send(201, api.create(url.path, request.body()))
            elif request.command == "PATCH":
                request.send(200, api.patch(url.path, request.body()))
            elif request.command == "DELETE":
                api.delete(url.path, **query)
                request.send(200, {})
            elif url.path.endswith("/log"):
                request.send(200, api.text(url.path))
            else:
                found = api.get(url.path, **query)
                request.send(200 if found else 404, found or {"message": "not found"})
        except KubeError as error:
            request.send(error.status, {"message": error.message})

    return answer


def ansible(folder: Path, plays: list[Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run plays by real Ansible."""
    (folder / "play.yml").write_text(json.dumps(plays))
    return subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml", *options],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
