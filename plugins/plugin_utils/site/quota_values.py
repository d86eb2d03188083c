# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""How many sessions and builds a hub may run at once, as values of the BinderHub chart.

https://github.com/jupyterhub/binderhub/blob/main/binderhub/quota.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["QuotaSettings", "quota_values", "share"]


@dataclass(frozen=True, kw_only=True)
class QuotaSettings:
    """Bounds for all `hub_count` hubs together; 0 sets none, and leaves BinderHub's own.

    `own_total_quotas` and `own_parallel_builds` are what hubs name for themselves, of which the others get nothing.
    """

    total_quota: int = 0
    per_repo_quota: int = 0
    parallel_builds: int = 0
    hub_count: int = 1
    own_total_quotas: Sequence[int] = ()
    own_parallel_builds: Sequence[int] = ()


def share(number: int, hub_count: int, own: Sequence[int]) -> int:
    """Give what a hub without a number of its own has of a site's: an even part of what the others leave, and one at least."""
    return max(1, (number - sum(own)) // max(1, hub_count - len(own))) if number > 0 else 0


def quota_values(settings: QuotaSettings, hub: Mapping[str, Any]) -> dict[str, Any]:
    """Bound one hub, by its own numbers, or by its share, as each counts only what runs in its own namespace.

    A build holds two threads of BinderHub while it runs, and `concurrent_build_limit` gives it twice that number.
    """

    def part(key: str, number: int, own: Sequence[int]) -> int:
        given = hub.get(key)
        return share(number, settings.hub_count, own) if given is None else int(given)

    total = part("total_quota", settings.total_quota, settings.own_total_quotas)
    builds = part("parallel_builds", settings.parallel_builds, settings.own_parallel_builds)
    given = hub.get("per_repo_quota")
    of_repository = settings.per_repo_quota if given is None else int(given)
    # More than all that the hub may run would be no quota of a repository.
    repo = min(of_repository, total) if total else of_repository
    binder = {
        **({"per_repo_quota": repo} if repo > 0 else {}),
        **({"concurrent_build_limit": builds} if builds else {}),
    }
    config = {
        **({"LaunchQuota": {"total_quota": total}} if total else {}),
        **({"BinderHub": binder} if binder else {}),
    }
    return {"config": config} if config else {}
