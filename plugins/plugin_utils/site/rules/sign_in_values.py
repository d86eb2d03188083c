# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about a hub's own values, where they say again what `auth` says of how people sign in."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, look_up
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.providers import callbacks_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import AUTH_SECRETS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import (
    BINDER_CALLBACK_WAY,
    CALLBACK_WAYS,
    OWN_WAYS,
    own_traits,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in_entries import signing_in

SECRET = ("_secret", "_password")


@rule("sign-in-overruled", ERROR, "A hub's own values say once more how people sign in.")
def sign_in_overruled(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        name, hub = entry.hub, site.hubs[entry.hub]
        for key in ("values", "secret_values"):
            # What callbacks in values say can be compared, by another rule.
            ways = (*OWN_WAYS, *CALLBACK_WAYS) if key == "secret_values" else OWN_WAYS
            found = {way: look_up(hub.get(key), way) for way in ways} | dict(
                own_traits(hub.get(key), [entry.kind])
            )
            for way in (way for way, value in found.items() if value is not None):
                remedy = "drop it, or drop auth"
                if key == "values" and way.endswith(SECRET):
                    remedy = f"drop it, and if git has it get a new one; secrets.yml has it in {AUTH_SECRETS}.{name}"
                yield Problem(
                    f"is set, beside what auth.kind {entry.auth['kind']} says of it",
                    remedy,
                    f"site_hubs.{name}.{key}.{way}",
                )


@rule("sign-in-callback-elsewhere", ERROR, "After signing in, people are sent to another place than the hub.")
def sign_in_callback_elsewhere(site: Site) -> Iterator[Problem]:
    for entry in signing_in(site):
        own, binders = callbacks_of(site, entry.hub)
        for way in CALLBACK_WAYS:
            given = look_up(site.hubs[entry.hub].get("values"), way)
            right = binders if way == BINDER_CALLBACK_WAY else own
            if given is not None and given != right:
                yield Problem(
                    f"is {str(given)[:100]}, and the hub is called back at {right}",
                    "drop it: it is computed from site_public_url and the hub's path",
                    f"site_hubs.{entry.hub}.values.{way}",
                )
