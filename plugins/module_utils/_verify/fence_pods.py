# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Pods that try targets from where people's code runs: made, read and removed by way of the API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, forgive
from ansible_collections.ironbinder.platform.plugins.module_utils._verify import fence_program
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import (
    DEADLINE_SECONDS,
    LABEL,
    LISTENER_SECONDS,
    Place,
    pod,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import (
    Origin,
    Target,
    expected,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_targets import LISTENER_PORT
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report

__all__ = ["FenceError", "Pods", "order", "read_report"]

# BinderHub deletes build pods that have ended, once a minute, whoever made them.
_STAYING = ("build",)


class FenceError(Exception):
    """The probes cannot be made or read. Its text says what, where and what to do."""


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
    return json.dumps(
        {"targets": asked, "delay": delay} if delay else {"targets": asked}, separators=(",", ":")
    )


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


def _never_ran(found: Mapping[str, Any]) -> bool:
    """Whether the container runtime failed to start what was asked for."""
    statuses = found.get("status", {}).get("containerStatuses") or []
    ended = [entry.get("state", {}).get("terminated") or {} for entry in statuses]
    return any(entry.get("reason") in ("StartError", "ContainerCannotRun") for entry in ended)


class Pods:
    """The pods of one run, in the namespaces where they stand."""

    def __init__(self, api: KubeApi, run: str, image: str, clock: Clock) -> None:
        self._api, self._run, self._image, self._clock = api, run, image, clock
        self._made_anew: set[tuple[str, str]] = set()

    def remove(self, namespaces: Iterable[str], every_run: bool = False) -> None:
        """Delete the pods of this run, or those that any run left behind."""
        selector = LABEL if every_run else f"{LABEL}={self._run}"
        for namespace in dict.fromkeys(namespaces):
            self._api.delete(
                f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector, gracePeriodSeconds="0"
            )

    def start(self, place: Place, argument: str, seconds: int = DEADLINE_SECONDS, program: str = "") -> None:
        """Create a pod, of the program that tries the fences where no other is given.

        Raises:
            FenceError: the API refuses it.
        """
        path = f"/api/v1/namespaces/{place.namespace}/pods"
        if place.origin.role in _STAYING:
            argument = json.dumps({**json.loads(argument), "stay": True}, separators=(",", ":"))
        try:
            self._api.create(
                path, pod(place, self._run, self._image, argument, seconds=seconds, program=program)
            )
        except KubeError as error:
            raise FenceError(
                f"the API refuses the probe {place.namespace}/{place.name}: {error.message or error}. Next: see which admission "
                "policy or quota that is; a session of this hub would meet it too"
            ) from error

    def _anew(self, key: tuple[str, str], found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a pod as it was found; one whose runtime could not start it is made once more, as its owner would.

        Nothing was tried in such a pod, so nothing is known; what is wrong with the runtime for good shows the second time.
        """
        if not _never_ran(found) or key in self._made_anew:
            return found
        self._made_anew.add(key)
        metadata = {name: found["metadata"][name] for name in ("name", "namespace", "labels")}
        pods = f"/api/v1/namespaces/{key[0]}/pods"
        self._api.delete(f"{pods}/{key[1]}", gracePeriodSeconds="0")
        self._api.create(
            pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": found["spec"]}
        )
        return {"status": {"phase": "Pending"}}

    def listen(self, place: Place, timeout_seconds: float) -> tuple[str, Sequence[str]]:
        """Start a pod that answers, and return its address and its addresses of IPv6.

        Raises:
            FenceError: it does not run.
        """
        self.start(place, json.dumps({"listen": LISTENER_PORT}), LISTENER_SECONDS)
        path = f"/api/v1/namespaces/{place.namespace}/pods/{place.name}"

        def look(_seconds: float) -> tuple[dict[str, Any], Optional[Report]]:
            found = dict(self._anew((place.namespace, place.name), self._api.get(path) or {}))
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
        said: dict[tuple[str, str], Report] = {}

        def look(_seconds: float) -> dict[tuple[str, str], Mapping[str, Any]]:
            found: dict[tuple[str, str], Mapping[str, Any]] = {}
            for namespace in namespaces:
                path = f"/api/v1/namespaces/{namespace}/pods"
                answer = self._api.get(path, labelSelector=f"{LABEL}={self._run}") or {}
                for item in answer.get("items") or []:
                    name = (namespace, item["metadata"]["name"])
                    found[name] = self._anew(name, item)
            for place in places:
                if (
                    place.origin.role in _STAYING
                    and key(place) not in said
                    and phase(found, place) == "Running"
                    and not (report := read_report(place.origin, self._log(place))).trouble
                ):
                    said[key(place)] = replace(report, about=place.about)
            return found

        def key(place: Place) -> tuple[str, str]:
            return place.namespace, place.name

        def phase(seen: Mapping[tuple[str, str], Mapping[str, Any]], place: Place) -> Any:
            return seen.get(key(place), {}).get("status", {}).get("phase")

        def ended(seen: Mapping[tuple[str, str], Mapping[str, Any]]) -> bool:
            return all(
                key(place) in said or phase(seen, place) in ("Succeeded", "Failed", None) for place in places
            )

        seen = wait_until(
            look, ended, clock=self._clock, timeout_seconds=timeout_seconds, step_seconds=0.5, forgive=forgive
        ).seen
        return [said.get(key(place)) or self._report(place, seen.get(key(place))) for place in places]

    def _report(self, place: Place, found: Optional[Mapping[str, Any]]) -> Report:
        return replace(self._read(place, found), about=place.about)

    def _read(self, place: Place, found: Optional[Mapping[str, Any]]) -> Report:
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
