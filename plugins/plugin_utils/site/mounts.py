# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where a session's volumes may be mounted, and what they would hide there."""

from __future__ import annotations

import posixpath

__all__ = ["HOME", "hidden_by", "is_below"]

# Where repo2docker's images have the repository.
HOME = "/home/jovyan"
# The system of such an image, and the environment that repo2docker makes in it. Nothing is mounted over, above or in these,
SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"),
    *("/srv/conda", "/srv/npm"),
)
# nor over these.
BUSY = ("/opt", "/root", "/run", "/tmp", "/var")


def is_below(path: str, other: str) -> bool:
    """Whether a folder is another one, or in it."""
    return f"{posixpath.normpath(path)}/".startswith(f"{posixpath.normpath(other).rstrip('/')}/")


def hidden_by(mount_path: str) -> str:
    """Say what a volume at a path would hide from people; empty where it hides nothing."""
    path = posixpath.normpath(mount_path)
    own = _own(path)
    if own:
        return f"{own} is the image's own: sessions would not start, or lack what they need"
    hides = path in ("/", HOME) or HOME.startswith(f"{path}/")
    return f"the repository is in {HOME}: all of it would be gone from sight" if hides else ""


def _own(path: str) -> str:
    """Give the folder of the image itself that a mount at `path` would hide or be in; nothing of all of them."""
    if path == "/":
        return ""
    return next(
        (own for own in SYSTEM if is_below(path, own) or is_below(own, path)), path if path in BUSY else ""
    )
