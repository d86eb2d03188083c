# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    ValuesError,
    hub_values,
    problems,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import describe
from site_cases import found, good_site

TOKEN = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
THIRD = "00112233445566ff" * 4
SETTINGS = Settings(registry_host="registry.example.org:5000", registry_prefix="binder/stfc-")
ACCOUNT = replace(SETTINGS, registry_username="pusher", registry_password="P\"ä {{ x }} # \\ '")


def hub(url: str = "http://proxy.example.org", **keys: Any) -> dict[str, Any]:
    return resolve_hubs({"binder": keys}, url, "192.0.2.10")["binder"]


def values(settings: Settings = SETTINGS, **keys: Any) -> dict[str, Any]:
    return hub_values(hub(**keys), settings, TOKEN, OTHER, THIRD)


def at(mapping: Any, path: str) -> Any:
    for key in path.split("."):
        mapping = mapping[key]
    return mapping


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("service", {"type": "NodePort", "nodePort": 30585}),
        ("config.BinderHub.base_url", "/binderhub/"),
        ("config.BinderHub.hub_url", "http://proxy.example.org/jupyterhub/"),
        ("config.BinderHub.hub_url_local", "http://proxy-public.binder.svc.cluster.local/jupyterhub/"),
        ("config.BinderHub.image_prefix", "registry.example.org:5000/binder/stfc-"),
        ("config.BinderHub.use_registry", True),
        ("config.BinderHub.auth_enabled", False),
        ("config.DockerRegistry", {"url": "https://registry.example.org:5000"}),
        ("config.KubernetesBuildExecutor.docker_host", "unix:///var/run/docker.sock"),
        # Without it BinderHub does not find again what was pushed.
        ("config.KubernetesBuildExecutor.extra_envs", {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}),
        ("imageBuilderType", "host"),
        ("jupyterhub.singleuser.cloudMetadata", {"blockWithIptables": False}),
        ("jupyterhub.hub.baseUrl", "/jupyterhub/"),
        ("jupyterhub.hub.config.BinderSpawner.auth_enabled", False),
        ("jupyterhub.hub.config.JupyterHub.authenticator_class", "null"),
        ("jupyterhub.proxy.service", {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.10"}),
        ("jupyterhub.scheduling.userScheduler.enabled", False),
        ("jupyterhub.scheduling.corePods.nodeAffinity.matchNodePurpose", "prefer"),
        ("registry", {"url": "https://registry.example.org:5000", "username": "", "password": ""}),
    ],
)
def test_config(path: str, expected: Any) -> None:
    assert at(values()["config"], path) == expected


def test_only_proxy_public_is_a_load_balancer_and_its_address_is_asked_for_once() -> None:
    text = json.dumps(values()["config"])
    assert text.count("LoadBalancer") == 1
    assert text.count("192.0.2.10") == 1
    assert "metallb.io" not in text, "MetalLB refuses the annotation beside spec.loadBalancerIP"


def test_secrets_are_tokens_only_where_the_registry_asks_for_no_account() -> None:
    assert values()["secrets"] == {
        "jupyterhub": {
            "hub": {"services": {"binder": {"apiToken": TOKEN}}},
            "proxy": {"secretToken": OTHER},
        },
        "config": {"BinderHub": {"build_token_secret": THIRD}},
    }


def test_build_tokens_are_signed_with_the_same_secret_after_a_restart() -> None:
    def secret(api_token: str, given: str = "") -> str:
        result = hub_values(hub(), SETTINGS, api_token, OTHER, given)
        assert "build_token_secret" not in json.dumps(result["config"])
        return at(result["secrets"], "config.BinderHub.build_token_secret")

    assert secret(TOKEN, THIRD) == THIRD
    # Without one of its own a site gets one that lasts, differs by hub, and gives the API token away to nobody.
    assert (
        secret(TOKEN) == secret(TOKEN) == "5c08c229ac7b6b87d71a17317ee8cff021140d24cdab2815b7dd9bc507bc1e15"
    )
    assert secret(TOKEN) != secret(OTHER)


def test_a_hubs_own_build_token_secret_wins_wherever_it_is_written() -> None:
    own = {"config": {"BinderHub": {"build_token_secret": "own"}}}
    assert "config" not in values(values=own)["secrets"]
    assert at(values(secret_values=own)["secrets"], "config.BinderHub.build_token_secret") == "own"


def test_the_build_image_is_pinned_where_one_is_given() -> None:
    image = "quay.io/jupyterhub/repo2docker:2026.4.0"
    config = values(replace(SETTINGS, build_image=image))["config"]["config"]
    assert config["KubernetesBuildExecutor"]["build_image"] == image


def test_an_account_pushes_and_pulls_and_its_password_is_secret() -> None:
    result = values(ACCOUNT)
    password = ACCOUNT.registry_password
    assert result["secrets"]["registry"] == {"password": password}
    assert at(result["secrets"], "jupyterhub.imagePullSecret") == {"password": password}
    assert result["config"]["registry"] == {"url": "https://registry.example.org:5000", "username": "pusher"}
    assert at(result["config"], "jupyterhub.imagePullSecret.create") is True
    assert at(result["config"], "jupyterhub.imagePullSecret.registry") == "registry.example.org:5000"


@pytest.mark.parametrize("secret", [TOKEN, OTHER, THIRD, ACCOUNT.registry_password])
def test_no_secret_is_in_the_config(secret: str) -> None:
    assert json.dumps(secret)[1:-1] not in json.dumps(values(ACCOUNT)["config"])


def test_sessions_pull_by_an_account_of_their_own_where_there_is_one() -> None:
    result = values(replace(ACCOUNT, registry_pull_username="puller", registry_pull_password="pull ü"))
    assert at(result["config"], "jupyterhub.imagePullSecret.username") == "puller"
    assert at(result["secrets"], "jupyterhub.imagePullSecret") == {"password": "pull ü"}
    # Builds go on with theirs.
    assert at(result["config"], "registry.username") == "pusher"
    assert at(result["secrets"], "registry") == {"password": ACCOUNT.registry_password}
    assert "pull ü" not in json.dumps(result["config"], ensure_ascii=False)


def test_sessions_pull_by_an_account_where_anybody_may_push() -> None:
    """A registry of others inside of a site may take pushes without an account, and ask for one to pull."""
    open_to_all = replace(ACCOUNT, registry_username="", registry_password="")
    result = values(replace(open_to_all, registry_pull_username="puller", registry_pull_password="pull"))
    assert at(result["config"], "jupyterhub.imagePullSecret.username") == "puller"
    assert at(result["secrets"], "jupyterhub.imagePullSecret") == {"password": "pull"}
    # Empty, as the chart would otherwise have builds push with an account of its own.
    assert (at(result["config"], "registry.username"), at(result["config"], "registry.password")) == ("", "")
    assert "registry" not in result["secrets"]


def test_plain_http_is_an_opt_in() -> None:
    config = values(replace(SETTINGS, registry_plain_http_enabled=True))["config"]
    assert config["registry"]["url"] == "http://registry.example.org:5000"
    assert config["config"]["DockerRegistry"]["url"] == "http://registry.example.org:5000"


def test_a_site_ca_is_mounted_where_libcurl_and_python_look() -> None:
    assert "extraVolumes" not in values()["config"]
    config = values(replace(SETTINGS, ca_checksum="abc"))["config"]
    path = config["extraVolumes"][0]["hostPath"]["path"]
    assert config["extraVolumeMounts"][0]["mountPath"] == path
    assert config["extraVolumeMounts"][0]["name"] == config["extraVolumes"][0]["name"]
    assert set(config["extraEnv"].values()) == {path}
    assert config["podAnnotations"] == {"ironbinder/ca-checksum": "abc"}


def test_https_is_offloaded_by_the_proxy() -> None:
    assert at(values(url="https://binder.example.org")["config"], "jupyterhub.proxy.https") == {
        "enabled": True,
        "type": "offload",
    }
    assert "https" not in at(values()["config"], "jupyterhub.proxy")


def test_builds_and_the_image_cleaner_go_where_the_selector_says() -> None:
    config = values(replace(SETTINGS, build_node_selector={"a": "b"}))["config"]["config"]
    assert config["KubernetesBuildExecutor"]["node_selector"] == {"a": "b"}
    assert config["BinderHub"]["build_node_selector"] == {"a": "b"}


@pytest.mark.parametrize(
    ("own", "enabled"),
    [
        ({}, False),
        ({"imageBuilderType": "host"}, False),
        ({"imageBuilderType": "dind"}, True),
        ({"imageBuilderType": "pink"}, True),
        ({"imageCleaner": {"enabled": True}}, True),
    ],
)
def test_the_image_cleaner_runs_where_no_node_prunes(own: dict[str, Any], enabled: bool) -> None:
    """A node prunes its own Docker, and not one in a pod; a hub's own word is the last."""
    assert at(values(values=own)["config"], "imageCleaner.enabled") is enabled


def test_the_image_that_builds_is_the_wanted_one() -> None:
    assert "build_image" not in at(values()["config"], "config.KubernetesBuildExecutor")
    pinned = values(replace(SETTINGS, build_image="quay.io/jupyterhub/repo2docker:1"))
    assert at(pinned["config"], "config.KubernetesBuildExecutor.build_image").endswith("repo2docker:1")


def test_a_build_has_a_greatest_age() -> None:
    """Always written, so that a change back to the default is one of the release, too. 0 is no bound there as here."""
    assert at(values()["config"], "config.KubernetesCleaner") == {"max_age": 14400}
    for seconds in (0, 3600):
        told = values(replace(SETTINGS, build_max_age_seconds=seconds))
        assert at(told["config"], "config.KubernetesCleaner.max_age") == seconds


def test_a_hubs_own_values_win_and_leave_the_rest() -> None:
    result = values(
        ACCOUNT,
        values={"jupyterhub": {"cull": {"timeout": 60}}, "replicas": 2},
        secret_values={
            "registry": {"password": "own"},
            "config": {"BinderHub": {"build_token_secret": "own"}},
        },
    )
    assert at(result["secrets"], "config.BinderHub.build_token_secret") == "own"
    assert at(result["config"], "jupyterhub.cull.timeout") == 60
    assert at(result["config"], "jupyterhub.cull.enabled") is True
    assert result["config"]["replicas"] == 2
    assert at(result["secrets"], "registry.password") == "own"
    assert at(result["secrets"], "jupyterhub.proxy.secretToken") == OTHER


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "stfc-",
        "/stfc-",
        "binder//x",
        "Binder/x",
        "https://a/b",
        "binder/x y",
        "binder:x/y",
        "a-/b-",
    ],
)
def test_a_prefix_without_a_level_is_refused_by_name(prefix: str) -> None:
    with pytest.raises(ValuesError, match="binderhub_registry_prefix"):
        values(replace(SETTINGS, registry_prefix=prefix))


@pytest.mark.parametrize("prefix", ["binder/stfc-", "a/b/c", "binder/", "my-org.x/y_"])
def test_a_prefix_with_a_level_is_taken(prefix: str) -> None:
    assert at(
        values(replace(SETTINGS, registry_prefix=prefix))["config"], "config.BinderHub.image_prefix"
    ).endswith(prefix)


GOOD: dict[str, Any] = {
    "registry_host": "registry.example.org:5000",
    "registry_prefix": "binder/stfc-",
    "chart_version": "1.0.0-0.dev.git.3983.h383374de",
    "chart_is_path": False,
    "api_tokens": {"binder": TOKEN},
    "proxy_tokens": {"binder": OTHER},
}


def test_a_good_site_has_no_problem() -> None:
    assert problems({"binder": {}}, **GOOD) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("registry_host", "", "binderhub_registry_host"),
        ("registry_host", "https://registry.example.org", "binderhub_registry_host"),
        ("registry_host", "registry.example.org/binder", "binderhub_registry_host"),
        ("registry_prefix", "stfc-", "binderhub_registry_prefix"),
        ("chart_version", "", "binderhub_chart_version"),
        ("chart_version", "latest", "binderhub_chart_version"),
        ("chart_version", ">=1.0.0", "binderhub_chart_version"),
        ("chart_version", "1.x", "binderhub_chart_version"),
        ("api_tokens", {}, "binderhub_hub_api_tokens.binder is missing"),
        ("api_tokens", {"binder": "geheim"}, "binderhub_hub_api_tokens.binder is 6 characters"),
        ("proxy_tokens", {"binder": None}, "binderhub_hub_proxy_tokens.binder is missing"),
        ("proxy_tokens", {"other": TOKEN}, "binderhub_hub_proxy_tokens.binder is missing"),
    ],
)
def test_each_problem_is_named_with_its_remedy(key: str, value: Any, expected: str) -> None:
    (problem,) = problems({"binder": {}}, **{**GOOD, key: value})
    assert expected in problem
    assert "geheim" not in problem
    if "tokens" in key:
        assert "make site" in problem
        assert "openssl rand -hex 32" in problem


def test_all_problems_are_told_at_once() -> None:
    nothing: dict[str, Any] = {"chart_is_path": False, "api_tokens": {}, "proxy_tokens": {}}
    found = problems({"a": {}, "b": {}}, registry_host="", registry_prefix="", chart_version="", **nothing)
    assert len(found) == 7


def test_a_chart_on_this_machine_brings_its_version() -> None:
    assert problems({"binder": {}}, **{**GOOD, "chart_version": "", "chart_is_path": True}) == []


@pytest.mark.parametrize(
    "prefix", ["binder/stfc-", "a-/b-", "a/b/", "binder/", "a", "A/b", "a..b/c", "a__b/c", "a/b-.c", "a/b."]
)
@pytest.mark.parametrize("host", ["r.example.org:5000", "r.example.org", "https://r", "r/x", "r:99999", "a"])
def test_preflight_and_role_agree_on_the_registry(prefix: str, host: str) -> None:
    """What passes preflight is not refused by the role, with machines changed; and the reverse."""
    site = good_site()
    site["values"] |= {"site_registry_prefix": prefix, "site_registry_host": host}
    refused = {rule for rule, _, _ in found(site) if rule.startswith(("registry-prefix", "registry-host"))}
    told = problems({"binder": {}}, **{**GOOD, "registry_prefix": prefix, "registry_host": host})
    assert len(refused) == len(told)


@pytest.mark.parametrize(
    "version", ["1.0.0", "v1.0.0", "1.0.0-0.dev.git.1.h2", "1.0", "latest", ">=1.0.0", "1.0.0-", "1.0.0+x"]
)
def test_preflight_and_role_agree_on_the_chart(version: str) -> None:
    """Likewise of its version."""
    site = good_site()
    site["values"]["site_binderhub_chart_version"] = version
    refused = "chart-version-floating" in {rule for rule, _, _ in found(site)}
    assert refused == bool(problems({"binder": {}}, **{**GOOD, "chart_version": version}))


@pytest.mark.parametrize("token", [TOKEN, TOKEN.upper(), TOKEN[:-1], TOKEN + "0", "", None, "x" * 64, 7])
def test_preflight_and_role_agree_on_tokens(token: Any) -> None:
    """Likewise of a hub's token."""
    site = good_site()
    site["secrets"]["values"]["site_hub_api_tokens.binder"] = describe(token)
    refused = {rule for rule, _, _ in found(site)} & {
        "token-missing",
        "token-malformed",
        "secret-not-text",
        "secret-default",
    }
    assert bool(refused) == bool(problems({"binder": {}}, **{**GOOD, "api_tokens": {"binder": token}}))
