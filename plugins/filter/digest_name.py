# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Names of files that follow from what the file is."""

from __future__ import annotations

DOCUMENTATION = r"""
name: digest_name
short_description: Name a file after what it holds or where it comes from
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives twelve hexadecimal digits of the input's SHA-1 between O(prefix) and O(suffix). Another input is another file.
options:
  _input:
    description: What the file holds, or its URL.
    type: str
    required: true
  prefix:
    description: What the name begins with.
    type: str
    default: ""
  suffix:
    description: What the name ends with.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show where the key of a repository would be
  ansible.builtin.debug:
    msg: "/etc/apt/keyrings/{{ 'https://example.org/key.asc' | ironbinder.platform.digest_name('example-', '.asc') }}"
"""

RETURN = r"""
_value:
  description: The name.
  type: str
"""

import hashlib
from typing import Any


def digest_name(text: str, prefix: str = "", suffix: str = "") -> str:
    """Return the name of a file for `text`. A name is no secret and no proof: SHA-1 is as good as any."""
    return f"{prefix}{hashlib.sha1(str(text).encode(), usedforsecurity=False).hexdigest()[:12]}{suffix}"


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"digest_name": digest_name}
