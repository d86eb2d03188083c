# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The names of Docker Hub."""

from __future__ import annotations

__all__ = ["HUB_ACCOUNT", "HUB_API", "HUB_NAMES", "account_key", "is_hub"]

# Its images are under these names, its registry's API under another.
HUB_NAMES = ("docker.io", "index.docker.io")
HUB_API = "registry-1.docker.io"
# And its accounts under a third: https://github.com/moby/moby/blob/master/daemon/pkg/registry/config.go
HUB_ACCOUNT = "https://index.docker.io/v1/"
_TLS_PORT = ":443"


def is_hub(registry: str) -> bool:
    """Whether a host, or a host with the port that TLS has anyway, is Docker Hub by one of its names."""
    name = registry[: -len(_TLS_PORT)] if registry.endswith(_TLS_PORT) else registry
    return name in (*HUB_NAMES, HUB_API)


def account_key(registry: str) -> str:
    """Give the key of a registry's account in Docker's configuration, from the first part of an image's name."""
    return HUB_ACCOUNT if is_hub(registry) else registry
