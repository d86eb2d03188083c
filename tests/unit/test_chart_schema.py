# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The values that Ironbinder computes pass the official charts' own schemas.

The schemas are not part of this repository; where they lie beside it, the test runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import merge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.auth_values import SignIn
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_values import (
    Settings,
    hub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.hubs import resolve_hubs

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference"
pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the charts' schemas are not at ../shared/reference"
)

PLAIN = {"registry_host": "registry.example.org:5000", "registry_prefix": "binder/stfc-"}
FULL = {
    **PLAIN,
    "registry_username": "pusher",
    "registry_password": "x",
    "registry_pull_username": "puller",
    "registry_pull_password": "y",
    "node_purpose_affinity": "require",
    "ca_checksum": "abc",
    "build_node_selector": {"hub.jupyter.org/node-purpose": "user"},
    "hub_database": "sqlite-pvc",
    "build_image": "quay.io/jupyterhub/repo2docker:2026.4.0",
    "launch_timeout_seconds": 900,
    "default_buildpack_enabled": False,
    "banned_specs": {"gh": ["^spam/.*"]},
    "per_repo_quota_higher": 200,
    "ban_networks": {"192.0.2.0/24": "a crawler"},
    "rate_limit": 50,
    "github_access_token": "t",
    "hub_image": "quay.io/jupyterhub/k8s-hub:4.4.0",
    "user_scheduler_replicas": 2,
}


# A registry of each kind, see plugin_utils/site/registry_kinds.py.
KEY = '{"type": "service_account", "private_key": "-----BEGIN\\n"}\n'
REGISTRIES: list[dict[str, Any]] = [
    {"registry_host": "docker.io", "registry_prefix": "org/stfc-"},
    {"registry_host": "gcr.io", "registry_prefix": "p/stfc-", "registry_password": KEY},
    {"registry_host": "us-docker.pkg.dev", "registry_prefix": "p/r/stfc-", "registry_password": KEY},
    {"registry_host": "r.example.org", "registry_token_url": "https://auth.example.org/t?service=s"},
    {
        "registry_host": "h.example.org",
        "registry_username": "robot$p+push",
        "registry_pull_username": "robot$p+pull",
    },
]


def without_required(schema: Any) -> Any:
    """Drop `required` from a schema of whole values: the charts' defaults fill in what we leave out."""
    if isinstance(schema, list):
        return [without_required(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    # A condition keeps its own: there `required` decides, and what it asks for is ours to give.
    return {
        key: value if key in ("if", "then") else without_required(value)
        for key, value in schema.items()
        if key != "required"
    }


def schema(name: str) -> Any:
    return without_required(yaml.safe_load((REFERENCE / name).read_text(encoding="utf-8")))


ENDPOINTS = {
    name: f"https://iam.example.org/{name}" for name in ("authorize_url", "token_url", "userdata_url")
}
SIGN_IN = SignIn({"client_secret": "s", "password": "p" * 8, "admin_password": "q" * 32}, "e" * 64, ENDPOINTS)
AUTHS: list[dict[str, Any]] = [
    {"kind": "none", "acknowledged": True},
    {
        "kind": "oidc",
        "issuer": "https://iam.example.org/",
        "client_id": "x",
        "groups_claim": "groups",
        "allowed_groups": ["a"],
    },
    {"kind": "native", "admin_users": ["ada"], "named_servers": 0},
    {"kind": "shared_password", "allow_all": True, "cookie_max_age_days": 0.5},
    {"kind": "github", "client_id": "x", "allowed_organizations": ["ironbinder"]},
    {"kind": "gitlab", "client_id": "x", "issuer": "https://git.example.org", "allowed_groups": ["a"]},
    {"kind": "cilogon", "client_id": "x", "allowed_idps": ["https://idp.example.org"], "allow_all": True},
]


def computed(settings: dict[str, Any], url: str, **hub: Any) -> dict[str, Any]:
    entry = resolve_hubs({"binder": hub}, url, "192.0.2.10")["binder"]
    result = hub_values(entry, Settings(**settings), "a" * 64, "b" * 64, "c" * 64, sign_in=SIGN_IN)
    return merge(result["config"], result["secrets"])


@pytest.mark.parametrize("url", ["http://proxy.example.org", "https://binder.example.org"])
@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        FULL,
        {**FULL, "registry_plain_http_enabled": True},
        *({**FULL, **registry} for registry in REGISTRIES),
    ],
)
def test_values_pass(settings: dict[str, Any], url: str) -> None:
    values = computed(settings, url)
    jsonschema.validate(values, schema("binderhub-chart.schema.yaml"))
    jsonschema.validate(values["jupyterhub"], schema("jupyterhub-chart.schema.yaml"))


@pytest.mark.parametrize("auth", AUTHS, ids=[auth["kind"] for auth in AUTHS])
def test_values_of_every_kind_of_sign_in_pass(auth: dict[str, Any]) -> None:
    values = computed({**FULL, "proxy_environment": {"https_proxy": "http://p:1"}}, "https://x", auth=auth)
    jsonschema.validate(values, schema("binderhub-chart.schema.yaml"))
    jsonschema.validate(values["jupyterhub"], schema("jupyterhub-chart.schema.yaml"))


@pytest.mark.parametrize(
    "storage",
    [
        {"kind": "local"},
        {"kind": "local", "shared_path": "/mnt/site"},
        {"kind": "existing", "class": "ceph-rbd"},
        {"kind": "nfs", "server": "files.example.org", "path": "/export"},
    ],
)
def test_volumes_pass(storage: dict[str, Any]) -> None:
    hub = {"shared_volume": {"claim": "datasets", "size": "1Gi"}, "user_volumes": {"size": "1Gi"}}
    values = computed({**FULL, "storage": storage}, "https://binder.example.org", **hub)
    jsonschema.validate(values, schema("binderhub-chart.schema.yaml"))
    jsonschema.validate(values["jupyterhub"], schema("jupyterhub-chart.schema.yaml"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"servicee": {}},
        {"service": {"type": "Nodeport"}},
        {"registry": {"prefix": "x"}},
        {"podAnnotations": {"a": 1}},
        {"imageCleaner": {"delay": "5"}},
    ],
)
def test_a_wrong_value_would_be_seen(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(computed(FULL, "http://x", values=wrong), schema("binderhub-chart.schema.yaml"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"proxy": {"service": {"nodePort": 1}}},
        {"scheduling": {"userScheduler": {"replicas": "2"}}},
        {"imagePullSecret": {"username": None}},
        {"hub": {"db": {"type": "sqlite"}}},
        {"singleuser": {"storage": {"type": "local"}}},
        {"hub": {"db": {"pvc": {"size": "1Gi"}}}},
    ],
)
def test_a_wrong_hub_value_would_be_seen(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            computed(FULL, "http://x", values={"jupyterhub": wrong})["jupyterhub"],
            schema("jupyterhub-chart.schema.yaml"),
        )
