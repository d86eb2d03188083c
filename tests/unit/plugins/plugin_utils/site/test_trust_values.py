# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site's CAs, names and base image as values of the chart, and the class of build pods run as BinderHub runs it."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import BUNDLE_FILE
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    ONE_MANIFEST,
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs

NAMES = {"192.0.2.50": ["git.example.org", "git"]}
VARIABLES = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"}


def config(own: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """Values of a hub with these settings."""
    hub = resolve_hubs({"binder": {"values": own or {}}}, "http://proxy.example.org", "192.0.2.10")["binder"]
    wish = Settings(registry_host="r.example.org", registry_prefix="b/x-", **settings)
    return hub_values(hub, wish, "a" * 64, "b" * 64, "c" * 64)["config"]


def test_without_a_ca_nothing_is_mounted() -> None:
    told = config()
    assert {"extraConfig", "extraVolumes", "extraEnv", "podAnnotations"} & set(told) == set()
    assert told["config"]["KubernetesBuildExecutor"]["extra_envs"] == ONE_MANIFEST
    assert "extraVolumes" not in told["jupyterhub"]["hub"]


def test_binderhub_the_hub_and_builds_trust_their_nodes_bundle() -> None:
    told = config(ca_checksum="abc")
    for place in (told, told["jupyterhub"]["hub"]):
        [volume], [mount] = place["extraVolumes"], place["extraVolumeMounts"]
        assert volume["hostPath"] == {"path": BUNDLE_FILE, "type": "File"}
        assert (mount["name"], mount["mountPath"]) == (volume["name"], BUNDLE_FILE)
        assert place["extraEnv"] == dict.fromkeys(VARIABLES, BUNDLE_FILE)
    assert (
        told["podAnnotations"]
        == told["jupyterhub"]["hub"]["annotations"]
        == {"ironbinder/ca-checksum": "abc"}
    )
    assert set(told["config"]["KubernetesBuildExecutor"]["extra_envs"]) == VARIABLES | set(ONE_MANIFEST)


def test_the_class_of_build_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """BinderHub executes snippets in the order of their names, in the scope of its configuration."""

    class KubernetesBuildExecutor:
        def get_builder_volumes(self) -> tuple[list[Any], list[Any]]:
            return ["socket"], ["socket"]

    build = types.ModuleType("binderhub.build")
    build.__dict__["KubernetesBuildExecutor"] = KubernetesBuildExecutor
    monkeypatch.setitem(sys.modules, "binderhub", types.ModuleType("binderhub"))
    monkeypatch.setitem(sys.modules, "binderhub.build", build)
    scope: dict[str, Any] = {"c": types.SimpleNamespace(BinderHub=types.SimpleNamespace())}
    snippets = config(own={"extraConfig": {"01-mine": "mine = c.BinderHub.build_class"}}, ca_checksum="abc")
    for _name, code in sorted(snippets["extraConfig"].items()):
        exec(code, scope)
    assert scope["mine"] is scope["c"].BinderHub.build_class
    assert issubclass(scope["mine"], KubernetesBuildExecutor)
    volumes, mounts = scope["mine"]().get_builder_volumes()
    assert (volumes[0], mounts[0]) == ("socket", "socket")
    assert (volumes[1].host_path.path, volumes[1].host_path.type) == (BUNDLE_FILE, "File")
    assert (mounts[1].name, mounts[1].mount_path, mounts[1].read_only) == (volumes[1].name, BUNDLE_FILE, True)


@pytest.mark.parametrize(
    ("own", "settings", "arguments"),
    [
        ({}, {}, None),
        (
            {},
            {"base_image": "r.example.org/b/x-base:1"},
            ["--Repo2Docker.base_image=r.example.org/b/x-base:1"],
        ),
        (
            {},
            {"extra_hosts": NAMES},
            [
                f"--DockerEngine.extra_buildx_build_args=--add-host={name}:192.0.2.50"
                for name in NAMES["192.0.2.50"]
            ],
        ),
        # A site's own arguments are no reason to lose ours, and have the last word.
        (
            {"repo2docker_extra_args": ["--Repo2Docker.base_image=mine"]},
            {"base_image": "x"},
            ["--Repo2Docker.base_image=x", "--Repo2Docker.base_image=mine"],
        ),
        ({"repo2docker_extra_args": "wrong"}, {"base_image": "x"}, "wrong"),
    ],
)
def test_arguments_of_repo2docker(own: dict[str, Any], settings: dict[str, Any], arguments: Any) -> None:
    told = config(own={"config": {"KubernetesBuildExecutor": own}}, **settings)
    assert told["config"]["KubernetesBuildExecutor"].get("repo2docker_extra_args") == arguments
