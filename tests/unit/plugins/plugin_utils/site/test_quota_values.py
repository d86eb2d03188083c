# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A site's bounds as each hub's."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.quota_values import (
    QuotaSettings,
    quota_values,
)


@pytest.mark.parametrize(
    ("given", "hubs", "quota", "binder"),
    [
        ((0, 0, 0), 1, None, None),
        ((90, 45, 8), 1, 90, {"per_repo_quota": 45, "concurrent_build_limit": 8}),
        ((90, 45, 8), 3, 30, {"per_repo_quota": 30, "concurrent_build_limit": 2}),
        # Nobody gets nothing, which would be a closed hub.
        ((2, 1, 2), 3, 1, {"per_repo_quota": 1, "concurrent_build_limit": 1}),
        ((0, 5, 0), 2, None, {"per_repo_quota": 5}),
        ((7, 0, 0), 1, 7, None),
    ],
)
def test_hubs_share(
    given: tuple[int, int, int], hubs: int, quota: int | None, binder: dict[str, int] | None
) -> None:
    total, repo, builds = given
    settings = QuotaSettings(total_quota=total, per_repo_quota=repo, parallel_builds=builds, hub_count=hubs)
    config = quota_values(settings, {}).get("config", {})
    assert config.get("LaunchQuota", {}).get("total_quota") == quota
    assert config.get("BinderHub") == binder


@pytest.mark.parametrize(
    ("hub", "own", "quota", "binder"),
    [
        # The others share what those with a number of their own leave.
        ({}, [10], 40, {"per_repo_quota": 40, "concurrent_build_limit": 4}),
        ({}, [10, 80], 1, {"per_repo_quota": 1, "concurrent_build_limit": 4}),
        ({"total_quota": 10}, [10], 10, {"per_repo_quota": 10, "concurrent_build_limit": 4}),
        ({"total_quota": 0}, [0], None, {"per_repo_quota": 45, "concurrent_build_limit": 4}),
        (
            {"total_quota": 90, "per_repo_quota": 60, "parallel_builds": 2},
            [90],
            90,
            {"per_repo_quota": 60, "concurrent_build_limit": 2},
        ),
        ({"total_quota": None, "per_repo_quota": 0}, [], 30, {"concurrent_build_limit": 4}),
    ],
)
def test_a_hub_names_its_own(
    hub: dict[str, Any], own: list[int], quota: int | None, binder: dict[str, int]
) -> None:
    builds = [hub["parallel_builds"]] if "parallel_builds" in hub else [4]
    settings = QuotaSettings(
        total_quota=90,
        per_repo_quota=45,
        parallel_builds=12,
        hub_count=3,
        own_total_quotas=own,
        own_parallel_builds=builds,
    )
    config = quota_values(settings, hub).get("config", {})
    assert config.get("LaunchQuota", {}).get("total_quota") == quota
    assert config.get("BinderHub") == binder


def released(**values: Any) -> dict[str, Any]:
    hub = resolve_hubs({"binder": {"values": values}}, "https://binder.example.org", "192.0.2.10")["binder"]
    settings = Settings(
        registry_host="registry.example.org", registry_prefix="binder/x-", total_quota=20, per_repo_quota=10
    )
    return dict(hub_values(hub, settings, "a" * 64, "b" * 64)["config"]["config"])


def test_a_hubs_own_values_win() -> None:
    """Also to close a hub, which BinderHub does by a quota of 0."""
    assert released()["LaunchQuota"] == {"total_quota": 20}
    assert released()["BinderHub"]["per_repo_quota"] == 10
    own = released(config={"LaunchQuota": {"total_quota": 0}, "BinderHub": {"per_repo_quota": 3}})
    assert (own["LaunchQuota"], own["BinderHub"]["per_repo_quota"]) == ({"total_quota": 0}, 3)
