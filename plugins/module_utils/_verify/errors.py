# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why a launch failed or a BinderHub is ill, in words that say what to do next."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.causes import CODES

__all__ = ["VerifyError", "redact", "refused", "unreachable"]


class VerifyError(Exception):
    """Something that a user of the site would have run into.

    `kind` is a short name for programs, `log` the last lines BinderHub sent, and `facts` what was
    measured until then.
    """

    def __init__(
        self, kind: str, what: str, *, where: str, observed: str, remedy: str, log: Iterable[str] = ()
    ) -> None:
        observed = observed.rstrip(". ") or "nothing more"
        super().__init__(f"{what}. Where: {where}. Observed: {observed}. Next: {remedy}.")
        self.kind = kind
        self.log = list(log)
        self.facts: dict[str, Any] = {}

    def hide(self, secrets: Iterable[str]) -> None:
        """Take the secrets out of everything this error says."""
        secrets = list(secrets)
        self.args = tuple(redact(self.args, secrets))
        self.log = redact(self.log, secrets)
        self.facts = redact(self.facts, secrets)


def redact(value: Any, secrets: Iterable[str]) -> Any:
    """Return `value` with every secret in it, plain or percent-encoded, replaced by `***`."""
    forms = [form for secret in secrets if secret for form in {secret, quote(secret, safe="")}]
    return _redact(value, sorted(forms, key=len, reverse=True))


def _redact(value: Any, forms: list[str]) -> Any:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, "***")
        return value
    if isinstance(value, Mapping):
        return {key: _redact(entry, forms) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redact(entry, forms) for entry in value]
    return value


# Answers that are neither an event stream nor health: statuses, kind, what it means, what to do.
_ANSWERS: list[tuple[Container[int], str, str, str]] = [
    ((429,), *CODES[429]),
    (
        (401, 403),
        "sign_in",
        "BinderHub, or a proxy before it, wants people to sign in",
        "give the verifier a token of the hub (site_hub_verify_tokens), let its address pass, or launch by hand in a browser",
    ),
    (
        range(300, 400),
        "redirect",
        "the request is sent elsewhere",
        "use the URL it is sent to as site_public_url",
    ),
    (
        (404,),
        "not_found",
        "nothing answers at BinderHub's path",
        "compare the proxy's location, BinderHub.base_url and the hub's binder_base_url: they must be one path",
    ),
    (
        (502, 503, 504),
        "proxy",
        "the proxy does not reach BinderHub",
        "check that the binder pod is Running and that its NodePort answers from the proxy's host",
    ),
    (
        (200, 406),
        "not_a_stream",
        "a page came instead of an event stream",
        "see whether the path leads to BinderHub at all, and whether a proxy on the way drops the header "
        "Accept: text/event-stream or puts its own page first",
    ),
    (range(1000), "http", "BinderHub refused the request", "read BinderHub's log"),
]
# In the place that a redirect leads to, or in a page's title; no path of BinderHub or the hub has these words.
_SIGN_IN = re.compile(
    r"oauth|openid|saml|shibboleth|\bsso\b|/authorize|\b(log|sign).?(in|on)\b|\bweblogin\b", re.IGNORECASE
)
_PASSWORD_FIELD = re.compile(r"<input[^>]*type=[\"']?password", re.IGNORECASE)


def refused(url: str, status: int, headers: Mapping[str, str], page: str) -> VerifyError:
    """Explain an answer that is not what was asked for."""
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    text = " ".join((title.group(1) if title else "" if "<" in page else page[:200]).split())
    location = headers.get("location", "")
    observed = f"HTTP {status}, {headers.get('content-type') or 'no content type'}"
    observed += f", to {location}" if location else ""
    observed += f", '{text}'" if text else ""
    observed += f", retry after {headers['retry-after']} s" if "retry-after" in headers else ""
    observed += f", asks for {headers['www-authenticate']}" if "www-authenticate" in headers else ""
    # A login is a page or a redirect as often as a 401.
    signs_in = _SIGN_IN.search(f"{location} {text}") or _PASSWORD_FIELD.search(page)
    key = 401 if status < 400 and signs_in else status
    kind, what, remedy = next(entry[1:] for entry in _ANSWERS if key in entry[0])
    return VerifyError(kind, what, where=url, observed=observed, remedy=remedy)


def unreachable(url: str, error: HttpFailure) -> VerifyError:
    """Explain a connection that failed before there was an answer."""
    kind, what, remedy = {
        "tls": (
            "tls",
            "the TLS connection failed",
            "list the CA that signed the proxy's certificate in ca_files (site_ca_files); if the certificate has "
            "expired or names another host, renew it",
        ),
        "silence": (
            "silent",
            "the server took the request and did not answer",
            "check that the binder pod is Running, and whether the proxy buffers the stream (proxy_buffering off)",
        ),
        "closed": (
            "closed",
            "the server hung up instead of answering",
            "see whether http and https are mixed up, and read the proxy's error log",
        ),
        "request": ("request", "the request cannot be sent", "correct the URL, the spec or ca_files"),
    }.get(
        error.kind,
        (
            "unreachable",
            "nothing can be reached at this address",
            "check that NGINX runs on the proxy, that its port is open, and that the name resolves here",
        ),
    )
    return VerifyError(kind, what, where=url, observed=str(error), remedy=remedy)
