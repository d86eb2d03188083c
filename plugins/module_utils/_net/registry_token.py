# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whether a registry's token service gives an account a token, asked as BinderHub asks it. Runs on targets.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import re
import urllib.parse
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport, Reply
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown

__all__ = ["ask_for_token", "challenge_fields", "token_of"]

TIMEOUT_SECONDS = 4.0
AGENT = {"User-Agent": "ironbinder-site-probe"}
# What BinderHub says whatever the registry is; a service that stands in the URL comes first.
SERVICE = "container_registry"


def challenge_fields(challenge: str) -> dict[str, str]:
    """Read what a registry asks for: `realm`, `service`, `scope`, as far as WWW-Authenticate has them."""
    return dict(re.findall(r'(\w+)="([^"]*)"', challenge))


def token_of(reply: Reply) -> str:
    """Give the token of an answer; empty where it holds none."""
    answer = reply.json() if reply.status == 200 else None
    token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
    return token if isinstance(token, str) else ""


def ask_for_token(
    transport: HttpTransport, url: str, repository: str, username: str, password: str
) -> dict[str, Any]:
    """Ask for a token that may read a repository.

    Args:
        transport: the connection to the token service.
        url: of the service, with or without a query.
        repository: name of an image without registry and tag.
        username: of the account.
        password: likewise. It is told to nobody else: no redirect is followed.

    Returns:
        `url` without its query, `status` of the answer and `token`, whether there was one in it; or `error` with `detail`.
    """
    query = urllib.parse.urlencode({"scope": f"repository:{repository}:pull", "service": SERVICE})
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    headers = {**AGENT, "Authorization": f"Basic {pair}"}
    try:
        reply = transport.request(
            "GET", f"{url}{'&' if '?' in url else '?'}{query}", headers, TIMEOUT_SECONDS
        )
    except HttpFailure as failure:
        return {"url": shown(url), "error": "other", "detail": str(failure)}
    return {"url": shown(url), "status": reply.status, "token": bool(token_of(reply))}
