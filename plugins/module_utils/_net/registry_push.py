# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whether an account may push to a registry, asked by beginning an upload that is called off. Runs on targets.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport, Reply
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_token import (
    challenge_fields,
    token_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown

__all__ = ["PushProbe"]

TIMEOUT_SECONDS = 4.0
AGENT = {"User-Agent": "ironbinder-site-probe", "Content-Length": "0"}
ACCEPTED = 202


class PushProbe:
    """Begins an upload, and leaves nothing of it.

    Args:
        transport: the connection to registry and token server.
        url: the registry's `/v2/`.
        username: of the account.
        password: likewise. Told to whom the registry names, and never from TLS to plain HTTP.
    """

    def __init__(self, transport: HttpTransport, url: str, username: str, password: str) -> None:
        self._transport = transport
        self._url = url
        self._username = username
        self._basic = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    def ask(self, repository: str) -> dict[str, Any]:
        """Try to begin an upload.

        Returns:
            `url`; `status` of the answer to the account, 202 where it may push, `anonymous` where nobody was asked for an
            account, and `called_off`, whether the upload is gone again; or `error` with `detail`.
        """
        try:
            return {"url": self._url, **self._ask(f"{self._url}{repository}/blobs/uploads/")}
        except HttpFailure as failure:
            return {"url": self._url, "error": "other", "detail": str(failure)}

    def _ask(self, url: str) -> dict[str, Any]:
        # No password before somebody asks for one.
        reply, authorization = self._send("POST", url), ""
        if reply.status == 401:
            challenge = reply.headers.get("www-authenticate", "")
            known = self._token(challenge) if challenge.lower().startswith("bearer") else self._basic
            if known is None:
                return {"status": 401}
            authorization = known
            reply = self._send("POST", url, authorization)
        told: dict[str, Any] = {"status": reply.status}
        if reply.status == ACCEPTED:
            told["anonymous"] = not authorization
            told["called_off"] = self._call_off(reply, authorization)
        return told

    def _send(self, method: str, url: str, authorization: str = "") -> Reply:
        headers = {**AGENT, **({"Authorization": authorization} if authorization else {})}
        return self._transport.request(method, url, headers, TIMEOUT_SECONDS)

    def _token(self, challenge: str) -> Optional[str]:
        """Get a token for what the registry said is needed; None where the account gets none."""
        fields = challenge_fields(challenge)
        realm = fields.pop("realm", "")
        if not realm.startswith("https://") and not self._url.startswith("http://"):
            raise HttpFailure(
                "request", f"its token server {shown(realm)} does not speak TLS, so no password is sent there"
            )
        fields["account"] = self._username
        query = urllib.parse.urlencode(
            [(key, fields[key]) for key in ("service", "scope", "account") if key in fields]
        )
        reply = self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", self._basic)
        token = token_of(reply)
        return f"Bearer {token}" if token else None

    def _call_off(self, reply: Reply, authorization: str) -> bool:
        """End the upload. Another server than the registry is told nothing; uploads without an end are collected there."""
        place = urllib.parse.urljoin(self._url, reply.headers.get("location", ""))
        if urllib.parse.urlsplit(place)[:2] != urllib.parse.urlsplit(self._url)[:2]:
            return False
        try:
            return self._send("DELETE", place, authorization).status in (200, 202, 204, 404)
        except HttpFailure:
            return False
