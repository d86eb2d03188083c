# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a launch has to prove: the kernel, and what the site expects of a session."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.options import KERNEL_SECONDS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.expected import expect_faults
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.launch_values import PROVIDERS
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_int
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proofs import (
    EXPECT,
    own_proofs,
    proofs,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

ENABLED, SECONDS = "site_verify_kernel_enabled", "site_verify_kernel_timeout_seconds"
MOST_NAMED = 3
# What an entry of the corpus may fail with, and nothing but a kernel tells; see `corpus.CAUSES`.
KERNEL_CAUSES = ("kernel", "expect_", "contents_api")


@rule(
    "verify-expect-malformed",
    ERROR,
    "What a launched session has to have is written in a way that the verifier cannot ask for.",
    acceptable=False,
)
def verify_expect_malformed(site: Site) -> Iterator[Problem]:
    # That of an entry of the corpus is told with the entry.
    expect = next(own_proofs(site)).expect
    for key, observed, remedy in expect_faults(expect, EXPECT):
        yield Problem(observed, remedy, f"{EXPECT}.{key}")


@rule(
    "verify-expect-without-kernel",
    ERROR,
    "Something is expected of a session whose kernel is not started.",
    acceptable=False,
)
def verify_expect_without_kernel(site: Site) -> Iterator[Problem]:
    asking = dict.fromkeys(
        proof.expect_variable
        for proof in proofs(site)
        if any(proof.expect.values()) or proof.cause.startswith(KERNEL_CAUSES)
    )
    if asking and not site.flag(ENABLED):
        named = ", ".join(list(asking)[:MOST_NAMED])
        yield Problem(
            f"is false, so nobody would look for what {named} names",
            f"set it to true, or drop what is expected in {named}",
            ENABLED,
        )


@rule("verify-provider-unknown", ERROR, "A proof is launched from a provider that no hub has.")
def verify_provider_unknown(site: Site) -> Iterator[Problem]:
    # An entry of the corpus may be there to see that.
    told = {proof.provider_variable: proof.provider for proof in proofs(site) if proof.cause != "provider"}
    for variable, provider in told.items():
        if provider and provider not in PROVIDERS:
            yield Problem(
                f"has the provider {provider[:60]!r}",
                f"use what a Binder link begins with: {', '.join(PROVIDERS)}",
                variable,
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
