# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What to launch, and what counts as success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.binder_link import link_spec
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.build_token import sign

__all__ = ["LaunchRequest", "build_url", "signed_token"]


@dataclass(frozen=True)
class LaunchRequest:
    """What to launch, and what counts as success. URLs are public ones, seconds are floats."""

    url: str
    provider: str
    spec: str
    hub_url: str = ""
    registry_url: str = ""
    build_token: str = ""
    build_token_secret: str = ""
    hub_token: str = ""
    timeout_seconds: float = 1800.0
    silence_seconds: float = 90.0
    keep_server: bool = False
    check_api: bool = True
    check_kernel: bool = True
    kernel_timeout_seconds: float = 120.0
    expect: Mapping[str, Any] = field(default_factory=dict)
    fail_when_buffered: bool = False


def build_url(request: LaunchRequest) -> str:
    """Return the URL of the build, without the build token."""
    spec = link_spec(request.provider, request.spec)
    return f"{request.url.rstrip('/')}/build/{request.provider}/{spec}"


def signed_token(request: LaunchRequest, now: float) -> str:
    """Make the build token of a request at `now`, seconds since the epoch; empty where its secret is none."""
    spec, host = link_spec(request.provider, request.spec), urlsplit(request.url).netloc
    try:
        secret = bytes.fromhex(request.build_token_secret)
    except ValueError:  # BinderHub takes none of another form either
        return ""
    return sign(secret, request.provider, spec, host, now) if secret else ""
