# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller sees of the OpenID providers by which people sign in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Reply
from ansible_collections.ironbinder.platform.plugins.module_utils._net.openid import (
    discovery_url,
    read_discovery,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import site_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    binder_callback_url,
    callback_url,
    has_provider,
    issuers,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in_forms import is_issuer

__all__ = ["ask_provider", "callback_lines", "callbacks_of", "providers_of"]


def providers_of(site: Site) -> dict[str, str]:
    """Give the issuers that can be asked, by hub. What is none is a rule's."""
    return {hub: issuer for hub, issuer in issuers(site.hubs).items() if is_issuer(issuer)}


def ask_provider(
    issuer: str, ca_files: Sequence[str], get: Callable[[str, Sequence[str]], Reply]
) -> dict[str, Any]:
    """Ask a provider for its document: `url`, and what `read_discovery` says of it or `error`."""
    url = discovery_url(issuer)
    try:
        return {"url": url, **read_discovery(get(url, ca_files))}
    except HttpFailure as error:
        return {"url": url, "error": f"cannot be reached: {error}"}


def callbacks_of(site: Site, hub: str) -> tuple[str, str]:
    """Give the URLs at which a hub, and its BinderHub, are called back, as far as they can be computed."""
    settings = site_hubs(site)[hub]
    # Its own URL where it has one, else the site's.
    public = (as_text(settings.get("public_url")) or site.text("site_public_url")).rstrip("/")
    return (
        callback_url(f"{public}{settings['hub_base_url']}"),
        binder_callback_url(f"{public}{settings['binder_base_url']}"),
    )


def callback_lines(site: Site) -> list[str]:
    """Say what is to be registered at providers, a line each."""
    return [
        f"callback  {callbacks_of(site, name)[0]}  (of the hub {name}, for its registration at the provider)"
        for name, hub in site.hubs.items()
        if has_provider(hub)
    ]
