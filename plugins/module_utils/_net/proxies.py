# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The proxies that the environment or a site names (http_proxy, https_proxy, no_proxy), and tunnels through them."""

from __future__ import annotations

import base64
import http.client
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import SplitResult, unquote, urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure

__all__ = ["Proxy", "is_named", "proxies_of", "proxy_for", "tunnel"]


@dataclass(frozen=True)
class Proxy:
    """Where a proxy listens, and what it has to be told; its password never gets into a text."""

    host: str
    port: int
    headers: Mapping[str, str]

    def __str__(self) -> str:
        """Name it as people know it."""
        return f"the proxy {self.host}:{self.port} of the environment"


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Give proxies by scheme out of variables of an environment, for `proxy_for`. Empty ones count as none."""
    return {scheme: url for scheme in ("http", "https") if (url := environment.get(f"{scheme}_proxy", ""))}


def is_named(host: str, no_proxy: str) -> bool:
    """Whether no_proxy names a host: by its name, the end of its name, its address, or a network that has it.

    Args:
        host: a name or an address, with or without a port.
        no_proxy: entries with commas between them.
    """
    bare = host.strip("[]").lower() if host.count(":") > 1 else host.partition(":")[0].lower()
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        address = None
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if not entry:
            continue
        if entry in ("*", bare, host.lower()) or bare.endswith(f".{entry.lstrip('*').lstrip('.')}"):
            return True
        try:
            if address is not None and address in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:  # a name, or what nobody can read
            continue
    return False


def proxy_for(
    parts: SplitResult, proxies: Mapping[str, str], is_direct: Callable[[str], object]
) -> Optional[Proxy]:
    """Choose the environment's proxy for a URL; None to go there directly.

    Args:
        parts: the URL.
        proxies: the environment's proxies by scheme, as urllib.request.getproxies gives them.
        is_direct: whether a host or host:port is to be reached without, as urllib.request.proxy_bypass has it.

    Raises:
        HttpFailure: the environment names a proxy that cannot be used.
    """
    netloc = parts.netloc.rpartition("@")[2]
    text = proxies.get(parts.scheme)
    if not text or is_direct(netloc) or is_direct(parts.hostname or ""):
        return None
    try:
        named = urlsplit(text if "://" in text else f"http://{text}")
        host, port = named.hostname, named.port or 80
    except ValueError:
        host, port, named = None, 0, SplitResult("", "", "", "", "")
    # https:// is often written of a proxy that takes plain connections, as this one is spoken to. A password
    # is only told where plain text was asked for.
    if not host or named.scheme not in ("http", "https") or (named.scheme == "https" and named.username):
        raise HttpFailure(
            "proxy", f"the variable {parts.scheme}_proxy of the environment has to be http://host:port"
        )
    headers = {}
    if named.username:
        account = f"{unquote(named.username)}:{unquote(named.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"
    return Proxy(host, port, headers)


def tunnel(sock: Any, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy connect `sock` through to `host`.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6

    Raises:
        HttpFailure: the proxy refuses.
        http.client.HTTPException, OSError: it does not answer, or not by HTTP.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host.encode('idna').decode()}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    response = http.client.HTTPResponse(sock, method="CONNECT")
    try:
        response.begin()
        if not 200 <= response.status < 300:
            raise HttpFailure("proxy", f"{proxy} answers {response.status} for {target}")
    finally:
        response.close()
