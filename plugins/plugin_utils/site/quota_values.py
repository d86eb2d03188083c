# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How many sessions and builds a hub may run at once, as values of the BinderHub chart.

https://github.com/jupyterhub/binderhub/blob/main/binderhub/quota.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["QuotaSettings", "quota_values"]


@dataclass(frozen=True, kw_only=True)
class QuotaSettings:
    """Bounds for all `hub_count` hubs together; 0 sets none, and leaves BinderHub's own."""

    total_quota: int = 0
    per_repo_quota: int = 0
    parallel_builds: int = 0
    hub_count: int = 1


def quota_values(settings: QuotaSettings) -> dict[str, Any]:
    """Bound one hub. Hubs share evenly, as each counts only what runs in its own namespace; none gets less than one.

    A build holds two threads of BinderHub while it runs, and `concurrent_build_limit` gives it twice that number.
    """

    def part(number: int) -> int:
        return max(1, number // max(1, settings.hub_count)) if number > 0 else 0

    total, builds = part(settings.total_quota), part(settings.parallel_builds)
    # More than all that the hub may run would be no quota of a repository.
    repo = min(settings.per_repo_quota, total) if total else settings.per_repo_quota
    binder = {
        **({"per_repo_quota": repo} if repo > 0 else {}),
        **({"concurrent_build_limit": builds} if builds else {}),
    }
    config = {
        **({"LaunchQuota": {"total_quota": total}} if total else {}),
        **({"BinderHub": binder} if binder else {}),
    }
    return {"config": config} if config else {}
