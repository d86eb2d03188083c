# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every launch by which a site is proved, as the inventory has it: the site's, those of hubs, and the corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.binder_link import link_spec
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
)

__all__ = ["EXPECT", "SPEC", "Proof", "corpus_proofs", "own_proofs", "proofs"]

PROVIDER, SPEC, EXPECT = "site_verify_provider", "site_verify_spec", "site_verify_expect"
CORPUS = "site_verify_corpus"


@dataclass(frozen=True)
class Proof:
    """One launch.

    `variable` is where its spec stands, `provider_variable` where its provider does, `expect_variable` what it expects.
    `expect` is as it is written, its keys being whatever they are; `cause` what it is to fail with, `` where it is to be ready.
    """

    variable: str
    provider_variable: str
    provider: str
    spec: str
    expect_variable: str = EXPECT
    expect: Mapping[Any, Any] = field(default_factory=dict)
    cause: str = ""

    @property
    def sent(self) -> str:
        """The spec as BinderHub gets it."""
        return link_spec(self.provider, self.spec)


def _mapping(value: Any) -> Mapping[Any, Any]:
    """Give a mapping with all its keys: one that is no text is a mistake that has to be told."""
    return value if isinstance(value, Mapping) else {}


def own_proofs(site: Site) -> Iterator[Proof]:
    """Give the site's proof, and those of hubs that have another."""
    common, expect = (site.text(PROVIDER), site.text(SPEC)), _mapping(site.values.get(EXPECT))
    yield Proof(SPEC, PROVIDER, *common, expect=expect)
    for name, hub in site.hubs.items():
        where, own = f"site_hubs.{name}.verify", as_mapping(hub.get("verify"))
        told = [as_text(own.get(key)) for key in ("provider", "spec")]
        provider, spec = (given or other for given, other in zip(told, common, strict=True))
        if (provider, spec) != common:
            yield Proof(
                f"{where}.spec", f"{where}.provider" if told[0] else PROVIDER, provider, spec, expect=expect
            )


def corpus_proofs(site: Site) -> Iterator[Proof]:
    """Give the entries of the corpus that are launched, as far as they can be read."""
    for number, entry in enumerate(as_list(site.values.get(CORPUS))):
        told, where = as_mapping(entry), f"{CORPUS}[{number}]"
        provider, spec, cause = (as_text(told.get(key)) for key in ("provider", "spec", "cause"))
        if "skip" not in told and provider and spec:
            yield Proof(where, where, provider, spec, where, _mapping(told.get("expect")), cause)


def proofs(site: Site) -> Iterator[Proof]:
    """Give all of them."""
    yield from own_proofs(site)
    yield from corpus_proofs(site)
