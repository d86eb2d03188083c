"""JupyterHub with KubeSpawner, configured by the keys of the official JupyterHub chart."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from kubespawner import KubeSpawner
from tornado import web
from traitlets import Bool, Unicode

# Given by traitlets, which runs this file.
c = get_config()  # type: ignore[name-defined]  # noqa: F821

VALUES = Path(os.environ.get("JUPYTERHUB_VALUES_FILE", "/usr/local/etc/jupyterhub/secret/values.yaml"))
values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
hub, user = values["hub"], values["singleuser"]
scheduling = values["scheduling"]


def snake(name: str) -> str:
    """Return the Python name of a chart's key: concurrentSpawnLimit, concurrent_spawn_limit."""
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def copy(source: Mapping[str, Any], keys: Iterable[str] | Mapping[str, str], section: Any) -> None:
    """Set the traits of the keys that have a value; {trait: key} or the keys themselves."""
    pairs = keys.items() if isinstance(keys, dict) else ((snake(key), key) for key in keys)
    for trait, key in pairs:
        if source.get(key) not in (None, "", [], {}):
            section[trait] = source[key]


class BinderSpawner(KubeSpawner):
    """Starts the image that BinderHub names, protected by the token that BinderHub made.

    The options of a launch are `image`, `token` and `repo_url`. Where people have no login at the hub, the
    server checks the launch's token itself, and does not ask the hub.
    """

    auth_enabled = Bool(False, config=True, help="Whether people log in at the hub.")
    cors_allow_origin = Unicode("", config=True, help="Origins that may use the servers.")

    def get_args(self) -> list[str]:
        if self.auth_enabled:
            return super().get_args()
        settings = {
            "base_url": self.server.base_url,
            "token": self.user_options["token"],
            "trust_xheaders": "True",
            "default_url": self.default_url,
            "allow_origin": self.cors_allow_origin,
            "allow_origin_pat": ".*" if self.cors_allow_origin == "*" else "",
        }
        # A repository may bring the classic notebook (NotebookApp) or Jupyter Server (ServerApp).
        options = [
            f"--{program}.{name}={value}"
            for program in ("NotebookApp", "ServerApp")
            for name, value in settings.items()
            if value
        ]
        return ["--ip=0.0.0.0", f"--port={self.port}", *options, *self.args]

    def start(self) -> Any:
        missing = [name for name in ("image", "token") if not self.user_options.get(name)]
        if missing and not self.auth_enabled:
            raise web.HTTPError(400, f"a launch needs {' and '.join(missing)}")
        self.image: str = self.user_options.get("image") or self.image
        return super().start()

    def get_env(self) -> dict[str, Any]:
        env = super().get_env()
        if "repo_url" in self.user_options:
            env["BINDER_REPO_URL"] = self.user_options["repo_url"]
        return env


# ---- the hub -----------------------------------------------------------------------------------

c.JupyterHub.spawner_class = BinderSpawner
c.JupyterHub.base_url = hub["baseUrl"]
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
c.JupyterHub.last_activity_interval = 60
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
c.ConfigurableHTTPProxy.should_start = False

db = hub["db"]
if db["type"] == "sqlite-memory":
    c.JupyterHub.db_url = "sqlite://"
else:
    c.JupyterHub.db_url = db.get("url") or "sqlite:////srv/jupyterhub/jupyterhub.sqlite"

copy(
    hub,
    [
        "activeServerLimit",
        "allowNamedServers",
        "authenticatePrometheus",
        "concurrentSpawnLimit",
        "namedServerLimitPerUser",
        "redirectToServer",
        "shutdownOnLogout",
        "templateVars",
    ],
    c.JupyterHub,
)
copy(hub, {"template_paths": "templatePaths"}, c.JupyterHub)
copy(hub, ["consecutiveFailureLimit"], c.Spawner)
# Whoever is signed in stays so when the hub's pod is a new one. The official chart draws both and keeps them in its
# Secret; here they follow from what the proxy is told with.
told = os.environ["CONFIGPROXY_AUTH_TOKEN"]
c.JupyterHub.cookie_secret = bytes.fromhex(
    hub.get("cookieSecret") or hashlib.sha256(f"cookies {told}".encode()).hexdigest()
)
c.CryptKeeper.keys = [hashlib.sha256(f"auth state {told}".encode()).hexdigest()]

# ---- services and their roles --------------------------------------------------------------------

c.JupyterHub.services = []
c.JupyterHub.load_roles = [{"name": name, **role} for name, role in (hub.get("loadRoles") or {}).items()]
for name, service in (hub.get("services") or {}).items():
    entry = {"name": name, **service}
    token = entry.pop("apiToken", None) or entry.get("api_token")
    if name == "binder" and not token:
        token = VALUES.with_name("hub.services.binder.apiToken").read_text(encoding="utf-8")
    c.JupyterHub.services.append({**entry, "api_token": token} if token else entry)

cull = values["cull"]
if cull["enabled"]:
    name = "jupyterhub-idle-culler"
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    command = [
        sys.executable,
        "-m",
        "jupyterhub_idle_culler",
        "--url=http://localhost:8081" + hub["baseUrl"].rstrip("/") + "/hub/api",
    ]
    numbers = {"timeout": "timeout", "every": "cull-every", "concurrency": "concurrency", "maxAge": "max-age"}
    command += [f"--{option}={cull[key]}" for key, option in numbers.items() if cull.get(key)]
    if cull.get("users"):
        command.append("--cull-users=true")
        scopes.append("admin:users")
    if cull.get("adminUsers") is False:
        command.append("--cull-admin-users=false")
    if cull.get("removeNamedServers"):
        command.append("--remove-named-servers=true")
    c.JupyterHub.services.append({"name": name, "command": command})
    c.JupyterHub.load_roles.append({"name": name, "scopes": scopes, "services": [name]})

# ---- people's servers ----------------------------------------------------------------------------

c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]
c.KubeSpawner.image = f"{user['image']['name']}:{user['image']['tag']}"
c.KubeSpawner.image_pull_secrets = json.loads(os.environ.get("PULL_SECRETS") or "[]")
c.KubeSpawner.extra_labels = {"release": os.environ["HELM_RELEASE_NAME"], **(user.get("extraLabels") or {})}
c.KubeSpawner.scheduler_name = os.environ.get("USER_SCHEDULER_NAME") or None
c.KubeSpawner.events_enabled = bool(user.get("events"))
c.KubeSpawner.cmd = user.get("cmd") or ["jupyterhub-singleuser"]
copy(user["image"], {"image_pull_policy": "pullPolicy"}, c.KubeSpawner)
copy(user["cpu"], {"cpu_limit": "limit", "cpu_guarantee": "guarantee"}, c.KubeSpawner)
copy(user["memory"], {"mem_limit": "limit", "mem_guarantee": "guarantee"}, c.KubeSpawner)
copy(
    user,
    {
        "allow_privilege_escalation": "allowPrivilegeEscalation",
        "default_url": "defaultUrl",
        "environment": "extraEnv",
        "extra_annotations": "extraAnnotations",
        "extra_containers": "extraContainers",
        "extra_pod_config": "extraPodConfig",
        "fs_gid": "fsGid",
        "init_containers": "initContainers",
        "lifecycle_hooks": "lifecycleHooks",
        "node_selector": "nodeSelector",
        "pod_name_template": "podNameTemplate",
        "service_account": "serviceAccountName",
        "start_timeout": "startTimeout",
        "uid": "uid",
    },
    c.KubeSpawner,
)
resource = user.get("extraResource") or {}
copy(resource, {"extra_resource_limits": "limits", "extra_resource_guarantees": "guarantees"}, c.KubeSpawner)
c.KubeSpawner.tolerations = [*scheduling["userPods"]["tolerations"], *(user.get("extraTolerations") or [])]

# Claims are made for people by `dynamic` only.
storage = user["storage"]
own, path = [], ""
c.KubeSpawner.storage_pvc_ensure = storage["type"] == "dynamic"
if storage["type"] == "dynamic":
    dynamic = storage["dynamic"]
    copy(storage, {"storage_capacity": "capacity", "storage_extra_labels": "extraLabels"}, c.KubeSpawner)
    copy(
        dynamic,
        {
            "pvc_name_template": "pvcNameTemplate",
            "storage_class": "storageClass",
            "storage_access_modes": "storageAccessModes",
        },
        c.KubeSpawner,
    )
    own = [{"name": dynamic["volumeNameTemplate"], "persistentVolumeClaim": {"claimName": "{pvc_name}"}}]
    path = dynamic.get("subPath")
elif storage["type"] == "static":
    own = [{"name": "home", "persistentVolumeClaim": {"claimName": storage["static"]["pvcName"]}}]
    path = storage["static"].get("subPath")
c.KubeSpawner.volumes = [*own, *(storage["extraVolumes"] or [])]
c.KubeSpawner.volume_mounts = [
    *(
        {"name": volume["name"], "mountPath": storage["homeMountPath"], **({"subPath": path} if path else {})}
        for volume in own
    ),
    *(storage["extraVolumeMounts"] or []),
]

purpose = {
    "matchExpressions": [{"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}]
}
match = scheduling["userPods"]["nodeAffinity"]["matchNodePurpose"]
affinity = user.get("extraNodeAffinity") or {}
c.KubeSpawner.node_affinity_required = [
    *(affinity.get("required") or []),
    *([purpose] if match == "require" else []),
]
c.KubeSpawner.node_affinity_preferred = [
    *(affinity.get("preferred") or []),
    *([{"weight": 100, "preference": purpose}] if match == "prefer" else []),
]

if values["debug"]["enabled"]:
    c.JupyterHub.log_level = "DEBUG"
    c.Spawner.debug = True

for section, settings in (hub.get("config") or {}).items():
    c[section].update(settings)

for name, code in sorted((hub.get("extraConfig") or {}).items()):
    print(f"jupyterhub_config: hub.extraConfig.{name}", file=sys.stderr)
    exec(code)
