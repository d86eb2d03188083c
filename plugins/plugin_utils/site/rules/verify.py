# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a launch has to prove: the kernel, and what the site expects of a session."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.expected import expect_faults
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int, as_mapping
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

EXPECT, ENABLED, SECONDS = (
    "site_verify_expect",
    "site_verify_kernel_enabled",
    "site_verify_kernel_timeout_seconds",
)


@rule(
    "verify-expect-malformed",
    ERROR,
    "What a launched session has to have is written in a way that the verifier cannot ask for.",
    acceptable=False,
)
def verify_expect_malformed(site: Site) -> Iterator[Problem]:
    for key, observed, remedy in expect_faults(as_mapping(site.values.get(EXPECT)), EXPECT):
        yield Problem(observed, remedy, f"{EXPECT}.{key}")


@rule(
    "verify-expect-without-kernel",
    ERROR,
    "Something is expected of a session whose kernel is not started.",
    acceptable=False,
)
def verify_expect_without_kernel(site: Site) -> Iterator[Problem]:
    if any(as_mapping(site.values.get(EXPECT)).values()) and not site.flag(ENABLED):
        yield Problem(
            f"is false, so nobody would look for what {EXPECT} names",
            f"set it to true, or empty {EXPECT}",
            ENABLED,
        )


@rule("verify-kernel-timeout-malformed", ERROR, "A kernel has no time to start in.", acceptable=False)
def verify_kernel_timeout_malformed(site: Site) -> Iterator[Problem]:
    seconds = site.values.get(SECONDS)
    if isinstance(seconds, (int, str)) and as_int(seconds, 1) < 1:
        yield Problem(
            f"is {str(seconds)[:20]}",
            "use 120: a kernel starts in seconds, and packages are imported",
            SECONDS,
        )
