# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A build token, as BinderHub puts one into each of its pages: requests with it do not count for its limit.

A JSON web token (RFC 7519) signed by HS256, for one repository and one host, see binderhub/base.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

__all__ = ["LIVES_SECONDS", "sign"]

# As long as BinderHub's own. A launch that has begun needs it no more.
LIVES_SECONDS = 300


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(told: dict[str, Any]) -> str:
    return _text(json.dumps(told, separators=(",", ":")).encode())


def sign(secret: bytes, provider: str, spec: str, host: str, now: float) -> str:
    """Make a token for one launch.

    Args:
        secret: BinderHub.build_token_secret.
        provider: prefix of the provider, `gh`.
        spec: as it stands in the path of the request.
        host: host of BinderHub's public URL, with its port where that is written.
        now: seconds since the epoch.
    """
    claims = {"exp": int(now) + LIVES_SECONDS, "aud": f"{provider}/{spec}", "origin": host}
    body = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{_text(signature)}"
