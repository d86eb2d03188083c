# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The pods of the probes as objects: called and labelled like those whose place they take, and with no more rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.travelling import source_of
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import Origin

__all__ = [
    "DEADLINE_SECONDS",
    "LABEL",
    "LISTENER_SECONDS",
    "Place",
    "name_of",
    "pod",
    "program_text",
]

LABEL = "ironbinder.platform/fence-check"
# Whatever becomes of whoever made them, pods end by themselves; the time to pull an image counts. A listener outlives whoever
# tries it: what has ended would look fenced.
DEADLINE_SECONDS, LISTENER_SECONDS = 600, 1200
# As the chart, the spawner and the builder call and label theirs. No label may make a probe part of a service.
_NAMES = {
    "session": "jupyter-",
    "other": "jupyter-",
    "build": "build-",
    "core": "hub-",
    "unknown": "",
    "control": "control-",
}
_ACCESS = "hub.jupyter.org/network-access-"
# The chart's; a kubelet goes on where there is none.
_PULL_SECRET = "image-pull-secret"


@dataclass(frozen=True)
class Place:
    """A pod: where it stands for, its namespace and name, and its hub's release for the labels.

    `about` is what its program finds out, `image` another than the run's; `bundle` is a file of the node's that it mounts
    in its own place, and `environment` is what it is told, both as a build pod.
    """

    origin: Origin
    namespace: str
    name: str
    release: str = ""
    about: str = "fences"
    image: str = ""
    bundle: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data, from which `from_dict` makes it again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Place:
        """Read what `as_dict` gave."""
        return cls(**{**data, "origin": Origin(**data["origin"])})


def program_text() -> str:
    """Return the program that runs inside."""
    return source_of(fence_program)


def name_of(role: str, run: str, number: int) -> str:
    """Return a pod's name, which is what a guard knows it by."""
    return f"{_NAMES[role]}ironbinder-probe-{run}-{number}"


def _labels(place: Place) -> dict[str, str]:
    role, found = place.origin.role, {"app.kubernetes.io/managed-by": "ironbinder"}
    if role in ("session", "other"):
        found.update(app="jupyterhub", component="singleuser-server", heritage="jupyterhub")
        found[f"{_ACCESS}hub"] = "true"
    if role == "build":
        found["component"] = "binderhub-build"
    if role == "core":
        # What the chart's policies go by; `component: hub` would make this pod answer for the hub.
        found.update(
            {f"{_ACCESS}{what}": "true" for what in ("hub", "proxy-api", "proxy-http", "singleuser")}
        )
    if place.release:
        found["release"] = place.release
    return found


def pod(
    place: Place, run: str, image: str, argument: str, *, seconds: int = DEADLINE_SECONDS, program: str = ""
) -> dict[str, Any]:
    """Return a pod that runs a program once, with no more rights than a session, and ends after so many seconds."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": place.name,
            "namespace": place.namespace,
            "labels": {**_labels(place), LABEL: run},
        },
        "spec": {
            # Named and not chosen by a scheduler: which nodes are tried is part of the proof.
            "nodeName": place.origin.node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": place.image or image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", program or program_text(), argument],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "1", "memory": "128Mi"},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    **_told(place),
                }
            ],
            **_given(place),
        },
    }


def _told(place: Place) -> dict[str, Any]:
    """Return what the container of a place has besides."""
    environment = [{"name": name, "value": value} for name, value in place.environment.items()]
    mounts = [{"name": "bundle", "mountPath": place.bundle, "readOnly": True}] if place.bundle else []
    return {**({"env": environment} if environment else {}), **({"volumeMounts": mounts} if mounts else {})}


def _given(place: Place) -> dict[str, Any]:
    """Return what the pod of a place has besides. An image of the site's own is pulled as sessions pull theirs."""
    volume = {"name": "bundle", "hostPath": {"path": place.bundle, "type": "File"}}
    return {
        **({"volumes": [volume]} if place.bundle else {}),
        **({"imagePullSecrets": [{"name": _PULL_SECRET}]} if place.image else {}),
    }
