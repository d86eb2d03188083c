# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Bring the objects of a manifest into a cluster, or out of it, and tell what changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kinds import KindMissing, Kinds
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.manifest import Ref, essence, shown
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.merging import (
    MergeError,
    annotated,
    merge_patch,
    patch_for,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, forgive
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import (
    RolloutError,
    wait_until_gone,
)

__all__ = ["ObjectKeeper", "ObjectsError", "Outcome"]

_WRITER = {"fieldManager": "ironbinder"}
# A webhook whose pod has only started, or whose certificate the API does not know yet.
_WEBHOOK_AWAY = ("failed calling webhook", "conversion webhook for")


class ObjectsError(Exception):
    """An object that could not be brought about. Its text names it, the reason, and the remedy.

    `passing` says that the API was away, and has not refused.
    """

    def __init__(self, text: str, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing


@dataclass(frozen=True)
class Outcome:
    """What became of one object, or would become of it.

    `action` is created, changed, unchanged, deleted or absent. `predicted` says why the server could not be asked
    what it would do; empty where it was.
    """

    ref: Ref
    action: str
    before: Optional[Mapping[str, Any]] = None
    after: Optional[Mapping[str, Any]] = None
    predicted: str = ""

    @property
    def changed(self) -> bool:
        """Whether the object is another one than before."""
        return self.action not in ("unchanged", "absent")

    def as_result(self) -> dict[str, Any]:
        """Return what a module returns of it: never the object, which may be a secret."""
        return {
            "kind": self.ref.kind,
            "namespace": self.ref.namespace,
            "name": self.ref.name,
            "action": self.action,
            "predicted": self.predicted,
        }

    def as_diff(self) -> dict[str, Any]:
        """Return what Ansible shows of the difference."""
        before, after = shown(self.before, self.after)
        # Where an object made by something else is taken over, only the memory of what was applied is new.
        note = ", which is remembered now" if self.action == "changed" and before == after else ""
        return {
            "before_header": str(self.ref),
            "after_header": f"{self.ref} ({self.action}{note})",
            "before": before,
            "after": after,
        }


class ObjectKeeper:
    """Applies or deletes objects. What it did is in `outcomes`, also after an error."""

    def __init__(
        self,
        objects: Mapping[Ref, Mapping[str, Any]],
        *,
        clock: Clock,
        timeout_seconds: float,
        namespace: str = "default",
        check_mode: bool = False,
    ) -> None:
        """Take what is wanted.

        Args:
            objects: in the order in which outcomes are told; see `manifest.read_objects`.
            clock: time.
            timeout_seconds: for all that has to be waited for: definitions, webhooks, an API that restarts.
            namespace: of objects that name none.
            check_mode: ask the server what it would do, and predict where it cannot know.
        """
        self._objects = objects
        self._clock = clock
        self._deadline = clock.now() + timeout_seconds
        self._timeout = timeout_seconds
        self._namespace = namespace
        self._check = check_mode
        self._done: dict[Ref, Outcome] = {}
        self._origins: dict[Ref, Optional[dict[str, Any]]] = {}
        # Kinds that the manifest itself defines: {(group, kind)}.
        self._promised = {
            (str(item.get("spec", {}).get("group")), str(item.get("spec", {}).get("names", {}).get("kind")))
            for ref, item in objects.items()
            if ref.rank == 1
        }

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of the objects so far, in the order of the manifest."""
        return [self._done[ref] for ref in self._objects if ref in self._done]

    @property
    def left_seconds(self) -> float:
        """What is left of the time."""
        return max(0.0, self._deadline - self._clock.now())

    def predict_all(self, reason: str, present: bool = True) -> None:
        """Say what a run will do to a cluster that is not there yet."""
        for ref, wanted in self._objects.items():
            self._done[ref] = (
                self._expected(ref, wanted, reason) if present else Outcome(ref, "absent", predicted=reason)
            )

    def apply(self, api: KubeApi) -> None:
        """Create what is missing and change what differs, namespaces and definitions of kinds first.

        Raises:
            ObjectsError: an object is refused, or something is not there in time.
        """
        kinds = Kinds(api, self._namespace)
        for rank in (0, 1, 2):
            mine = {ref: item for ref, item in self._objects.items() if ref.rank == rank}
            for ref, wanted in mine.items():
                self._done[ref] = self._persist(ref, partial(self._apply, api, kinds, ref, wanted))
            if rank == 1 and not self._check:
                for ref in mine:
                    self._await_established(api, kinds, ref)

    def delete(self, api: KubeApi, wait: bool = False) -> None:
        """Delete what is there, in the reverse order.

        Raises:
            ObjectsError: an object is refused, or with `wait`, is not gone in time.
        """
        kinds = Kinds(api, self._namespace)
        ordered = sorted(self._objects, key=lambda ref: ref.rank)
        for ref in reversed(ordered):
            self._done[ref] = self._persist(ref, partial(self._delete, api, kinds, ref))
        if wait and not self._check:
            for outcome in self.outcomes:
                if outcome.changed:
                    self._await_gone(api, kinds, outcome.ref)

    def _persist(self, ref: Ref, attempt: Callable[[], Outcome]) -> Outcome:
        """Try until it works, as long as what is in the way may pass."""

        def forgiven(error: Exception, silent_seconds: float) -> bool:
            if isinstance(error, KindMissing):
                return (ref.group, ref.kind) in self._promised
            if isinstance(error, KubeError) and (error.status == 409 or _webhook_is_away(error)):
                return True
            return forgive(error, silent_seconds)

        try:
            return wait_until(
                lambda _seconds: attempt(),
                lambda _outcome: True,
                clock=self._clock,
                timeout_seconds=0 if self._check else self.left_seconds,
                forgive=forgiven,
            ).seen
        except (KubeError, KindMissing, MergeError) as error:
            passing = isinstance(error, KubeError) and error.passing
            parts = [f"{ref}: {error}", _remedy(error, self._timeout)]
            raise ObjectsError(". ".join(part for part in parts if part), passing) from error

    def _apply(self, api: KubeApi, kinds: Kinds, ref: Ref, wanted: Mapping[str, Any]) -> Outcome:
        query = {**_WRITER, **({"dryRun": "All"} if self._check else {})}
        before: Optional[dict[str, Any]] = None
        try:
            place = kinds.place(ref)
            before = api.get(place.path)
            # A change whose answer was lost is one all the same.
            origin = self._origins.setdefault(ref, before)
            if before is None:
                return Outcome(ref, "created", None, api.create(place.parent, annotated(wanted), **query))
            patch = patch_for(before, wanted)
            after = api.patch(place.path, patch, **query) if patch else before
        except (KubeError, KindMissing) as error:
            reason = self._unknowable(error) if self._check else ""
            if not reason:
                raise
            return self._expected(ref, wanted, reason, before)
        action = "unchanged" if essence(after) == essence(origin) else "changed" if origin else "created"
        return Outcome(ref, action, origin, after)

    def _unknowable(self, error: Exception) -> str:
        """Say why the server cannot tell yet what it would do; empty where it has simply refused."""
        if isinstance(error, KindMissing):
            return str(error)
        if isinstance(error, KubeError):
            namespace_missing = error.status == 404 and error.message.startswith("namespaces ")
            no_dry_run = error.status == 400 and "dry run" in error.message
            if namespace_missing or no_dry_run or _webhook_is_away(error):
                return error.message
        return ""

    def _expected(
        self, ref: Ref, wanted: Mapping[str, Any], reason: str, before: Optional[Mapping[str, Any]] = None
    ) -> Outcome:
        if before is None:
            return Outcome(ref, "created", None, wanted, reason)
        return Outcome(ref, "changed", before, merge_patch(before, patch_for(before, wanted)), reason)

    def _delete(self, api: KubeApi, kinds: Kinds, ref: Ref) -> Outcome:
        try:
            place = kinds.place(ref)
        except KindMissing:
            return Outcome(ref, "absent")
        before = api.get(place.path)
        if before is None:
            return Outcome(ref, "absent")
        # What it owns goes with it, as with `kubectl delete`.
        api.delete(place.path, propagationPolicy="Background", **({"dryRun": "All"} if self._check else {}))
        return Outcome(ref, "deleted", before, None)

    def _await_established(self, api: KubeApi, kinds: Kinds, ref: Ref) -> None:
        """Wait until the API serves a kind that was defined."""
        path = kinds.place(ref).path

        def look(seconds: float) -> Mapping[str, Any]:
            return (self._done[ref].after if seconds == 0 else api.get(path)) or {}

        waited = wait_until(
            look,
            lambda item: _condition(item, "Established").get("status") == "True",
            clock=self._clock,
            timeout_seconds=self.left_seconds,
            step_seconds=0.2,
            forgive=forgive,
        )
        if not waited.done:
            said = _condition(waited.seen, "NamesAccepted").get("message") or "it gives no reason"
            raise ObjectsError(f"{ref}: the API does not serve it after {self._timeout:.0f} s: {said}")

    def _await_gone(self, api: KubeApi, kinds: Kinds, ref: Ref) -> None:
        try:
            wait_until_gone(api, kinds.place(ref).path, self.left_seconds, self._clock)
        except (KubeError, RolloutError) as error:
            raise ObjectsError(f"{ref}: {error}") from error
        except KindMissing:  # its definition is gone, and it with it
            return


def _condition(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == name), {})


def _webhook_is_away(error: KubeError) -> bool:
    return error.status >= 500 and any(words in error.message for words in _WEBHOOK_AWAY)


def _remedy(error: Exception, timeout_seconds: float) -> str:
    if not isinstance(error, KubeError):
        return ""
    if _webhook_is_away(error):
        return f"The webhook did not answer for {timeout_seconds:.0f} s: look at the pods of its service."
    if error.status == 422 and "immutable" in error.message:
        return "What cannot be changed has to be made anew: remove the object, and run this again."
    if error.status == 404 and error.message.startswith("namespaces "):
        return "Apply its namespace first, or put it into the same manifest."
    if error.status == 409:
        return f"Somebody else changed it at every attempt for {timeout_seconds:.0f} s: find out who."
    return ""
