"""BinderHub 0.1.0 configured by the official chart's keys.

The chart puts its values at /etc/binderhub/values/values.yaml. What today's BinderHub calls otherwise is renamed,
what 0.1.0 lacks is said in the log, and six things are added because the lab's site needs them: Basic
authentication at the registry, branches and tags of the `git` provider, the environment and resources of build
pods, extra arguments of repo2docker, `build_class` as far as the volumes of build pods, and what standing behind
the login of a JupyterHub of today takes.
"""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import binderhub.app
import binderhub.base
import binderhub.build
import binderhub.builder
import binderhub.repoproviders
import yaml
from kubernetes import client
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import url_concat
from tornado.web import HTTPError

# Given by traitlets, which runs this file.
c = get_config()  # type: ignore[name-defined]  # noqa: F821

VALUES = Path(os.environ.get("BINDERHUB_VALUES_FILE", "/etc/binderhub/values/values.yaml"))
values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
config = values.get("config") or {}
binder = config.get("BinderHub") or {}
executor = config.get("KubernetesBuildExecutor") or {}
secret = values.get("registry") or {}
registry = config.get("DockerRegistry") or {}

# Names of today's traits, and what 0.1.0 calls them.
RENAMED = {"image_prefix": "docker_image_prefix", "push_secret": "docker_push_secret"}
EXECUTOR_RENAMED = {
    "build_image": "builder_image_spec",
    "docker_host": "build_docker_host",
    "log_tail_lines": "log_tail_lines",
    "namespace": "build_namespace",
    "node_selector": "build_node_selector",
    "push_secret": "docker_push_secret",
}
EXECUTOR_HERE = {
    "cpu_limit",
    "cpu_request",
    "extra_envs",
    "memory_limit",
    "memory_request",
    "repo2docker_extra_args",
    "resources",
}
# The chart itself puts the last one into the secret that builds push with, as upstream's does.
BINDER_HERE = {"cors_allow_origin", "hub_url_local", "image_prefix", "buildDockerConfig"}


def ignored(name: str) -> None:
    """Say which key has no effect here."""
    print(f"binderhub_config: BinderHub 0.1.0 does not know {name}: ignored", file=sys.stderr)


c.BinderHub.docker_push_secret = "binder-build-docker-config"
c.BinderHub.build_namespace = os.environ["POD_NAMESPACE"]
c.BinderHub.hub_api_token = os.environ["JUPYTERHUB_API_TOKEN"]

traits = binderhub.app.BinderHub.class_trait_names(config=True)
for name, value in binder.items():
    if RENAMED.get(name, name) in traits:
        c.BinderHub[RENAMED.get(name, name)] = value
    elif name not in BINDER_HERE:
        ignored(f"BinderHub.{name}")
for name, value in executor.items():
    if name in EXECUTOR_RENAMED:
        c.BinderHub[EXECUTOR_RENAMED[name]] = value
    elif name not in EXECUTOR_HERE:
        ignored(f"KubernetesBuildExecutor.{name}")
for section, settings in config.items():
    if section.endswith("Provider"):
        for name, value in settings.items():
            if name in {"allowed_specs", "high_quota_specs", "spec_config"}:
                ignored(f"{section}.{name}")
            else:
                c[section][name] = value
    elif section in {"EventLog", "HubOAuth", "Launcher"}:
        for name, value in settings.items():
            if name in {"named_server_limit_per_user", "launch_timeout"}:
                ignored(f"{section}.{name}")
            else:
                c[section][name] = value
    elif section == "KubernetesCleaner":
        for name, value in settings.items():
            if name == "max_age":
                c.BinderHub.build_max_age = value
            else:
                ignored(f"{section}.{name}")
    elif section not in {"BinderHub", "DockerRegistry", "KubernetesBuildExecutor"}:
        ignored(section)

hub_url = binder.get("hub_url") or ""
# 0.1.0 knows the hub's address inside the cluster by this variable only.
os.environ["JUPYTERHUB_API_URL"] = (binder.get("hub_url_local") or hub_url).rstrip("/") + "/hub/api/"
if binder.get("auth_enabled"):
    # As the configuration in the official chart does.
    c.HubOAuth.hub_host = "{0.scheme}://{0.netloc}".format(urlsplit(hub_url))
    c.HubOAuth.base_url = binder.get("base_url") or "/"
    c.BinderHub.use_named_servers = os.environ.get("JUPYTERHUB_ALLOW_NAMED_SERVERS") == "true"
    # Today's BinderHub reads it, and does not start where it is no number.
    int(os.environ.get("JUPYTERHUB_NAMED_SERVER_LIMIT_PER_USER", "0"))
    # Where page.html is.
    c.BinderHub.template_path = str(Path(__file__).parent)
if binder.get("cors_allow_origin"):
    c.BinderHub.tornado_settings = {"headers": {"Access-Control-Allow-Origin": binder["cors_allow_origin"]}}

registry_url = (registry.get("url") or secret.get("url") or "https://registry-1.docker.io").rstrip("/")
if "://" not in registry_url:
    registry_url = f"https://{registry_url}"
c.BinderHub.docker_registry_host = registry_url
c.BinderHub.docker_token_url = registry.get("token_url") or ""

# The only form that today's BinderHub asks for.
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry(binderhub.app.DockerRegistry):
    """Asks for a manifest as today's BinderHub does: with Basic authentication where there is no token server."""

    def __init__(self, auth_host: str, auth_token_url: str, registry_host: str) -> None:
        self.token_url = auth_token_url
        self.url = registry_host
        self.username = registry.get("username") or secret.get("username")
        self.password = registry.get("password") or secret.get("password") or ""
        # 0.1.0 hands over the last two parts of an image's path; these are those before.
        path = (binder.get("image_prefix") or "").split("/")[1:]
        self.path = "".join(f"{part}/" for part in path[:-2])

    async def get_image_manifest(self, image: str, tag: str) -> Any:
        image = self.path + image
        login = {"auth_username": self.username, "auth_password": self.password} if self.username else {}
        headers = {"Accept": MANIFEST}
        http = AsyncHTTPClient()
        if self.token_url:
            url = url_concat(self.token_url, {"scope": f"repository:{image}:pull"})
            answer = json.loads((await http.fetch(HTTPRequest(url, **login))).body)
            headers["Authorization"] = f"Bearer {answer.get('token') or answer['access_token']}"
            login = {}
        url = f"{self.url}/v2/{image}/manifests/{tag}"
        try:
            response = await http.fetch(HTTPRequest(url, headers=headers, **login))
        except HTTPClientError as error:
            if error.code == 404:
                return None
            raise
        return json.loads(response.body)


class GitProvider(binderhub.repoproviders.GitRepoProvider):
    """Takes branches and tags too, and asks the repository for their commit, as today's BinderHub does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        binderhub.repoproviders.RepoProvider.__init__(self, *args, **kwargs)
        # At the first slash: those of the URL are quoted, and those of a branch need not be.
        url, self.unresolved_ref = self.spec.split("/", 1)
        self.repo = unquote(url)
        self.unresolved_ref = unquote(self.unresolved_ref)
        if not self.unresolved_ref:
            raise ValueError("the spec ends without a branch, tag or commit: write git/<quoted URL>/<ref>")

    async def get_resolved_ref(self) -> str | None:
        if re.fullmatch("[0-9a-f]{40}", self.unresolved_ref):
            return self.unresolved_ref
        git = await asyncio.create_subprocess_exec(
            "git",
            "ls-remote",
            "--",
            self.repo,
            self.unresolved_ref,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await git.communicate()
        if git.returncode:
            raise RuntimeError(f"{self.repo} cannot be read: {errors.decode().strip()}")
        # None makes BinderHub say that it could not resolve the ref.
        return output.decode().split()[0] if output else None


class KubernetesBuildExecutor:
    """Today's class of this name, as far as a site's own class takes it further: what a build pod mounts.

    `pod` is the one that 0.1.0 made, whose volumes a subclass gets where today's gives its own.
    """

    def __init__(self, pod: Any) -> None:
        self.pod = pod

    def get_builder_volumes(self) -> tuple[list[Any], list[Any]]:
        [container] = self.pod.spec.containers
        return list(self.pod.spec.volumes), list(container.volume_mounts)


class BuildPods:
    """The Kubernetes client of a build, which gives its pod what the values say."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)

    def create_namespaced_pod(self, namespace: str, pod: Any) -> Any:
        [container] = pod.spec.containers
        container.image_pull_policy = "IfNotPresent"
        extra = executor.get("extra_envs") or {}
        container.env += [client.V1EnvVar(name=name, value=str(value)) for name, value in extra.items()]
        resources = executor.get("resources") or {}
        amounts = {
            kind: {
                what: str(executor[f"{what}_{trait}"])
                for what in ("cpu", "memory")
                if executor.get(f"{what}_{trait}")
            }
            for kind, trait in (("limits", "limit"), ("requests", "request"))
        }
        wanted: dict[str, Any] = {kind: {**amounts[kind], **(resources.get(kind) or {})} for kind in amounts}
        container.resources = client.V1ResourceRequirements(**wanted)
        pod.spec.volumes, container.volume_mounts = build_class(pod).get_builder_volumes()
        # A build does not talk to Kubernetes.
        pod.spec.automount_service_account_token = False
        return self.api.create_namespaced_pod(namespace, pod)


class Build(binderhub.build.Build):
    """A build whose pod and arguments follow KubernetesBuildExecutor's keys."""

    def get_cmd(self) -> list[str]:
        *arguments, repository = super().get_cmd()
        return [*arguments, *(executor.get("repo2docker_extra_args") or []), repository]

    def submit(self) -> None:
        self.api: Any = BuildPods(self.api)
        super().submit()


class BuildHandler(binderhub.builder.BuildHandler):
    """Says by an event that nobody is signed in, as today's does: a stream cannot be led to a login page."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("content-type", "text/event-stream")

    def redirect(self, *_args: Any, **_kwargs: Any) -> None:
        raise HTTPError(403)


class Launcher(binderhub.app.Launcher):
    """Gives the address of a named server with a slash at its end, as today's does."""

    async def launch(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        server = await super().launch(*args, **kwargs)
        return {**server, "url": server["url"].rstrip("/") + "/"}


def with_xsrf(page: Any) -> dict[str, Any]:
    """Give a page, of whatever handler, the token against forged requests, as today's does."""
    return {**names_of_0_1_0(page), "xsrf": page.xsrf_token.decode("ascii")}


if binder.get("auth_enabled"):
    names_of_0_1_0 = binderhub.base.BaseHandler.template_namespace.fget
    binderhub.base.BaseHandler.template_namespace = property(with_xsrf)
    binderhub.app.BuildHandler = BuildHandler
    binderhub.app.Launcher = Launcher
binderhub.app.DockerRegistry = Registry
c.BinderHub.repo_providers = {**binderhub.app.BinderHub.repo_providers.default(), "git": GitProvider}
binderhub.builder.Build = Build
# Where a site's snippet finds it in today's BinderHub.
binderhub.build.KubernetesBuildExecutor = KubernetesBuildExecutor

for name, code in sorted((values.get("extraConfig") or {}).items()):
    print(f"binderhub_config: extraConfig.{name}", file=sys.stderr)
    exec(code)

# A trait that 0.1.0 does not have, and would warn of.
build_class = c.BinderHub.pop("build_class", KubernetesBuildExecutor)
