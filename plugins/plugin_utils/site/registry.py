# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where the registry's API is, which the names of images do not always say."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._docker.hub import HUB_API, HUB_NAMES

__all__ = ["registry_url"]


def registry_url(host: object, plain_http: bool = False) -> str:
    """Give the URL of a registry's `/v2/`; empty where `host` is no host or host:port."""
    if not isinstance(host, str) or not host or set(host) & set("/ @?#"):
        return ""
    return f"{'http' if plain_http else 'https'}://{HUB_API if host in HUB_NAMES else host}/v2/"
