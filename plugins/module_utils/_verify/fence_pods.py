# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Pods that try targets from where people's code runs: made, read and removed by way of the API."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, forgive
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import LISTENER_PORT
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report

__all__ = ["LABEL", "FenceError", "Place", "Pods", "order", "pod", "program_text", "read_report"]

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
# BinderHub deletes build pods that have ended, once a minute, whoever made them.
_STAYING = ("build",)


class FenceError(Exception):
    """The probes cannot be made or read. Its text says what, where and what to do."""


@dataclass(frozen=True)
class Place:
    """A pod: where it stands for, its namespace and name, and its hub's release for the labels."""

    origin: Origin
    namespace: str
    name: str
    release: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data, from which `from_dict` makes it again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Place:
        """Read what `as_dict` gave."""
        return cls(Origin(**data["origin"]), data["namespace"], data["name"], data["release"])


def program_text() -> str:
    """Return the program that runs inside."""
    return inspect.getsource(fence_program)


def order(
    targets: Sequence[Target],
    origin: Origin,
    networks: Mapping[str, Sequence[Any]],
    resolved: Mapping[str, Sequence[str]],
    delay: float = 0,
) -> str:
    """Return the program's argument for a place: what has to be reached is tried three times."""
    asked = []
    for target in targets:
        if not target.port:
            continue  # nothing to connect to
        told = asdict(target)
        entry = {name: told[name] for name in ("name", "address", "port")}
        # Shorter without what the program takes for granted: a RUN step is one line of a Dockerfile.
        usual = {"protocol": "tcp", "talk": "any", "query": "localhost", "says": ""}
        entry.update({name: told[name] for name, value in usual.items() if told[name] != value})
        if expected(target, origin, networks, resolved):
            entry["tries"] = 3
        asked.append(entry)
    wishes = {"delay": delay, "stay": origin.role in _STAYING}
    wished = {name: value for name, value in wishes.items() if value}
    return json.dumps({"targets": asked, **wished}, separators=(",", ":"))


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


def pod(place: Place, run: str, image: str, argument: str, seconds: int = DEADLINE_SECONDS) -> dict[str, Any]:
    """Return a pod that runs the program once, with no more rights than a session, and ends after so many seconds."""
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
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", program_text(), argument],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "1", "memory": "128Mi"},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


def read_report(origin: Origin, text: str, trouble: str = "") -> Report:
    """Find the program's line in what a pod or a build printed."""
    for line in text.splitlines():
        _, mark, rest = line.partition(fence_program.MARK + " ")
        if mark and rest.startswith("{"):
            try:
                told = json.loads(rest[: rest.rindex("}") + 1])
            except ValueError:
                continue
            return Report(origin, told.get("results") or {}, tuple(told.get("ipv6") or ()))
    return Report(
        origin, trouble=trouble or f"it printed no result, but: {' '.join(text.split())[-300:] or 'nothing'}"
    )


def _why(found: Mapping[str, Any]) -> str:
    """Say in the API's own words why a pod has not run to its end."""
    status = found.get("status", {})
    for entry in status.get("containerStatuses") or []:
        state = entry.get("state", {}).get("waiting") or entry.get("state", {}).get("terminated") or {}
        if state.get("reason"):
            return f"{state['reason']}: {state.get('message', '')}".rstrip(": ")
    if status.get("reason") or status.get("message"):
        return f"{status.get('reason', '')}: {status.get('message', '')}".strip(": ")
    return f"the pod is {status.get('phase', 'unknown')}"


class Pods:
    """The pods of one run, in the namespaces where they stand."""

    def __init__(self, api: KubeApi, run: str, image: str, clock: Clock) -> None:
        self._api, self._run, self._image, self._clock = api, run, image, clock

    def remove(self, namespaces: Iterable[str], every_run: bool = False) -> None:
        """Delete the pods of this run, or those that any run left behind."""
        selector = LABEL if every_run else f"{LABEL}={self._run}"
        for namespace in dict.fromkeys(namespaces):
            self._api.delete(
                f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector, gracePeriodSeconds="0"
            )

    def start(self, place: Place, argument: str, seconds: int = DEADLINE_SECONDS) -> None:
        """Create a pod.

        Raises:
            FenceError: the API refuses it.
        """
        path = f"/api/v1/namespaces/{place.namespace}/pods"
        try:
            self._api.create(path, pod(place, self._run, self._image, argument, seconds))
        except KubeError as error:
            raise FenceError(
                f"the API refuses the probe {place.namespace}/{place.name}: {error.message or error}. Next: see which admission "
                "policy or quota that is; a session of this hub would meet it too"
            ) from error

    def listen(self, place: Place, timeout_seconds: float) -> tuple[str, Sequence[str]]:
        """Start a pod that answers, and return its address and its addresses of IPv6.

        Raises:
            FenceError: it does not run.
        """
        self.start(place, json.dumps({"listen": LISTENER_PORT}), LISTENER_SECONDS)
        path = f"/api/v1/namespaces/{place.namespace}/pods/{place.name}"

        def look(_seconds: float) -> tuple[dict[str, Any], Optional[Report]]:
            found = self._api.get(path) or {}
            phase = found.get("status", {}).get("phase")
            if phase not in ("Running", "Failed", "Succeeded"):
                return found, None
            report = read_report(place.origin, self._log(place))
            return found, None if report.trouble and phase == "Running" else report

        waited = wait_until(
            look,
            lambda seen: seen[1] is not None,
            clock=self._clock,
            timeout_seconds=timeout_seconds,
            step_seconds=0.25,
            forgive=forgive,
        )
        found, report = waited.seen
        address = found.get("status", {}).get("podIP", "")
        if report is None or report.trouble or not address:
            why = report.trouble if report else _why(found)
            raise FenceError(
                f"the probe {place.namespace}/{place.name} on {place.origin.node} does not answer within "
                f"{timeout_seconds:.0f} s: {why}. Next: see whether the node can pull {self._image} (site_fence_probe_image)"
            )
        return address, report.ipv6

    def reports(self, places: Sequence[Place], timeout_seconds: float) -> list[Report]:
        """Wait until all pods have ended, or have said what they found, and read it."""
        namespaces = list(dict.fromkeys(place.namespace for place in places))
        said: dict[Place, Report] = {}

        def look(_seconds: float) -> dict[tuple[str, str], Mapping[str, Any]]:
            found: dict[tuple[str, str], Mapping[str, Any]] = {}
            for namespace in namespaces:
                path = f"/api/v1/namespaces/{namespace}/pods"
                answer = self._api.get(path, labelSelector=f"{LABEL}={self._run}") or {}
                found.update(
                    {(namespace, item["metadata"]["name"]): item for item in answer.get("items") or []}
                )
            for place in places:
                if place.origin.role in _STAYING and phase(found, place) == "Running" and place not in said:
                    report = read_report(place.origin, self._log(place))
                    said.update({} if report.trouble else {place: report})
            return found

        def phase(seen: Mapping[tuple[str, str], Mapping[str, Any]], place: Place) -> Any:
            return seen.get((place.namespace, place.name), {}).get("status", {}).get("phase")

        def ended(seen: Mapping[tuple[str, str], Mapping[str, Any]]) -> bool:
            return all(
                place in said or phase(seen, place) in ("Succeeded", "Failed", None) for place in places
            )

        seen = wait_until(
            look, ended, clock=self._clock, timeout_seconds=timeout_seconds, step_seconds=0.5, forgive=forgive
        ).seen
        pods = ((place, seen.get((place.namespace, place.name))) for place in places)
        return [said.get(place) or self._report(place, found) for place, found in pods]

    def _report(self, place: Place, found: Optional[Mapping[str, Any]]) -> Report:
        if found is None:
            return Report(place.origin, trouble="the pod is gone: somebody deleted it")
        phase = found.get("status", {}).get("phase")
        if phase in ("Succeeded", "Failed"):
            report = read_report(place.origin, self._log(place))
            if not report.trouble or phase == "Succeeded":
                return report
        return Report(place.origin, trouble=f"pod {place.namespace}/{place.name}: {_why(found)}")

    def _log(self, place: Place) -> str:
        try:
            return self._api.text(f"/api/v1/namespaces/{place.namespace}/pods/{place.name}/log")
        except KubeError:
            return ""  # the container has no log yet, or the kubelet does not answer: read_report says that nothing came
