# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a launch has to prove: the kernel, and what the site expects of a session."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.options import KERNEL_SECONDS
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


@rule(
    "verify-kernel-timeout-malformed",
    ERROR,
    "A kernel has no time to start in, or more than a launch may take.",
    acceptable=False,
)
def verify_kernel_timeout_malformed(site: Site) -> Iterator[Problem]:
    seconds = str(site.values.get(SECONDS)).strip()
    least, most = KERNEL_SECONDS
    # What is no number is the contract's own rule's.
    if seconds.lstrip("-").isdigit() and not least <= as_int(seconds) <= most:
        yield Problem(
            f"is {seconds[:20]}",
            f"use 120: a kernel starts in seconds, and packages are imported; {least} to {most} can be given",
            SECONDS,
        )
