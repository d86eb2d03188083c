# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The chart's values of a site behind a proxy."""

from __future__ import annotations

from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import (
    BUNDLE_FILE,
    BUNDLE_VARIABLES,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    ONE_MANIFEST,
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.http_proxy import environment
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs

# What the site's CAs say in the same mappings; they stay.
TRUSTED = dict.fromkeys(BUNDLE_VARIABLES, BUNDLE_FILE)
PLAIN, ACCOUNT = "http://proxy:3128", "http://site:s3cret@proxy:3128"


def released(proxy: str, **values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What may be shown, and all of it, as Helm merges it."""
    hub = resolve_hubs({"binder": {"values": values}}, "https://binder.example.org", "192.0.2.10")["binder"]
    told = environment(proxy, proxy, ["localhost", "10.96.0.1"])
    settings = Settings(
        registry_host="r.example.org", registry_prefix="binder/x-", ca_checksum="c", proxy_environment=told
    )
    made = hub_values(hub, settings, "a" * 64, "b" * 64)
    return made["config"], merge(made["config"], made["secrets"])


def test_without_a_proxy_nothing_is_said() -> None:
    _, values = released("")
    assert "proxies" not in str(values["config"])
    assert values["extraEnv"] == TRUSTED
    assert values["config"]["KubernetesBuildExecutor"]["extra_envs"] == {**TRUSTED, **ONE_MANIFEST}


def test_binderhub_build_pods_and_run_steps() -> None:
    shown, values = released(PLAIN)
    wanted = {"http_proxy": PLAIN, "HTTPS_PROXY": PLAIN, "no_proxy": "localhost,10.96.0.1"}
    assert shown["extraEnv"].items() >= {**wanted, **TRUSTED}.items()
    assert values["config"]["KubernetesBuildExecutor"]["extra_envs"] == {**shown["extraEnv"], **ONE_MANIFEST}
    assert values["config"]["BinderHub"]["buildDockerConfig"] == {
        "proxies": {"default": {"httpProxy": PLAIN, "httpsProxy": PLAIN, "noProxy": "localhost,10.96.0.1"}}
    }


def test_an_account_is_not_shown() -> None:
    shown, values = released(ACCOUNT)
    assert "s3cret" not in str(shown) and "http_proxy" not in str(shown)
    assert values["extraEnv"].items() >= {"http_proxy": ACCOUNT, **TRUSTED}.items()
    assert values["config"]["KubernetesBuildExecutor"]["extra_envs"] == {**values["extraEnv"], **ONE_MANIFEST}
    assert values["config"]["BinderHub"]["buildDockerConfig"]["proxies"]["default"]["httpProxy"] == ACCOUNT


def test_a_hubs_own_values_win_also_over_what_is_not_shown() -> None:
    own = {
        "extraEnv": {"http_proxy": "http://own:1"},
        "config": {"KubernetesBuildExecutor": {"extra_envs": {"no_proxy": "own"}}},
    }
    for proxy in (PLAIN, ACCOUNT):
        _, values = released(proxy, **own)
        assert values["extraEnv"]["http_proxy"] == "http://own:1"
        assert values["extraEnv"]["https_proxy"] == proxy
        assert values["config"]["KubernetesBuildExecutor"]["extra_envs"]["no_proxy"] == "own"


def test_a_hubs_own_list_is_no_mapping_to_merge_into() -> None:
    own = [{"name": "X", "value": "y"}]
    assert released(ACCOUNT, extraEnv=own)[1]["extraEnv"] == own
