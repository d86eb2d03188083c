# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The way a person signs in, as far as one comes without being one: by BinderHub to the hub's login, and on to the provider."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import parse_qs, quote_plus, urlencode, urljoin, urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import (
    HttpFailure,
    Reply,
    Transport,
    is_under,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.urls import shown
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import (
    VerifyError,
    unreachable,
)

__all__ = ["SignInCheck", "check_sign_in"]

REQUEST_SECONDS = 20.0
# BinderHub, the hub's own OAuth, its login page, and one more for whoever stands before them.
MOST_STEPS = 8
# A code that is none is an invalid_grant, once the client has been looked at; a client that cannot be read is an invalid_request.
_REFUSALS = ("invalid_client", "unauthorized_client", "invalid_request")
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class SignInCheck:
    """What is to be tried. URLs are public ones.

    `callback_url` is empty where people have no provider. Without `client_secret` it is not tried.
    """

    binder_url: str
    hub_url: str
    callback_url: str = ""
    client_id: str = ""
    client_secret: str = ""


def check_sign_in(
    check: SignInCheck, site: Transport, provider: Optional[Transport] = None, token_url: str = ""
) -> dict[str, Any]:
    """Go as far as a person without an account comes.

    Args:
        check: what is to be tried.
        site: the network to the site, as people have it.
        provider: the network to the provider; None where it cannot be reached from here.
        token_url: where the provider is shown the client's secret.

    Returns:
        `login_url`, the page that asks who it is, and `client`, whether the provider took the client's id and secret: True, or
        None where it was not asked.

    Raises:
        VerifyError: a person would not come so far.
    """
    login = _to_login(check, site)
    told: dict[str, Any] = {"login_url": login, "client": None}
    if check.callback_url:
        asked = _to_provider(check, site)
        if provider:
            _ask_provider(check, asked, provider)
            if token_url and check.client_secret:
                _try_client(check, token_url, provider)
                told["client"] = True
    return told


def _get(url: str, transport: Transport) -> Reply:
    try:
        return transport.request("GET", url, {"Accept": "text/html"}, REQUEST_SECONDS)
    except HttpFailure as error:
        raise unreachable(shown(url), error) from error


def _to_login(check: SignInCheck, site: Transport) -> str:
    """Follow BinderHub's page to where it asks who it is."""
    url, way = check.binder_url, []
    for _ in range(MOST_STEPS):
        way.append(shown(url))
        reply = _get(url, site)
        target = reply.headers.get("location", "") if reply.status in _MOVED else ""
        if not target:
            break
        url = urljoin(url, target)
        if not any(is_under(url, base) for base in (check.binder_url, check.hub_url)):
            return shown(url)  # a hub that sends people to their provider at once
    else:
        raise VerifyError(
            "sign_in_loop",
            "people are sent round and round, and never asked who they are",
            where=check.binder_url,
            observed=" -> ".join(way[-4:]),
            remedy="see that BinderHub.hub_url, base_url and the proxy's locations name one path each, and that the callback of "
            "the service binder is below BinderHub's URL",
        )
    if reply.status == 200 and not is_under(url, check.hub_url):
        raise VerifyError(
            "sign_in_off",
            "BinderHub lets people in who did not sign in",
            where=check.binder_url,
            observed=f"HTTP 200 at {way[-1]}",
            remedy="see that config.BinderHub.auth_enabled is true in the release's values, and release the hub again",
        )
    if reply.status != 200:
        raise VerifyError(
            "sign_in",
            "the hub's login page does not open",
            where=way[-1],
            observed=f"HTTP {reply.status} after {' -> '.join(way[-4:])}",
            remedy="read the hub's log (kubectl logs deployment/hub)",
        )
    return shown(url)


def _to_provider(check: SignInCheck, site: Transport) -> str:
    """Begin to sign in as the login page's button does; return the provider's URL that it leads to."""
    url = f"{check.hub_url.rstrip('/')}/hub/oauth_login"
    reply = _get(url, site)
    target = reply.headers.get("location", "") if reply.status in _MOVED else ""
    told = parse_qs(urlsplit(target).query)
    if not target or "redirect_uri" not in told:
        raise VerifyError(
            "sign_in",
            "the hub does not send people to their provider",
            where=url,
            observed=f"HTTP {reply.status}" + (f", to {shown(target)}" if target else ""),
            remedy="see that the release has the authenticator of auth.kind, and read the hub's log",
        )
    if told["redirect_uri"] != [check.callback_url]:
        raise VerifyError(
            "callback",
            "the hub names another callback than its own",
            where=url,
            observed=f"{told['redirect_uri'][0]}, and it is called back at {check.callback_url}",
            remedy="drop oauth_callback_url from the hub's values, and release the hub again",
        )
    return target


def _ask_provider(check: SignInCheck, url: str, provider: Transport) -> None:
    """Ask the provider for its login page: it refuses a client or a callback that it does not know."""
    reply = _get(url, provider)
    target = reply.headers.get("location", "") if reply.status in _MOVED else ""
    fault = parse_qs(urlsplit(target).query).get("error", [""])[0]
    if reply.status >= 400 or fault:
        raise VerifyError(
            "client",
            "the provider does not take this client, or its callback",
            where=shown(url),
            observed=f"HTTP {reply.status}" + (f", {fault}" if fault else "") + _words(reply),
            remedy=f"compare client_id {check.client_id} with the provider's, and register the callback {check.callback_url} "
            "there, to the letter",
        )


def _try_client(check: SignInCheck, token_url: str, provider: Transport) -> None:
    """Show the client's secret with a code that is none: a provider looks at the client first."""
    # As in a form, https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1; the values of the release have it so for the hub.
    pair = f"{check.client_id}:{quote_plus(check.client_secret)}"
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
    }
    form = {
        "grant_type": "authorization_code",
        "code": "ironbinder-verify",
        "redirect_uri": check.callback_url,
    }
    try:
        reply = provider.request("POST", token_url, headers, REQUEST_SECONDS, body=urlencode(form).encode())
    except HttpFailure as error:
        raise unreachable(token_url, error) from error
    told = reply.json()
    fault = str(told.get("error") or "") if isinstance(told, Mapping) else ""
    if fault in _REFUSALS or (reply.status in (401, 403) and not fault):
        raise VerifyError(
            "client_secret",
            "the provider refuses the client's secret: nobody can sign in",
            where=token_url,
            observed=f"HTTP {reply.status}" + (f", {fault}" if fault else "") + _words(reply),
            remedy="it may have expired, or belong to another client: get a new one at the provider, write it into secrets.yml "
            "as site_hub_auth_secrets.<hub>.client_secret, and release the hub again",
        )


def _words(reply: Reply) -> str:
    """What a provider says of an error, where it says it as OAuth wants."""
    told = reply.json()
    said = told.get("error_description") if isinstance(told, Mapping) else ""
    return f", {str(said)[:200]}" if said else ""
