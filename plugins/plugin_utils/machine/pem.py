# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""PEM text, as files hold it: several certificates, and words between them."""

from __future__ import annotations

import re

__all__ = ["certificates"]

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def certificates(text: str) -> list[str]:
    """List the certificates in `text`, each once, as it stands there and with an end of line."""
    return list(dict.fromkeys(f"{found}\n" for found in _CERTIFICATE.findall(text)))
