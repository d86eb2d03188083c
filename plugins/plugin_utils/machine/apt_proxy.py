# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What apt is told of the site's proxy, https://manpages.debian.org/bookworm/apt/apt-transport-http.1.en.html."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["apt_configuration"]


def apt_configuration(environment: Mapping[str, str], mark: str) -> str:
    """Give the text of a file for /etc/apt/apt.conf.d; empty where there is no proxy.

    Args:
        environment: http_proxy, https_proxy and no_proxy, as programs read them of their environment. Of no_proxy apt's
            configuration can name hosts and IPv4 addresses only: ends of names, networks and IPv6 addresses are left out.
        mark: stands in the first line.
    """
    proxies = {kind: environment.get(f"{kind}_proxy", "") for kind in ("http", "https")}
    if not any(proxies.values()):
        return ""
    direct = [
        entry
        for entry in environment.get("no_proxy", "").split(",")
        if entry and not entry.startswith((".", "*")) and "/" not in entry and ":" not in entry
    ]
    lines = [f"// {mark}. Changes are overwritten."]
    # Without a proxy of its own, https would take the one for http.
    lines += [f'Acquire::{kind}::Proxy "{url or "DIRECT"}";' for kind, url in proxies.items()]
    lines += [
        f'Acquire::{kind}::Proxy::{host} "DIRECT";' for kind, url in proxies.items() if url for host in direct
    ]
    return "\n".join(lines) + "\n"
