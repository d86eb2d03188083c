# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""All that a machine asks of the site's servers, at once. Runs on targets: Python 3.9, the standard library, no change."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._net.probe import NetworkProbe
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_push import PushProbe
from ansible_collections.ironbinder.platform.plugins.module_utils._net.registry_token import ask_for_token

__all__ = ["ask_servers"]


def ask_servers(params: Mapping[str, Any]) -> dict[str, Any]:
    """Read all URLs and lists of packages at once, and log in to the registry.

    Args:
        params: options of the module `site_probe`, which documents them.

    Returns:
        `urls`, `packages`, `read_lists`, `unread_lists` and `gone_lists`, as that module documents them.
    """
    connection = _transport(params["ca_pem"], params["proxy_environment"])
    network = NetworkProbe(connection)
    registry, names = params["registry_url"], params["package_names"]
    with ThreadPoolExecutor(max_workers=12) as pool:
        urls = {name: pool.submit(network.url, str(url)) for name, url in params["urls"].items()}
        if registry:
            urls["registry"] = pool.submit(network.registry, registry)
        if registry and params["registry_password"]:
            account = (params["registry_username"], params["registry_password"])
            urls["registry_login"] = pool.submit(network.registry_login, registry, *account)
            repository, token_url = params["registry_push_repository"], params["registry_token_url"]
            if token_url:
                urls["registry_token"] = pool.submit(
                    ask_for_token, connection, token_url, repository, *account
                )
            if params["registry_push_tried"]:
                pushing = PushProbe(connection, registry, *account)
                urls["registry_push"] = pool.submit(pushing.ask, repository)
        if registry and params["registry_pull_password"]:
            account = (params["registry_pull_username"], params["registry_pull_password"])
            urls["registry_pull_login"] = pool.submit(network.registry_login, registry, *account)
            pushing = PushProbe(connection, registry, *account)
            urls["registry_pull_push"] = pool.submit(pushing.ask, params["registry_push_repository"])
        lists = [(index, pool.submit(network.packages, index, names)) for index in params["package_indexes"]]
        packages: dict[str, list[str]] = {}
        read, unread, gone = [], [], {}
        for index, job in lists:
            found = job.result()
            if found is None:
                unread.append(str(index.get("list")))
                if refusal := network.refusal(index):
                    gone[str(index.get("list"))] = refusal
            else:
                read.append(str(index.get("list")))
            # What any repository has, apt can install.
            for name, versions in (found or {}).items():
                known = packages.setdefault(name, [])
                known += [version for version in versions if version not in known]
        return {
            "urls": {name: job.result() for name, job in urls.items()},
            "packages": packages,
            "read_lists": read,
            "unread_lists": unread,
            "gone_lists": gone,
        }


def _transport(ca_pem: str, environment: Mapping[str, str]) -> HttpTransport:
    """Trust these CAs, unless they are none; the controller's look reports that."""
    try:
        return HttpTransport(ca_pem=ca_pem, uses_proxies=True, environment=environment)
    except HttpFailure:
        return HttpTransport(uses_proxies=True, environment=environment)
