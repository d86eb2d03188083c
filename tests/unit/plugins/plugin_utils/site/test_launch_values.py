# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a site says of launches, as values of the chart."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.launch_values import (
    LaunchSettings,
    launch_arguments,
    launch_secrets,
    launch_values,
)

GITHUB, GITLAB = "github_pat_" + "a" * 40, "glpat-" + "b" * 20


def values(own: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Values of a hub with these settings."""
    hub = resolve_hubs({"binder": {"values": own or {}}}, "http://proxy.example.org", "192.0.2.10")["binder"]
    return hub_values(hub, Settings("registry.example.org", "binder/stfc-", **more), "a" * 64, "b" * 64)


def test_a_site_that_says_nothing_leaves_all_to_binderhub() -> None:
    settings = LaunchSettings()
    assert (launch_values(settings), launch_secrets(settings), launch_arguments(settings)) == ({}, {}, [])


def test_all_that_a_site_may_say() -> None:
    told = launch_values(
        LaunchSettings(
            launch_timeout_seconds=900,
            banned_specs={"gh": ["^spam/"], "gl": []},
            high_quota_specs={"gh": ["^uni/course"], "git": [".*campus.*"]},
            per_repo_quota_higher=200,
            ban_networks={"192.0.2.0/24": "a crawler"},
            rate_limit=50,
            rate_limit_period_seconds=600,
        )
    )
    assert told == {
        "config": {
            "BinderHub": {"ban_networks": {"192.0.2.0/24": "a crawler"}, "per_repo_quota_higher": 200},
            "GitHubRepoProvider": {"banned_specs": ["^spam/"], "high_quota_specs": ["^uni/course"]},
            "GitRepoProvider": {"high_quota_specs": [".*campus.*"]},
            "Launcher": {"launch_timeout": 900},
            "RateLimiter": {"limit": 50, "period_seconds": 600},
        },
        # The hub would give up after the chart's 300 seconds.
        "jupyterhub": {"singleuser": {"startTimeout": 900}},
    }


def test_tokens_are_secrets_and_stand_beside_what_may_be_shown() -> None:
    told = values(github_access_token=GITHUB, gitlab_access_token=GITLAB, banned_specs={"gh": ["^spam/"]})
    assert GITHUB not in str(told["config"])
    assert GITLAB not in str(told["config"])
    assert told["config"]["config"]["GitHubRepoProvider"] == {"banned_specs": ["^spam/"]}
    assert told["secrets"]["config"]["GitHubRepoProvider"] == {"access_token": GITHUB}
    assert told["secrets"]["config"]["GitLabRepoProvider"] == {"private_token": GITLAB}


def test_arguments_of_the_hub_come_after_that_of_the_site() -> None:
    own = {"config": {"KubernetesBuildExecutor": {"repo2docker_extra_args": ["--debug"]}}}
    told = values(own, default_buildpack_enabled=False, base_image="r/base:1")
    assert told["config"]["config"]["KubernetesBuildExecutor"]["repo2docker_extra_args"] == [
        "--Repo2Docker.base_image=r/base:1",
        "--Repo2Docker.default_buildpack=None",
        "--debug",
    ]


def test_what_the_hub_says_itself_wins() -> None:
    told = values({"config": {"RateLimiter": {"limit": 3}}}, rate_limit=50)
    assert told["config"]["config"]["RateLimiter"] == {"limit": 3}


def test_a_provider_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="'github' is none of gh, gist"):
        launch_values(LaunchSettings(banned_specs={"github": ["x"]}))
