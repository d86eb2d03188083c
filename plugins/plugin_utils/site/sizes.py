# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Sizes of memory and disk and shares of processors, as people write them for sessions."""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["mebibytes", "millicores"]

# JupyterHub counts K, M, G and T by 1024; Kubernetes writes the same as Ki, Mi, Gi and Ti.
# https://github.com/jupyterhub/jupyterhub/blob/main/jupyterhub/traitlets.py
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGT]?)(?:i?B?)\s*")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_MEBIBYTE = 1 << 20


def mebibytes(value: Any) -> int:
    """Read a size, such as 256M, 10Gi or a number of bytes.

    Returns:
        MiB, rounded up; 0 where there is none, or where the text is no size.
    """
    if isinstance(value, bool) or value is None:
        return 0
    match = _SIZE.fullmatch(str(value))
    if match is None:
        return 0
    return math.ceil(float(match[1]) * 1024 ** _POWERS[match[2]] / _MEBIBYTE)


def millicores(value: Any) -> int:
    """Read a share of processors, such as 0.5, "2" or 500m.

    Returns:
        Thousandths of a processor, rounded up; 0 where there is none, or where the text is none.
    """
    if isinstance(value, bool) or value is None:
        return 0
    match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)(m?)\s*", str(value))
    return math.ceil(float(match[1]) * (1 if match[2] else 1000)) if match else 0
