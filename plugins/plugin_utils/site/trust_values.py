# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whom BinderHub, the hub and builds trust, and which names builds know, as values of the BinderHub chart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import (
    BUNDLE_FILE,
    BUNDLE_VARIABLES,
)

__all__ = ["TrustSettings", "builder_arguments", "trust_values"]

_VOLUME = "node-ca-bundle"
_EXECUTOR = "KubernetesBuildExecutor"
# Before a site's own snippets, which are taken in the order of their names, so that those win.
_SNIPPET = "00-ironbinder-build-trust"
# `get_builder_volumes` is there to be overridden: https://github.com/jupyterhub/binderhub/pull/1795
_BUILD_CLASS = '''\
from binderhub.build import KubernetesBuildExecutor


class TrustingBuildExecutor(KubernetesBuildExecutor):
    """Build pods trust whom their node trusts."""

    def get_builder_volumes(self):
        from kubernetes import client

        volumes, mounts = super().get_builder_volumes()
        place = client.V1HostPathVolumeSource(path=%(file)s, type="File")
        volumes.append(client.V1Volume(name=%(name)s, host_path=place))
        mounts.append(client.V1VolumeMount(name=%(name)s, mount_path=%(file)s, read_only=True))
        return volumes, mounts


c.BinderHub.build_class = TrustingBuildExecutor
'''


@dataclass(frozen=True, kw_only=True)
class TrustSettings:
    """What a site hands on.

    `ca_checksum` changes with the site's CAs, and is empty where pods need none beyond their image's own. `base_image` is what
    repo2docker builds on, empty for its own. `extra_hosts` are {address: [name, ...]}.
    """

    ca_checksum: str = ""
    base_image: str = ""
    extra_hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)


def trust_values(settings: TrustSettings) -> dict[str, Any]:
    """Let BinderHub, the hub and build pods trust what their node trusts; role node has put the site's CAs there.

    The node's whole bundle is mounted over the image's: one place to keep right, public CAs included. A ConfigMap would be a
    second copy that somebody has to renew. The annotation restarts a pod when the CAs change, as a mounted file keeps its old
    content otherwise; a build pod is a new one each time.
    """
    if not settings.ca_checksum:
        return {}
    checksum = {"ironbinder/ca-checksum": settings.ca_checksum}
    mounted = {
        "extraVolumes": [{"name": _VOLUME, "hostPath": {"path": BUNDLE_FILE, "type": "File"}}],
        "extraVolumeMounts": [{"name": _VOLUME, "mountPath": BUNDLE_FILE, "readOnly": True}],
        "extraEnv": dict.fromkeys(BUNDLE_VARIABLES, BUNDLE_FILE),
    }
    code = _BUILD_CLASS % {"file": json.dumps(BUNDLE_FILE), "name": json.dumps(_VOLUME)}
    return {
        "podAnnotations": checksum,
        **mounted,
        "extraConfig": {_SNIPPET: code},
        "config": {_EXECUTOR: {"extra_envs": dict.fromkeys(BUNDLE_VARIABLES, BUNDLE_FILE)}},
        # For signing in at an institution's own provider.
        "jupyterhub": {"hub": {"annotations": checksum, **mounted}},
    }


def builder_arguments(
    settings: TrustSettings, own_values: Mapping[str, Any], more: Sequence[str] = ()
) -> dict[str, Any]:
    """Tell repo2docker its base, and the names that RUN steps know, which ask their node's Docker and not the cluster.

    Args:
        settings: of the site.
        own_values: the hub's own. Its arguments come after ours, and so win; in the place of ours they would end our promise.
        more: further arguments of ours.
    """
    names = [(name, address) for address, given in settings.extra_hosts.items() for name in given]
    ours = [
        *([f"--Repo2Docker.base_image={settings.base_image}"] if settings.base_image else []),
        *(f"--DockerEngine.extra_buildx_build_args=--add-host={name}:{address}" for name, address in names),
        *more,
    ]
    if not ours:
        return {}
    own: Any = own_values
    for key in ("config", _EXECUTOR, "repo2docker_extra_args"):
        own = own.get(key) if isinstance(own, Mapping) else None
    if own is not None and not isinstance(own, list):
        return {}  # for the chart to refuse
    return {"config": {_EXECUTOR: {"repo2docker_extra_args": [*ours, *(own or [])]}}}
