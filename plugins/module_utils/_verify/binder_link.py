# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Specs as a Binder link has them."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["link_spec"]


def link_spec(provider: str, spec: str) -> str:
    """Give a spec as it stands in the path of a Binder link, which is also what BinderHub compares with its patterns."""
    spec = spec.strip("/")
    if provider == "git" and "://" in spec:
        # People paste the repository's URL; a Binder link has it in one path segment.
        repository, _slash, ref = spec.rpartition("/")
        spec = f"{quote(repository, safe='')}/{ref}"
    return quote(spec, safe="/%:@!$&()*+,;=~")
