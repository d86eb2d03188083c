# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What may be launched, by whom, how often and how long it may take, as values of the BinderHub chart.

Traits: https://binderhub.readthedocs.io/en/latest/reference/ref-index.html. What a site says nothing of is BinderHub's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PROVIDERS", "TOKEN_WAYS", "LaunchSettings", "launch_arguments", "launch_secrets", "launch_values"]

# What a Binder link begins with, and BinderHub's class for it.
PROVIDERS = {
    "gh": "GitHubRepoProvider",
    "gist": "GistRepoProvider",
    "git": "GitRepoProvider",
    "gl": "GitLabRepoProvider",
    "zenodo": "ZenodoProvider",
    "figshare": "FigshareProvider",
    "hydroshare": "HydroshareProvider",
    "dataverse": "DataverseProvider",
    "ckan": "CKANProvider",
}

# Where a hub's own values may name a token for a Git server, and where the site does.
TOKEN_WAYS = {
    "config.GitHubRepoProvider.access_token": "site_github_access_token",
    "config.GitLabRepoProvider.access_token": "site_gitlab_access_token",
    "config.GitLabRepoProvider.private_token": "site_gitlab_access_token",
}


@dataclass(frozen=True, kw_only=True)
class LaunchSettings:
    """What a site says of launches; 0 and what is empty leave BinderHub's own.

    `banned_specs` and `high_quota_specs` are {provider of a Binder link: [regular expression, ...]}, `ban_networks`
    {CIDR: reason}.
    """

    launch_timeout_seconds: int = 0
    default_buildpack_enabled: bool = True
    banned_specs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    high_quota_specs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    per_repo_quota_higher: int = 0
    ban_networks: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int = 0
    rate_limit_period_seconds: int = 0
    github_access_token: str = ""
    gitlab_access_token: str = ""


def launch_values(settings: LaunchSettings) -> dict[str, Any]:
    """Give the values that may be shown.

    A launch is waited for twice: by JupyterHub, 300 seconds by the chart's default, and by BinderHub, 600. A site's number is
    both, as the shorter one would decide.

    Raises:
        ValueError: a provider that BinderHub does not have.
    """
    seconds = settings.launch_timeout_seconds
    limits = {"limit": settings.rate_limit, "period_seconds": settings.rate_limit_period_seconds}
    binder = {
        "ban_networks": dict(settings.ban_networks),
        "per_repo_quota_higher": settings.per_repo_quota_higher,
    }
    config: dict[str, dict[str, Any]] = {
        "BinderHub": {key: value for key, value in binder.items() if value},
        "Launcher": {"launch_timeout": seconds} if seconds else {},
        "RateLimiter": {key: value for key, value in limits.items() if value},
    }
    for trait, told in (
        ("banned_specs", settings.banned_specs),
        ("high_quota_specs", settings.high_quota_specs),
    ):
        for provider, patterns in told.items():
            if provider not in PROVIDERS:
                raise ValueError(f"binderhub_{trait}: {provider!r} is none of {', '.join(PROVIDERS)}")
            if patterns:
                config.setdefault(PROVIDERS[provider], {})[trait] = list(patterns)
    told_config = {section: traits for section, traits in config.items() if traits}
    return {
        **({"config": told_config} if told_config else {}),
        **({"jupyterhub": {"singleuser": {"startTimeout": seconds}}} if seconds else {}),
    }


def launch_secrets(settings: LaunchSettings) -> dict[str, Any]:
    """Give the values that may not be shown: what BinderHub asks GitHub and GitLab with.

    Of GitLab's two traits this is the one for tokens of persons and projects, with which BinderHub lets builds clone, too.
    """
    config = {
        **(
            {"GitHubRepoProvider": {"access_token": token}} if (token := settings.github_access_token) else {}
        ),
        **(
            {"GitLabRepoProvider": {"private_token": token}}
            if (token := settings.gitlab_access_token)
            else {}
        ),
    }
    return {"config": config} if config else {}


def launch_arguments(settings: LaunchSettings) -> list[str]:
    """Give repo2docker's arguments: without a default, a repository that says nothing of its environment gets none."""
    return [] if settings.default_buildpack_enabled else ["--Repo2Docker.default_buildpack=None"]
