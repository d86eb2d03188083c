# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The `auth` of each hub of a site, as the rules about signing in read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    KINDS,
    NONE,
    Kind,
    auth_of,
)

__all__ = ["SignInEntry", "sign_in_entries", "signing_in"]


@dataclass(frozen=True)
class SignInEntry:
    """The `auth` of a hub that is of a known kind: `given` is what is written, `auth` that with its defaults."""

    hub: str
    kind: Kind
    given: Mapping[str, Any]
    auth: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Where it stands."""
        return f"site_hubs.{self.hub}.auth"


def sign_in_entries(site: Site) -> Iterator[SignInEntry]:
    """Give the `auth` of each hub whose kind is one, `none` included."""
    for name, hub in site.hubs.items():
        given = hub.get("auth")
        auth = auth_of(given)
        if isinstance(auth["kind"], str) and auth["kind"] in KINDS:
            yield SignInEntry(name, KINDS[auth["kind"]], as_mapping(given), auth)


def signing_in(site: Site) -> Iterator[SignInEntry]:
    """Give the `auth` of each hub on which people sign in."""
    return (entry for entry in sign_in_entries(site) if entry.auth["kind"] != NONE)
