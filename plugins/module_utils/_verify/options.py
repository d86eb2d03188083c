# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules that look at a BinderHub from outside have in common; documented in doc_fragments/verifier.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import (
    unreachable,
)

__all__ = ["KERNEL_SECONDS", "SHARED_OPTIONS", "transport_of"]

# Least and most of `kernel_timeout_seconds`.
KERNEL_SECONDS = (1, 3600)
SHARED_OPTIONS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "ca_files": {"type": "list", "elements": "path", "default": []},
    "validate_certs": {"type": "bool", "default": True},
}


def transport_of(params: Mapping[str, Any]) -> HttpTransport:
    """Return the network as `ca_files` and `validate_certs` want it.

    Raises:
        VerifyError: a CA file cannot be used.
    """
    try:
        return HttpTransport(ca_files=params["ca_files"], validate_certs=params["validate_certs"])
    except HttpFailure as error:
        raise unreachable(params["url"], error) from error
