# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What became of a corpus, side by side, and whether that is what was to become of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter.corpus_verdict import corpus_verdict
from ansible_collections.ironbinder.platform.plugins.modules import binder_launch
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.corpus import CAUSES

HELLO = {"name": "hello", "provider": "gh", "spec": "a/b/c", "outcome": "ready"}
BROKEN = {**HELLO, "name": "broken", "outcome": "failed", "cause": "build"}
SKIPPED = {"name": "conda", "skip": "no Internet"}
VERIFIED = {
    "summary": "launch verified in 12.3 s",
    "total_seconds": 12.3,
    "phases": {"waiting": 0.3, "building": 10.04, "built": 0.001, "launching": 1.96},
}
FAILED = {
    "msg": "the build failed. Where: x. Next: y.\n  log",
    "kind": "build",
    "total_seconds": 3.0,
    "phases": {"building": 3.0},
}


def test_side_by_side() -> None:
    told = corpus_verdict([HELLO, SKIPPED, BROKEN], [VERIFIED, FAILED])
    assert told["ok"] and told["problems"] == []
    assert told["table"] == [
        "REPOSITORY  OUTCOME        WAITING  BUILDING  LAUNCHING  SECONDS  VERDICT",
        "hello       ready              0.3      10.0        2.0     12.3  as expected",
        "conda       skipped                                               no Internet",
        "broken      failed: build                3.0                 3.0  as expected",
    ]


@pytest.mark.parametrize(
    ("entry", "result", "problem"),
    [
        (
            HELLO,
            FAILED,
            "hello: expected ready, and it is failed: build. the build failed. Where: x. Next: y.",
        ),
        (BROKEN, VERIFIED, "broken: expected failed: build, and it is ready. launch verified in 12.3 s"),
        (BROKEN, {**FAILED, "kind": "push"}, "broken: expected failed: build, and it is failed: push."),
        # A module that broke says no kind.
        (BROKEN, {"msg": "MODULE FAILURE"}, "broken: expected failed: build, and it is failed: no verdict."),
        (HELLO, {"skipped": True}, "hello: expected ready, and it is failed: no verdict. nothing"),
    ],
)
def test_what_differs_is_named(entry: dict[str, Any], result: dict[str, Any], problem: str) -> None:
    told = corpus_verdict([SKIPPED, entry, HELLO], [result, VERIFIED])
    assert not told["ok"]
    assert [problem in found for found in told["problems"]] == [True]
    assert [" WRONG, expected " in row for row in told["table"]] == [False, False, True, False]


def test_a_launch_too_few_is_no_verdict() -> None:
    with pytest.raises(AnsibleFilterError, match="broken and those after it were not launched"):
        corpus_verdict([HELLO, SKIPPED, BROKEN], [VERIFIED])


def test_causes_are_those_of_the_module() -> None:
    """What may be expected of a launch is what its module can say."""
    told = " ".join(yaml.safe_load(binder_launch.RETURN)["kind"]["description"])
    assert set(re.findall(r"C\((\w+)\)", told)) == CAUSES
