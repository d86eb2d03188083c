# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The lab's chart renders what the role asks for, hangs together, and refuses what it cannot do.

Helm does the rendering: from IRONBINDER_HELM, which `make test` sets, or from PATH.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import jsonschema
import pytest
import yaml
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
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "lab" / "chart"
REFERENCE = ROOT.parent / "shared" / "reference"
HELM = os.environ.get("IRONBINDER_HELM") or shutil.which("helm")
HUB_ACCOUNT = "https://index.docker.io/v1/"
KUBERNETES = yaml.safe_load((ROOT / "roles/site/defaults/main/versions.yml").read_text())[
    "site_kubernetes_version"
]

Objects = dict[tuple[str, str], dict[str, Any]]
# Loads a configuration with these values, and gives its names.
Load = Callable[[Mapping[str, Any]], dict[str, Any]]

needs_helm = pytest.mark.skipif(not HELM, reason="no Helm: set IRONBINDER_HELM or put helm in PATH")
PASSWORD = 'it\'s "quoted" ü {{ x }} #\\ $HOME'  # what templates mangle


def site_values(**more: Any) -> dict[str, Any]:
    """Values as role binderhub computes them for the lab's kind of site with user-schedulers, and with these settings."""
    entry = resolve_hubs({"binder": {}}, "http://172.30.77.31", "172.30.77.101-172.30.77.101")["binder"]
    told = {
        "registry_host": "172.30.77.41:5000",
        "registry_prefix": "binder/lab-",
        "registry_username": "binder",
        "registry_password": PASSWORD,
        "ca_checksum": "abc",
        "build_node_selector": {"hub.jupyter.org/node-purpose": "user"},
        "user_scheduler_replicas": 2,
    }
    settings = Settings(**{**told, **more})
    result = hub_values(entry, settings, "a" * 64, "b" * 64, "c" * 64)
    return merge(result["config"], result["secrets"])


def helm(
    tmp_path: Path, values: Mapping[str, Any], command: str = "template"
) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    argv = [
        str(HELM),
        command,
        *(["binder"] if command == "template" else []),
        str(CHART),
        "--values",
        str(file),
    ]
    if command == "template":
        argv += ["--namespace", "ns1", "--kube-version", KUBERNETES]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def render(tmp_path: Path, values: Mapping[str, Any]) -> Objects:
    result = helm(tmp_path, values)
    assert result.returncode == 0, result.stderr
    objects = [entry for entry in yaml.safe_load_all(result.stdout) if entry]
    return {(entry["kind"], entry["metadata"]["name"]): entry for entry in objects}


def manifest(tmp_path: Path) -> list[dict[str, Any]]:
    """Render what Helm keeps as the release's manifest, which is all but the hooks."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps(site_values()), encoding="utf-8")
    argv = [str(HELM), "template", "binder", str(CHART), "--values", str(file), "--no-hooks"]
    result = subprocess.run([*argv, "--kube-version", KUBERNETES], capture_output=True, text=True, check=True)
    return [entry for entry in yaml.safe_load_all(result.stdout) if entry]


def pod(objects: Objects, name: str) -> dict[str, Any]:
    return objects["Deployment", name]["spec"]["template"]["spec"]


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return render(tmp_path, site_values())


@needs_helm
def test_lint_passes(tmp_path: Path) -> None:
    result = helm(tmp_path, site_values(), "lint")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout


@needs_helm
def test_objects_have_upstreams_names(objects: Objects) -> None:
    assert {name for kind, name in objects if kind == "Deployment"} == {
        "binder",
        "hub",
        "proxy",
        "user-scheduler",
    }
    assert {name for kind, name in objects if kind == "Service"} == {
        "binder",
        "hub",
        "proxy-api",
        "proxy-public",
    }
    assert {name for kind, name in objects if kind == "Secret"} == {
        "binder-secret",
        "binder-build-docker-config",
        "hub",
        "image-pull-secret",
    }


@needs_helm
def test_the_secret_that_sessions_pull_with_is_a_hook_as_upstreams_is(
    tmp_path: Path, objects: Objects
) -> None:
    """zero-to-jupyterhub-k8s, jupyterhub/templates/image-pull-secret.yaml."""
    annotations = objects["Secret", "image-pull-secret"]["metadata"]["annotations"]
    assert annotations == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation",
        "helm.sh/hook-weight": "-20",
    }
    hooks = [
        key
        for key, entry in objects.items()
        if "helm.sh/hook" in (entry["metadata"].get("annotations") or {})
    ]
    assert hooks == [("Secret", "image-pull-secret")]
    ordinary = [entry["metadata"]["name"] for entry in manifest(tmp_path) if entry["kind"] == "Secret"]
    assert sorted(ordinary) == ["binder-build-docker-config", "binder-secret", "hub"]


@needs_helm
def test_only_the_proxy_holds_the_floating_address(objects: Objects) -> None:
    services = {name: entry["spec"] for (kind, name), entry in objects.items() if kind == "Service"}
    balanced = [name for name, spec in services.items() if spec.get("type") == "LoadBalancer"]
    assert balanced == ["proxy-public"]
    assert services["proxy-public"]["loadBalancerIP"] == "172.30.77.101"
    assert services["binder"]["type"] == "NodePort"
    assert services["binder"]["ports"] == [
        {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8585, "nodePort": 30585}
    ]


@needs_helm
def test_whatever_a_pod_refers_to_exists(objects: Objects) -> None:
    for (kind, name), entry in objects.items():
        if kind != "Deployment":
            continue
        labels, spec = entry["spec"]["template"]["metadata"]["labels"], pod(objects, name)
        assert entry["spec"]["selector"]["matchLabels"].items() <= labels.items()
        if "serviceAccountName" in spec:
            assert ("ServiceAccount", spec["serviceAccountName"]) in objects
        for reference in spec.get("imagePullSecrets", []):
            assert ("Secret", reference["name"]) in objects
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in objects
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in objects
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
            for variable in container.get("env", []):
                wanted = variable.get("valueFrom", {}).get("secretKeyRef")
                if wanted:
                    assert wanted["key"] in objects["Secret", wanted["name"]]["stringData"]


@needs_helm
def test_services_reach_a_port_of_their_pods(objects: Objects) -> None:
    for (kind, name), service in objects.items():
        if kind != "Service":
            continue
        [target] = [
            entry["spec"]["template"]
            for (other, _), entry in objects.items()
            if other == "Deployment"
            and service["spec"]["selector"].items() <= entry["spec"]["template"]["metadata"]["labels"].items()
        ]
        ports = [port for container in target["spec"]["containers"] for port in container["ports"]]
        known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= known, name


@needs_helm
def test_roles_are_bound_to_the_pods_accounts(objects: Objects) -> None:
    for (kind, _), entry in objects.items():
        if kind in ("RoleBinding", "ClusterRoleBinding"):
            [subject] = entry["subjects"]
            assert ("ServiceAccount", subject["name"]) in objects
            assert subject["namespace"] == "ns1"
            if kind == "RoleBinding":
                assert ("Role", entry["roleRef"]["name"]) in objects


@needs_helm
def test_base_paths_reach_probes_and_the_error_page(objects: Objects) -> None:
    [binder] = pod(objects, "binder")["containers"]
    [hub] = pod(objects, "hub")["containers"]
    [proxy] = pod(objects, "proxy")["containers"]
    assert binder["readinessProbe"]["httpGet"] == {"path": "/binderhub/metrics", "port": "binder"}
    assert "enabled" not in binder["livenessProbe"]
    assert hub["readinessProbe"]["httpGet"]["path"] == "/jupyterhub/hub/health"
    assert "--error-target=http://hub:8081/jupyterhub/hub/error" in proxy["command"]


@needs_helm
def test_credentials_arrive_unchanged(objects: Objects) -> None:
    push = json.loads(objects["Secret", "binder-build-docker-config"]["stringData"]["config.json"])
    pull = json.loads(objects["Secret", "image-pull-secret"]["stringData"][".dockerconfigjson"])
    wanted = f"binder:{PASSWORD}".encode()
    assert base64.b64decode(push["auths"]["https://172.30.77.41:5000"]["auth"]) == wanted
    assert base64.b64decode(pull["auths"]["172.30.77.41:5000"]["auth"]) == wanted
    binder = yaml.safe_load(objects["Secret", "binder-secret"]["stringData"]["values.yaml"])
    assert binder["registry"]["password"] == PASSWORD
    hub = objects["Secret", "hub"]["stringData"]
    assert hub["hub.services.binder.apiToken"] == "a" * 64
    assert hub["hub.config.ConfigurableHTTPProxy.auth_token"] == "b" * 64


@needs_helm
@pytest.mark.parametrize(
    ("host", "username", "password", "keys"),
    [
        (
            "h.example.org",
            "robot$project+builder",
            "p$1'\"`$(id)",
            ("https://h.example.org", "h.example.org"),
        ),
        (
            "gcr.io",
            "_json_key",
            json.dumps({"private_key": "-----\n$x\\ü\n"}, indent=2),
            ("https://gcr.io", "gcr.io"),
        ),
        ("docker.io", "org", "dckr_pat_$x", (HUB_ACCOUNT, HUB_ACCOUNT)),
    ],
)
def test_accounts_of_others_registries_arrive_unchanged(
    tmp_path: Path, host: str, username: str, password: str, keys: tuple[str, str]
) -> None:
    account = {"registry_host": host, "registry_prefix": "project/x-", "registry_username": username}
    objects = render(tmp_path, site_values(**account, registry_password=password))
    push = json.loads(objects["Secret", "binder-build-docker-config"]["stringData"]["config.json"])
    pull = json.loads(objects["Secret", "image-pull-secret"]["stringData"][".dockerconfigjson"])
    wanted = f"{username}:{password}".encode()
    for config, key in zip((push, pull), keys, strict=True):
        assert list(config["auths"]) == [key]
        assert base64.b64decode(config["auths"][key]["auth"]) == wanted


@needs_helm
def test_a_proxy_reaches_run_steps_beside_the_registrys_account(tmp_path: Path) -> None:
    """repo2docker writes no Docker configuration where one is mounted."""
    told = {"http_proxy": "http://p:1", "https_proxy": "http://p:2", "no_proxy": "localhost"}
    objects = render(tmp_path, site_values(proxy_environment=told))
    push = json.loads(objects["Secret", "binder-build-docker-config"]["stringData"]["config.json"])
    assert push["proxies"] == {
        "default": {"httpProxy": "http://p:1", "httpsProxy": "http://p:2", "noProxy": "localhost"}
    }
    assert set(push["auths"]) == {"https://172.30.77.41:5000"}
    pull = json.loads(objects["Secret", "image-pull-secret"]["stringData"][".dockerconfigjson"])
    assert set(pull) == {"auths"}
    assert {"name": "http_proxy", "value": "http://p:1"} in pod(objects, "binder")["containers"][0]["env"]
    binder = yaml.safe_load(objects["Secret", "binder-secret"]["stringData"]["values.yaml"])
    # Beside whom build pods trust, which is told in the same mapping.
    trusted = dict.fromkeys(BUNDLE_VARIABLES, BUNDLE_FILE)
    assert binder["config"]["KubernetesBuildExecutor"]["extra_envs"] == {**trusted, **told, **ONE_MANIFEST}


@needs_helm
def test_secrets_are_in_secrets_only(objects: Objects) -> None:
    for (kind, name), entry in objects.items():
        if kind != "Secret":
            text = json.dumps(entry, ensure_ascii=False)
            for secret in ("a" * 64, "b" * 64, "c" * 64, json.dumps(PASSWORD, ensure_ascii=False)[1:-1]):
                assert secret not in text, (kind, name)


@needs_helm
def test_rendering_twice_gives_the_same(tmp_path: Path) -> None:
    assert helm(tmp_path, site_values()).stdout == helm(tmp_path, site_values()).stdout


@needs_helm
def test_tokens_are_made_where_none_is_given(tmp_path: Path) -> None:
    values = site_values()
    values["jupyterhub"]["hub"]["services"]["binder"]["apiToken"] = None
    values["jupyterhub"]["proxy"]["secretToken"] = None
    data = render(tmp_path, values)["Secret", "hub"]["stringData"]
    tokens = {data["hub.services.binder.apiToken"], data["hub.config.ConfigurableHTTPProxy.auth_token"]}
    assert [len(token) for token in tokens] == [64, 64]


@needs_helm
def test_sessions_go_through_the_user_scheduler(objects: Objects) -> None:
    config = yaml.safe_load(objects["ConfigMap", "user-scheduler"]["data"]["config.yaml"])
    assert config["profiles"][0]["schedulerName"] == "binder-user-scheduler"
    assert config["leaderElection"]["resourceNamespace"] == "ns1"
    [hub] = pod(objects, "hub")["containers"]
    assert {"name": "USER_SCHEDULER_NAME", "value": "binder-user-scheduler"} in hub["env"]
    [lock] = [
        rule["resourceNames"]
        for rule in objects["Role", "user-scheduler"]["rules"]
        if "resourceNames" in rule
    ]
    assert lock == [config["leaderElection"]["resourceName"]]


@needs_helm
def test_without_the_user_scheduler_nothing_of_it_is_left(tmp_path: Path) -> None:
    objects = render(tmp_path, site_values(user_scheduler_replicas=0))
    assert not [key for key in objects if "scheduler" in key[1]]
    [hub] = pod(objects, "hub")["containers"]
    assert {"name": "USER_SCHEDULER_NAME", "value": ""} in hub["env"]


@needs_helm
@pytest.mark.parametrize(
    ("match", "key"),
    [
        ("prefer", "preferredDuringSchedulingIgnoredDuringExecution"),
        ("require", "requiredDuringSchedulingIgnoredDuringExecution"),
        ("ignore", None),
    ],
)
def test_core_pods_follow_the_nodes_purpose(tmp_path: Path, match: str, key: str | None) -> None:
    core = {"corePods": {"nodeAffinity": {"matchNodePurpose": match}}}
    objects = render(tmp_path, merge(site_values(), {"jupyterhub": {"scheduling": core}}))
    for name in ("binder", "hub", "proxy", "user-scheduler"):
        affinity = pod(objects, name).get("affinity", {}).get("nodeAffinity", {})
        assert list(affinity) == ([key] if key else [])


@needs_helm
def test_core_pods_have_their_class_and_go_where_they_are_required(tmp_path: Path) -> None:
    """Each of them, BinderHub's own too; and the head, which is for the core, has the taint of control planes."""
    objects = render(tmp_path, site_values(node_purpose_affinity="require"))
    for name in ("binder", "hub", "proxy", "user-scheduler"):
        spec = pod(objects, name)
        assert spec["priorityClassName"] == "ironbinder-core"
        tolerated = [entry["key"] for entry in spec["tolerations"]]
        assert "node-role.kubernetes.io/control-plane" in tolerated
        assert len(tolerated) == len(set(tolerated))
        assert list(spec["affinity"]["nodeAffinity"]) == ["requiredDuringSchedulingIgnoredDuringExecution"]
    assert pod(objects, "binder")["nodeSelector"] == {"hub.jupyter.org/node-purpose": "core"}


@needs_helm
def test_sessions_pull_with_an_account_of_their_own(tmp_path: Path) -> None:
    objects = render(tmp_path, site_values(registry_pull_username="puller", registry_pull_password="p"))
    pull = json.loads(objects["Secret", "image-pull-secret"]["stringData"][".dockerconfigjson"])
    push = json.loads(objects["Secret", "binder-build-docker-config"]["stringData"]["config.json"])
    assert base64.b64decode(pull["auths"]["172.30.77.41:5000"]["auth"]) == b"puller:p"
    assert base64.b64decode(push["auths"]["https://172.30.77.41:5000"]["auth"]).startswith(b"binder:")


@needs_helm
def test_mounted_certificates_and_environment_reach_binder(objects: Objects) -> None:
    spec = pod(objects, "binder")
    assert {"name": "SSL_CERT_FILE", "value": "/etc/ssl/certs/ca-certificates.crt"} in spec["containers"][0][
        "env"
    ]
    assert spec["volumes"][-1]["name"] == "node-ca-bundle"


@needs_helm
def test_images_are_those_the_lab_builds(objects: Objects) -> None:
    built = [
        entry["name"] for entry in yaml.safe_load((ROOT / "lab/images/images.yml").read_text())["images"]
    ]
    built += [
        entry["name"].format(kubernetes=KUBERNETES) if entry["component"] == "kubernetes" else entry["name"]
        for entry in yaml.safe_load((ROOT / "lab/artifacts/images.yml").read_text())
    ]
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    used = [
        container["image"]
        for kind, name in objects
        if kind == "Deployment"
        for container in pod(objects, name)["containers"]
    ]
    used.append(defaults["config"]["KubernetesBuildExecutor"]["build_image"])
    used.append("{name}:{tag}".format(**defaults["jupyterhub"]["singleuser"]["image"]))
    assert set(used) <= set(built)


def test_sample_repositories_start_from_an_image_the_lab_builds() -> None:
    built = [
        entry["name"] for entry in yaml.safe_load((ROOT / "lab/images/images.yml").read_text())["images"]
    ]
    for dockerfile in (ROOT / "lab" / "repositories").rglob("Dockerfile"):
        [base] = [line.split()[1] for line in dockerfile.read_text().splitlines() if line.startswith("FROM ")]
        assert base in built


@needs_helm
@pytest.mark.parametrize(
    "wrong",
    [
        {"servicee": {}},
        {"service": {"type": "Nodeport"}},
        {"registry": {"prefix": "x"}},
        {"config": {"BinderHub": "x"}},
        {"jupyterhub": {"hubb": {}}},
        {"jupyterhub": {"hub": {"baseurl": "/"}}},
        {"jupyterhub": {"proxy": {"service": {"loadbalancerIP": "192.0.2.1"}}}},
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    result = helm(tmp_path, merge(site_values(), wrong))
    assert result.returncode != 0
    assert "don't meet the specifications of the schema" in result.stderr


@needs_helm
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"imageBuilderType": "dind"}, "imageBuilderType: dind"),
        (
            {"config": {"BinderHub": {"auth_enabled": True}}},
            "without jupyterhub.hub.services.binder.oauth_client_id",
        ),
        ({"config": {"BinderHub": {"hub_url": ""}}}, "hub_url is missing"),
        ({"ingress": {"enabled": True}}, "ingress"),
        ({"jupyterhub": {"proxy": {"https": {"enabled": True, "type": "letsencrypt"}}}}, "use offload"),
        ({"jupyterhub": {"singleuser": {"storage": {"type": "static"}}}}, "static without static.pvcName"),
        ({"jupyterhub": {"hub": {"db": {"type": "postgres"}}}}, "db.type: postgres"),
        ({"jupyterhub": {"hub": {"existingSecret": "x"}}}, "existingSecret"),
        ({"extraFiles": {"x": {"mountPath": "/x", "stringData": "x"}}}, "extraFiles"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    result = helm(tmp_path, merge(site_values(), wrong))
    assert result.returncode != 0
    assert "the lab's chart cannot honour: " in result.stderr
    assert said in result.stderr


# What a hub with sign-in is told, by the official keys.
SIGN_IN: dict[str, Any] = {
    "config": {"BinderHub": {"auth_enabled": True}},
    "jupyterhub": {
        "hub": {
            "config": {
                "BinderSpawner": {"auth_enabled": True},
                "JupyterHub": {"authenticator_class": "generic-oauth"},
                "GenericOAuthenticator": {"client_id": "private", "client_secret": PASSWORD},
            },
            "services": {
                "binder": {
                    "oauth_client_id": "service-binderhub",
                    "oauth_no_confirm": True,
                    "oauth_redirect_uri": "http://172.30.77.31/binderhub/oauth_callback",
                }
            },
            "loadRoles": {"user": {"scopes": ["self", "access:services!service=binder"]}},
        },
        "singleuser": {"cmd": "jupyterhub-singleuser"},
    },
}


@needs_helm
def test_behind_a_login_binder_knows_its_client(tmp_path: Path, objects: Objects) -> None:
    """The variables that the official chart gives, helm-chart/binderhub/templates/deployment.yaml."""
    signed_in = render(tmp_path, merge(site_values(), SIGN_IN))
    given = {entry["name"]: entry.get("value") for entry in pod(signed_in, "binder")["containers"][0]["env"]}
    plain = {entry["name"] for entry in pod(objects, "binder")["containers"][0]["env"]}
    assert {name: given[name] for name in set(given) - plain} == {
        "JUPYTERHUB_SERVICE_NAME": "binder",
        "JUPYTERHUB_BASE_URL": "/jupyterhub/",
        "JUPYTERHUB_CLIENT_ID": "service-binderhub",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": "http://172.30.77.31/binderhub/oauth_callback",
    }
    assert "page.html" in signed_in["ConfigMap", "binder-config"]["data"]
    hub = yaml.safe_load(signed_in["Secret", "hub"]["stringData"]["values.yaml"])["hub"]
    assert hub["config"]["GenericOAuthenticator"]["client_secret"] == PASSWORD
    for (kind, name), entry in signed_in.items():
        if kind != "Secret":
            text = json.dumps(entry, ensure_ascii=False)
            assert json.dumps(PASSWORD, ensure_ascii=False)[1:-1] not in text, (kind, name)


@needs_helm
@pytest.mark.parametrize(("limit", "told"), [(0, "0"), (None, None)])
def test_named_servers_are_told_to_binder(tmp_path: Path, limit: int | None, told: str | None) -> None:
    """As the official chart does: a hub without a limit leaves BinderHub nothing to read."""
    hub = {"allowNamedServers": True, "namedServerLimitPerUser": limit}
    values = merge(site_values(), SIGN_IN, {"jupyterhub": {"hub": hub}})
    given = pod(render(tmp_path, values), "binder")["containers"][0]["env"]
    assert {"name": "JUPYTERHUB_ALLOW_NAMED_SERVERS", "value": "true"} in given
    assert {"name": "JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER", "value": told} in given


@needs_helm
def test_offloaded_https_opens_443(tmp_path: Path) -> None:
    values = merge(site_values(), {"jupyterhub": {"proxy": {"https": {"enabled": True, "type": "offload"}}}})
    ports = render(tmp_path, values)["Service", "proxy-public"]["spec"]["ports"]
    assert [(port["port"], port["targetPort"]) for port in ports] == [(80, "http"), (443, "http")]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the charts' schemas are not at ../shared/reference")
def test_keys_and_defaults_are_the_official_charts() -> None:
    own = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    pairs = [
        ("binderhub-chart.schema.yaml", own, defaults),
        ("jupyterhub-chart.schema.yaml", own["properties"]["jupyterhub"], defaults["jupyterhub"]),
    ]
    for name, mine, values in pairs:
        official = yaml.safe_load((REFERENCE / name).read_text(encoding="utf-8"))
        assert set(mine["properties"]) == set(official["properties"])
        jsonschema.validate(values, official)


# ---- the two Python configurations, with stand-ins for what only their images have ------------------


class Section(dict):
    """A section of traitlets' configuration: attributes and keys are the same thing."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Config(defaultdict):
    __getattr__ = defaultdict.__getitem__

    def __init__(self) -> None:
        super().__init__(Section)


def module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__dict__.update(members)
    monkeypatch.setitem(sys.modules, name, made)
    return made


@pytest.fixture
def binder_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    class Traits:
        @staticmethod
        def default() -> dict[str, str]:
            return {"gh": "GitHub", "git": "Git"}

    class App:
        repo_providers = Traits

        @staticmethod
        def class_trait_names(config: bool) -> set[str]:
            return (
                {"base_url", "docker_image_prefix", "hub_url", "use_registry", "auth_enabled"}
                if config
                else set()
            )

    class RepoProvider:
        def __init__(self, spec: str) -> None:
            self.spec = spec

    class Build:
        def get_cmd(self) -> list[str]:
            return ["jupyter-repo2docker", "--push", "http://example.org/x.git"]

    class BaseHandler:
        xsrf_token = b"x-token"

        @property
        def template_namespace(self) -> dict[str, str]:
            return {"static_url": "/static/"}

        def set_default_headers(self) -> None:
            self.headers = {"access-control-allow-headers": "cache-control"}

        def set_header(self, name: str, value: str) -> None:
            self.headers[name] = value

    class HTTPError(Exception):
        pass

    class Launcher:
        async def launch(self, username: str, server_name: str) -> dict[str, str]:
            return {"url": f"http://172.30.77.31/jupyterhub/user/{username}/{server_name}"}

    base = module(monkeypatch, "binderhub.base", BaseHandler=BaseHandler)
    handler = type("BuildHandler", (BaseHandler,), {})
    app = module(
        monkeypatch,
        "binderhub.app",
        BinderHub=App,
        DockerRegistry=object,
        BuildHandler=handler,
        Launcher=Launcher,
    )
    build = module(monkeypatch, "binderhub.build", Build=Build)
    builder = module(monkeypatch, "binderhub.builder", Build=Build, BuildHandler=handler)
    providers = module(
        monkeypatch,
        "binderhub.repoproviders",
        RepoProvider=RepoProvider,
        GitRepoProvider=type("GitRepoProvider", (RepoProvider,), {}),
    )
    module(
        monkeypatch, "binderhub", app=app, base=base, build=build, builder=builder, repoproviders=providers
    )
    module(monkeypatch, "tornado")
    module(monkeypatch, "tornado.web", HTTPError=HTTPError)
    module(
        monkeypatch, "tornado.httpclient", AsyncHTTPClient=object, HTTPClientError=OSError, HTTPRequest=object
    )
    module(monkeypatch, "tornado.httputil", url_concat=None)
    monkeypatch.setenv("POD_NAMESPACE", "ns1")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    monkeypatch.setenv("JUPYTERHUB_API_URL", "")
    monkeypatch.setenv("BINDERHUB_VALUES_FILE", str(tmp_path / "values.yaml"))

    def load(values: Mapping[str, Any]) -> dict[str, Any]:
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        source = CHART / "files" / "binderhub_config.py"
        scope: dict[str, Any] = {"get_config": Config, "__file__": str(source)}
        exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), scope)
        return scope

    return load


def test_official_keys_become_the_traits_of_0_1_0(binder_config: Load) -> None:
    scope = binder_config(site_values())
    traits = scope["c"]["BinderHub"]
    assert traits.docker_image_prefix == "172.30.77.41:5000/binder/lab-"
    assert traits.docker_registry_host == "https://172.30.77.41:5000"
    assert traits.docker_push_secret == "binder-build-docker-config"
    assert traits.build_docker_host == "unix:///var/run/docker.sock"
    assert traits.build_node_selector == {"hub.jupyter.org/node-purpose": "user"}
    assert (traits.build_namespace, traits.hub_api_token) == ("ns1", "t")
    assert os.environ["JUPYTERHUB_API_URL"].endswith("/jupyterhub/hub/api/")
    assert "build_memory_limit" not in traits  # repo2docker no longer has the option it becomes
    # The bound of a build's age, which the contract always names.
    assert traits.build_max_age == 14400


def test_behind_a_login_binder_leads_to_the_hub_on_its_own_host(binder_config: Load) -> None:
    config = binder_config(merge(site_values(), SIGN_IN))["c"]
    assert config["HubOAuth"] == {"hub_host": "http://172.30.77.31", "base_url": "/binderhub/"}
    assert config["BinderHub"].use_named_servers is False
    assert (Path(config["BinderHub"].template_path) / "page.html").is_file()


def test_behind_a_login_pages_hand_over_the_token_against_forged_requests(binder_config: Load) -> None:
    scope = binder_config(merge(site_values(), SIGN_IN))
    page = scope["binderhub"].base.BaseHandler()
    assert page.template_namespace == {"static_url": "/static/", "xsrf": "x-token"}
    assert "{{ xsrf }}" in (CHART / "files" / "page.html").read_text()


def test_behind_a_login_a_stream_is_refused_by_an_event(binder_config: Load) -> None:
    scope = binder_config(merge(site_values(), SIGN_IN))
    handler = scope["binderhub"].app.BuildHandler()
    handler.set_default_headers()
    assert handler.headers["content-type"] == "text/event-stream"
    with pytest.raises(scope["HTTPError"], match="403"):
        handler.redirect("/jupyterhub/hub/login", status=302)


@pytest.mark.parametrize(("name", "end"), [("", "alice/"), ("x-1", "alice/x-1/")])
def test_behind_a_login_addresses_of_servers_end_in_a_slash(binder_config: Load, name: str, end: str) -> None:
    launcher = binder_config(merge(site_values(), SIGN_IN))["binderhub"].app.Launcher()
    assert asyncio.run(launcher.launch(username="alice", server_name=name))["url"].endswith(f"/user/{end}")


def test_without_a_login_binder_is_as_it_was(binder_config: Load) -> None:
    scope = binder_config(site_values())
    assert "HubOAuth" not in scope["c"]
    assert "template_path" not in scope["c"]["BinderHub"]
    assert scope["binderhub"].base.BaseHandler().template_namespace == {"static_url": "/static/"}
    assert scope["binderhub"].app.BuildHandler is not scope["BuildHandler"]


def test_keys_without_effect_are_said(binder_config: Load, capsys: pytest.CaptureFixture[str]) -> None:
    binder_config(
        {
            "config": {
                "BinderHub": {"ban_networks": {"192.0.2.0/24": "x"}},
                "LaunchQuota": {"total_quota": 1},
                "Launcher": {"named_server_limit_per_user": 5, "retries": 2},
                "KubernetesCleaner": {"max_age": 60, "namespace": "x"},
                "GitHubRepoProvider": {"allowed_specs": ["x"], "banned_specs": ["y"]},
            }
        }
    )
    said = capsys.readouterr().err
    for key in (
        "BinderHub.ban_networks",
        "LaunchQuota",
        "Launcher.named_server_limit_per_user",
        "KubernetesCleaner.namespace",
        "GitHubRepoProvider.allowed_specs",
    ):
        assert f"does not know {key}:" in said
    assert "banned_specs" not in said
    assert "max_age" not in said
    assert "retries" not in said


@pytest.mark.parametrize(
    ("prefix", "path"), [("r:5000/binder/lab-", ""), ("r:5000/a/b/lab-", "a/"), ("r:5000/a/b/c/lab-", "a/b/")]
)
def test_manifests_are_asked_for_by_their_whole_path(binder_config: Load, prefix: str, path: str) -> None:
    scope = binder_config({"config": {"BinderHub": {"image_prefix": prefix}}})
    assert scope["Registry"]("", "", "https://r:5000").path == path


def test_extra_arguments_come_before_the_repository(binder_config: Load) -> None:
    scope = binder_config({"config": {"KubernetesBuildExecutor": {"repo2docker_extra_args": ["--debug"]}}})
    assert scope["Build"]().get_cmd() == [
        "jupyter-repo2docker",
        "--push",
        "--debug",
        "http://example.org/x.git",
    ]


def test_build_pods_mount_what_the_sites_own_class_says(binder_config: Load) -> None:
    """What role binderhub puts into extraConfig, run as BinderHub runs it, on the pod that 0.1.0 makes."""
    scope = binder_config(site_values())
    assert "build_class" not in scope["c"]["BinderHub"], "0.1.0 would warn of it"
    container = types.SimpleNamespace(env=[], volume_mounts=["docker-socket"])
    spec = types.SimpleNamespace(containers=[container], volumes=["docker-socket"])
    created = []
    api = types.SimpleNamespace(create_namespaced_pod=lambda _namespace, pod: created.append(pod))
    scope["BuildPods"](api).create_namespaced_pod("ns1", types.SimpleNamespace(spec=spec))
    [made] = created
    socket, bundle = made.spec.volumes
    assert socket == "docker-socket"
    assert (bundle.name, bundle.host_path.path, bundle.host_path.type) == (
        "node-ca-bundle",
        BUNDLE_FILE,
        "File",
    )
    [_, mount] = container.volume_mounts
    assert (mount.name, mount.mount_path, mount.read_only) == ("node-ca-bundle", BUNDLE_FILE, True)
    told = {entry.name: entry.value for entry in container.env}
    bundle = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"), BUNDLE_FILE)
    assert told == {**bundle, **ONE_MANIFEST}


def test_build_pods_of_a_site_without_a_ca(binder_config: Load) -> None:
    scope = binder_config({})
    container = types.SimpleNamespace(env=[], volume_mounts=["docker-socket"])
    spec = types.SimpleNamespace(containers=[container], volumes=["docker-socket"])
    api = types.SimpleNamespace(create_namespaced_pod=lambda _namespace, _pod: None)
    scope["BuildPods"](api).create_namespaced_pod("ns1", types.SimpleNamespace(spec=spec))
    assert (spec.volumes, container.volume_mounts) == (["docker-socket"], ["docker-socket"])


@pytest.fixture
def hub_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    class KubeSpawner:
        default_url, port = "/lab", 8888
        args: ClassVar[list[str]] = []

        def start(self) -> str:
            return "started"

    class HTTPError(Exception):
        pass

    module(monkeypatch, "kubespawner", KubeSpawner=KubeSpawner)
    watches = type("ResourceReflector", (), {"_watch_and_update": lambda _self: None})
    module(monkeypatch, "kubespawner.reflector", ResourceReflector=watches)
    module(monkeypatch, "tornado", web=types.SimpleNamespace(HTTPError=HTTPError))
    module(monkeypatch, "traitlets", Bool=lambda default, **_: default, Unicode=lambda default, **_: default)
    monkeypatch.setenv("POD_NAMESPACE", "ns1")
    monkeypatch.setenv("HELM_RELEASE_NAME", "binder")
    monkeypatch.setenv("USER_SCHEDULER_NAME", "binder-user-scheduler")
    monkeypatch.setenv("PULL_SECRETS", '["image-pull-secret"]')
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "b" * 64)
    monkeypatch.setenv("JUPYTERHUB_VALUES_FILE", str(tmp_path / "values.yaml"))

    def load(extra: Mapping[str, Any]) -> dict[str, Any]:
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        values = merge(defaults, site_values(), {"jupyterhub": extra})["jupyterhub"]
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        scope: dict[str, Any] = {"get_config": Config}
        source = CHART / "files" / "jupyterhub_config.py"
        exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), scope)
        return scope

    return load


def test_hub_is_configured_by_the_site(hub_config: Load) -> None:
    config = hub_config({})["c"]
    assert config["JupyterHub"].base_url == "/jupyterhub/"
    assert config["JupyterHub"].authenticator_class == "null"
    assert config["JupyterHub"].db_url == "sqlite://"
    services = {entry["name"]: entry for entry in config["JupyterHub"].services}
    assert services["binder"]["api_token"] == "a" * 64
    assert "--url=http://localhost:8081/jupyterhub/hub/api" in services["jupyterhub-idle-culler"]["command"]
    roles = {entry["name"]: set(entry["scopes"]) for entry in config["JupyterHub"].load_roles}
    assert roles["binder"] == {"servers", "admin:users"}
    spawner = config["KubeSpawner"]
    assert spawner.image_pull_secrets == ["image-pull-secret"]
    assert spawner.scheduler_name == "binder-user-scheduler"
    assert (spawner.mem_guarantee, spawner.mem_limit) == ("256M", "2G")
    assert spawner.node_affinity_required == []
    [preferred] = spawner.node_affinity_preferred
    assert preferred["preference"]["matchExpressions"][0]["values"] == ["user"]


def test_a_hub_with_a_login_asks_the_provider(hub_config: Load) -> None:
    scope = hub_config(SIGN_IN["jupyterhub"])
    config = scope["c"]
    assert config["JupyterHub"].authenticator_class == "generic-oauth"
    assert config["GenericOAuthenticator"].client_secret == PASSWORD
    [binder] = [entry for entry in config["JupyterHub"].services if entry["name"] == "binder"]
    assert binder["oauth_client_id"] == "service-binderhub"
    assert binder["api_token"] == "a" * 64
    roles = {entry["name"]: entry["scopes"] for entry in config["JupyterHub"].load_roles}
    assert roles["user"] == ["self", "access:services!service=binder"]
    assert config["KubeSpawner"].cmd == "jupyterhub-singleuser"
    assert config["BinderSpawner"].auth_enabled is True


def test_who_is_signed_in_stays_so_when_the_hub_restarts(hub_config: Load) -> None:
    first, second = hub_config({})["c"], hub_config({})["c"]
    assert first["JupyterHub"].cookie_secret == second["JupyterHub"].cookie_secret
    assert len(first["JupyterHub"].cookie_secret) == 32
    assert first["CryptKeeper"]["keys"] == second["CryptKeeper"]["keys"]
    assert first["CryptKeeper"]["keys"] != [first["JupyterHub"].cookie_secret.hex()]
    given = hub_config({"hub": {"cookieSecret": "c" * 64}})["c"]["JupyterHub"].cookie_secret
    assert given.hex() == "c" * 64


def test_a_signed_in_session_is_the_image_alone(hub_config: Load) -> None:
    """Its server asks the hub who comes, and needs no token of the launch."""
    scope = hub_config({})
    scope["KubeSpawner"].get_args = lambda spawner: ["asked the hub", *spawner.args]
    spawner = scope["BinderSpawner"]()
    spawner.auth_enabled = True
    spawner.user_options = {"image": "r:5000/binder/lab-x:1"}
    assert spawner.get_args() == ["asked the hub"]
    assert spawner.start() == "started"
    assert spawner.image == "r:5000/binder/lab-x:1"


def test_a_session_keeps_nothing_unless_told(hub_config: Load) -> None:
    spawner = hub_config({})["c"]["KubeSpawner"]
    assert (spawner.storage_pvc_ensure, spawner.volumes, spawner.volume_mounts) == (False, [], [])


def test_people_have_claims_and_all_have_what_is_shared(hub_config: Load) -> None:
    """As the official chart sets KubeSpawner's traits for each type."""
    shared: dict[str, Any] = {
        "extraVolumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": "datasets"}}],
        "extraVolumeMounts": [{"name": "shared", "mountPath": "/srv/x", "readOnly": True}],
    }
    dynamic = {
        "type": "dynamic",
        "capacity": "1Gi",
        "homeMountPath": "/home/jovyan/work",
        "dynamic": {
            "storageClass": "fast",
            "pvcNameTemplate": "claim-{username}",
            "volumeNameTemplate": "volume-{username}",
            "storageAccessModes": ["ReadWriteMany"],
        },
    }
    spawner = hub_config({"singleuser": {"storage": {**dynamic, **shared}}})["c"]["KubeSpawner"]
    assert spawner.storage_pvc_ensure is True
    assert (spawner.pvc_name_template, spawner.storage_class) == ("claim-{username}", "fast")
    assert (spawner.storage_capacity, spawner.storage_access_modes) == ("1Gi", ["ReadWriteMany"])
    own = {"name": "volume-{username}", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}
    assert spawner.volumes == [own, *shared["extraVolumes"]]
    assert spawner.volume_mounts == [
        {"name": "volume-{username}", "mountPath": "/home/jovyan/work"},
        *shared["extraVolumeMounts"],
    ]
    static = {"type": "static", "static": {"pvcName": "users"}, "homeMountPath": "/home/jovyan/work"}
    spawner = hub_config({"singleuser": {"storage": static}})["c"]["KubeSpawner"]
    assert spawner.storage_pvc_ensure is False
    assert spawner.volumes == [{"name": "home", "persistentVolumeClaim": {"claimName": "users"}}]
    assert spawner.volume_mounts == [
        {"name": "home", "mountPath": "/home/jovyan/work", "subPath": "{username}"}
    ]


@needs_helm
def test_the_database_has_a_claim(tmp_path: Path) -> None:
    pvc = {"storageClassName": "fast", "storage": "2Gi", "annotations": {"helm.sh/resource-policy": "keep"}}
    values = merge(site_values(), {"jupyterhub": {"hub": {"db": {"type": "sqlite-pvc", "pvc": pvc}}}})
    claim = render(tmp_path, values)["PersistentVolumeClaim", "hub-db-dir"]
    assert claim["metadata"]["annotations"] == pvc["annotations"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_a_session_is_fenced_and_bounded(hub_config: Load) -> None:
    """By traits of KubeSpawner, as the official chart sets them; what the pod becomes is asked of a running one."""
    config = hub_config({})["c"]
    spawner = config["KubeSpawner"]
    assert spawner.allow_privilege_escalation is False
    assert spawner.pod_security_context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spawner.pod_security_context["runAsNonRoot"] is True
    assert spawner.container_security_context == {"capabilities": {"drop": ["ALL"]}}
    assert spawner.extra_pod_config == {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": "ironbinder-session",
    }
    assert (spawner.cpu_guarantee, spawner.cpu_limit) == (0.05, 1.0)
    assert spawner.extra_resource_limits == {"ephemeral-storage": "4Gi"}
    assert spawner.extra_resource_guarantees == {"ephemeral-storage": "256Mi"}
    assert "service_account" not in spawner
    [culler] = [
        entry["command"]
        for entry in config["JupyterHub"].services
        if entry["name"] == "jupyterhub-idle-culler"
    ]
    assert "--max-age=43200" in culler


def test_required_purpose_of_user_nodes(hub_config: Load) -> None:
    scheduling = {"userPods": {"nodeAffinity": {"matchNodePurpose": "require"}}}
    spawner = hub_config({"scheduling": scheduling})["c"]["KubeSpawner"]
    assert len(spawner.node_affinity_required) == 1
    assert spawner.node_affinity_preferred == []


def test_a_session_is_the_image_and_token_that_binderhub_named(hub_config: Load) -> None:
    spawner = hub_config({})["BinderSpawner"]()
    spawner.server = types.SimpleNamespace(base_url="/jupyterhub/user/x/")
    spawner.user_options = {"image": "r:5000/binder/lab-x:1", "token": "secret", "repo_url": "u"}
    arguments = spawner.get_args()
    for program in ("NotebookApp", "ServerApp"):
        assert f"--{program}.token=secret" in arguments
        assert f"--{program}.base_url=/jupyterhub/user/x/" in arguments
    assert not [argument for argument in arguments if "allow_origin" in argument]
    assert spawner.start() == "started"
    assert spawner.image == "r:5000/binder/lab-x:1"


@pytest.mark.parametrize("options", [{}, {"image": "x"}, {"token": "x"}, {"image": "x", "token": ""}])
def test_a_launch_without_image_or_token_is_refused(hub_config: Load, options: dict[str, str]) -> None:
    scope = hub_config({})
    spawner = scope["BinderSpawner"]()
    spawner.user_options = options
    with pytest.raises(scope["web"].HTTPError):
        spawner.start()


def test_the_git_provider_takes_branches_tags_and_commits(binder_config: Load, tmp_path: Path) -> None:
    scope = binder_config(site_values())
    assert scope["c"]["BinderHub"].repo_providers["gh"] == "GitHub"
    provider = scope["c"]["BinderHub"].repo_providers["git"]
    tree = tmp_path / "tree"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(tree)]
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(tree)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "one"], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()

    def resolve(url: object, ref: str) -> Any:
        return asyncio.run(provider(spec=f"{quote(str(url), safe='')}/{ref}").get_resolved_ref())

    subprocess.run([*git, "branch", "feature/one/übung"], check=True)
    assert resolve(tree, "main") == resolve(tree, "HEAD") == commit
    assert resolve(tree, "feature/one/%C3%BCbung") == commit
    assert resolve("http://127.0.0.1:9/never-asked", "a" * 40) == "a" * 40
    assert resolve(tree, "no-such-branch") is None
    with pytest.raises(RuntimeError, match="cannot be read"):
        resolve(tmp_path / "nowhere", "main")
    with pytest.raises(ValueError, match="without a branch"):
        provider(spec="http%3A%2F%2Fexample.org%2Fx.git/")
