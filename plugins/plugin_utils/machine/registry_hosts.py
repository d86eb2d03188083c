# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where containerd pulls from: a hosts.toml for each registry.

https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.docker_hub import HUB_API

__all__ = ["hosts_files"]

# Docker Hub answers elsewhere than its name says.
_SERVERS = {"docker.io": HUB_API}


def hosts_files(
    mirrors: Mapping[str, str], registries: Sequence[Mapping[str, Any]], *, ca_file: str, mark: str
) -> dict[str, str]:
    """Give {"<registry>/hosts.toml": text} for each mirrored registry and each of the site's own.

    Args:
        mirrors: {registry: endpoint}, the endpoint being a whole base URL.
        registries: the site's own, {host, plain_http_enabled}; one of these wins over a mirror.
        ca_file: PEM file on the node with the CAs of all of them; empty where they need none.
        mark: stands in the first line.
    """
    private = {str(registry["host"]): registry for registry in registries}
    texts = {}
    for registry in [*mirrors, *(host for host in private if host not in mirrors)]:
        if registry in private:
            scheme = "http" if private[registry].get("plain_http_enabled") else "https"
            url = f"{scheme}://{_SERVERS.get(registry, registry)}"
            lines = [
                f"server = {_string(url)}",
                "",
                f"[host.{_string(url)}]",
                '  capabilities = ["pull", "resolve", "push"]',
            ]
        else:
            url = str(mirrors[registry])
            lines = [
                "# Asked when the mirror fails.",
                f"server = {_string(f'https://{_SERVERS.get(registry, registry)}')}",
                "",
                f"[host.{_string(url)}]",
                '  capabilities = ["pull", "resolve"]',
                "  # The endpoint is the whole path: nothing is to be put before the image's name.",
                "  override_path = true",
            ]
        if ca_file and url.startswith("https://"):
            lines.append(f"  ca = {_string(ca_file)}")
        texts[f"{registry}/hosts.toml"] = "\n".join([f"# {mark}. Changes are overwritten.", *lines, ""])
    return texts


def _string(text: str) -> str:
    """Write a TOML string, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
