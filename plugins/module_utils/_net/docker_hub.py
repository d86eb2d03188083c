# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The names of Docker Hub."""

from __future__ import annotations

__all__ = ["HUB_ACCOUNT", "HUB_API", "HUB_NAMES", "account_key"]

# Its images are under these names, its registry's API under another.
HUB_NAMES = ("docker.io", "index.docker.io")
HUB_API = "registry-1.docker.io"
# And its accounts under a third: https://github.com/moby/moby/blob/master/daemon/pkg/registry/config.go
HUB_ACCOUNT = "https://index.docker.io/v1/"


def account_key(registry: str) -> str:
    """Give the key of a registry's account in Docker's configuration, from the first part of an image's name."""
    return HUB_ACCOUNT if registry.partition(":")[0] in (*HUB_NAMES, HUB_API) else registry
