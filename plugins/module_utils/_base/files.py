# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Optional, Union

__all__ = ["write_atomically"]


def write_atomically(
    path: Path,
    content: Union[str, bytes],
    *,
    mode: int = 0o600,
    owner: Optional[tuple[int, int]] = None,
    replace: bool = True,
) -> bool:
    """Write beside the file, and rename: a kill at any moment leaves the old file or the new one.

    Args:
        path: the file; its folder has to exist.
        content: text, written as UTF-8, or bytes.
        mode: permissions of the file.
        owner: user and group as numbers; None leaves those of the process.
        replace: whether a file that is there already is replaced.

    Returns:
        Whether the file was written: False only where one is there and `replace` is False.

    Raises:
        OSError: as the system has it; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    # 0600 from the start, so that a secret is never readable by others, not even for a moment.
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if owner is not None:
            os.chown(beside, *owner)
        Path(beside).chmod(mode)
        if replace:
            Path(beside).replace(path)
            return True
        # A link fails where the name is taken, also between two runs at the same moment.
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        return True
    finally:
        Path(beside).unlink(missing_ok=True)
