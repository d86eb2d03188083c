# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an answer of the Kubernetes API says besides its object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Optional

__all__ = ["excerpt", "is_status", "pause"]

_EXCERPT = 200


def is_status(data: bytes) -> bool:
    """Tell whether this is the API's own word, and not that of a proxy before it."""
    try:
        return bool(json.loads(data)["kind"] == "Status")
    except (ValueError, LookupError, TypeError):
        return False


def excerpt(data: bytes) -> str:
    """Return what an answer without an object says, in one line that fits into an error."""
    text = " ".join(data.decode(errors="replace").split())
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."


def pause(status: int, headers: Mapping[str, str]) -> Optional[float]:
    """Return for how many seconds the server asks to be left alone, None where it does not.

    Source: checkWait in https://github.com/kubernetes/client-go/blob/master/rest/request.go.
    """
    if status != 429 and status < 500:
        return None
    given = headers.get("Retry-After", "")
    return float(given) if given.isdecimal() else None
