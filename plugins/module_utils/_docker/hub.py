# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The names of Docker Hub."""

from __future__ import annotations

__all__ = ["HUB_API", "HUB_NAMES"]

# Its images are under these names, its registry's API under another.
HUB_NAMES = ("docker.io", "index.docker.io")
HUB_API = "registry-1.docker.io"
