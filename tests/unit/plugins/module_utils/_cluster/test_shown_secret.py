# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Pods are changed once, when the secret has its content, and never in vain."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.shown_secret import ShownSecret
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError
from kube_memory import MemoryApi

BASE = "/api/v1/namespaces/ns"


@pytest.fixture
def api() -> MemoryApi:
    instance = MemoryApi()
    for name in ("a", "b"):
        instance.objects[f"{BASE}/pods/{name}"] = {"metadata": {"name": name}}
    return instance


def shower(api: MemoryApi) -> ShownSecret:
    return ShownSecret(api, namespace="ns", secret="cert", key="tls.crt", pods="component=controller")


def secret(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "cert", "resourceVersion": "7"}, "data": data}


def test_once_and_only_with_content(api: MemoryApi) -> None:
    """MetalLB's manifest has the secret, empty."""
    one = shower(api)
    one.show()
    api.objects[f"{BASE}/secrets/cert"] = secret(other="x")
    one.show()
    assert api.changes() == []
    api.objects[f"{BASE}/secrets/cert"] = secret(**{"tls.crt": "x"})
    for _ in range(2):
        one.show()
    assert api.changes() == [("PATCH", f"{BASE}/pods/a"), ("PATCH", f"{BASE}/pods/b")]
    annotations = api.objects[f"{BASE}/pods/a"]["metadata"]["annotations"]
    assert annotations == {"ironbinder/secret-shown": "cert-7"}


def test_errors_are_for_the_wait_to_tell(api: MemoryApi) -> None:
    api.objects[f"{BASE}/secrets/cert"] = secret(**{"tls.crt": "x"})

    def fail(_verb: str, path: str, _body: Any) -> None:
        raise KubeError(path, 403)

    one, api.before = shower(api), fail
    one.show()
    api.before = lambda _verb, _path, _body: None
    one.show()
    assert len(api.changes()) == 2
