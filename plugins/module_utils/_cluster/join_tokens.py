# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tokens that nodes joined with, which nobody needs when all have joined.

They end by themselves after a quarter of an hour. Until then whoever has one can bring a machine into the cluster, so that those
of a run that was stopped are not left to wait.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi

__all__ = ["join_tokens", "remove_join_tokens"]

_SECRETS = "/api/v1/namespaces/kube-system/secrets"
# https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#bootstrap-token-secret-format
_TYPE = "bootstrap.kubernetes.io/token"


def _description(secret: Mapping[str, Any]) -> str:
    data = str((secret.get("data") or {}).get("description", ""))
    try:
        return base64.b64decode(data, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def join_tokens(api: KubeApi, description: str) -> list[str]:
    """Name the secrets of tokens whose description begins so; other tokens are somebody else's. Raises KubeError."""
    found = (api.get(_SECRETS, fieldSelector=f"type={_TYPE}") or {}).get("items") or []
    return sorted(
        secret["metadata"]["name"]
        for secret in found
        if secret.get("type") == _TYPE and _description(secret).startswith(description)
    )


def remove_join_tokens(api: KubeApi, description: str) -> list[str]:
    """Remove them, and name what was removed. Raises KubeError."""
    names = join_tokens(api, description)
    for name in names:
        api.delete(f"{_SECRETS}/{name}")
    return names
