# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A launch that worked, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import PhaseFollower

__all__ = ["summary"]

# What comes after `ready`, where a kernel was started.
AFTER_READY = {"notebook": "api_seconds", "kernel": "kernel_seconds"}


def summary(follower: PhaseFollower, facts: Mapping[str, Any]) -> str:
    """Say how long the launch took, and what it was spent on."""
    phases = [f"{name} {seconds:.1f}" for name, seconds in follower.phases().items() if seconds >= 0.05]
    found = "" if follower.built_now else ", image found in the registry"
    after = [f"{what} {facts[key]:.1f}" for what, key in AFTER_READY.items() if key in facts]
    then = f"; then {' | '.join(after)}" if "kernel_seconds" in facts else ""
    return f"launch verified in {follower.total_seconds:.1f} s{found}: {' | '.join(phases)}{then}"
