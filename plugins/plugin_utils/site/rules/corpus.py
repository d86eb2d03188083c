# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about the repositories that a site launches to see what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.corpus import entry_fault
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

VARIABLE = "site_verify_corpus"


@rule("corpus-malformed", ERROR, "An entry of the corpus cannot be launched, or judged, as it is written.")
def corpus_malformed(site: Site) -> Iterator[Problem]:
    corpus = site.values.get(VARIABLE)
    if not isinstance(corpus, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in corpus):
        return
    names: set[str] = set()
    for number, entry in enumerate(corpus):
        name = as_text(entry.get("name"))
        fault = entry_fault(entry, list(site.hubs))
        if fault is None and name in names:
            fault = ("has a name that another entry has", "give each repository a name of its own")
        names.add(name)
        if fault is not None:
            observed, remedy = fault
            yield Problem(f"{name[:40]} {observed}".lstrip(), remedy, f"{VARIABLE}[{number}]")
