# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `plugin_utils/site/corpus.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: corpus_verdict
short_description: Compare what became of a corpus of repositories with what was to
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - A launch is as expected when it is ready and was to be, or failed with the cause that its entry names.
options:
  _input:
    description:
      - The corpus, entries with C(name), C(outcome) and C(cause), or with C(name) and C(skip), why one is not launched.
    type: list
    elements: dict
    required: true
  results:
    description:
      - What M(ironbinder.platform.binder_launch) returned for each entry without C(skip), failures included, in their order.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Compare
  ansible.builtin.set_fact:
    verdict: "{{ corpus | ironbinder.platform.corpus_verdict(results=launches.results) }}"
"""

RETURN = r"""
_value:
  description: C(ok), C(summary), C(table) and C(problems) as lines, C(launches) as data.
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.corpus import judge, render


def corpus_verdict(
    corpus: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Judge each launch, and put all side by side."""
    try:
        return render(judge(corpus, results))
    except ValueError as error:
        raise AnsibleFilterError(f"corpus_verdict: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"corpus_verdict": corpus_verdict}
