# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""JSON that others wrote, read so that it can be told again."""

from __future__ import annotations

import json
from typing import Any, Union

__all__ = ["read_json"]


def read_json(text: Union[bytes, str]) -> Any:
    """Give the value of a JSON text, with `?` for each half of a character that stands alone.

    JSON can escape such a half (`"\\ud800"`), and UTF-8 cannot have it: an answer of a module that holds one is lost.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        value = json.loads(text)
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
