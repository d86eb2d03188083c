# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The Kubernetes API for work that is many single questions, and not one wait: each outlives a restart of the server.

A head's API server is away for some seconds where its certificate or its manifest changes, and etcd's where its leader does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional, TypeVar

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import (
    GRACE_SECONDS,
    KubeApi,
    KubeError,
    forgive,
)

__all__ = ["patient"]

Answer = TypeVar("Answer")


class _Patient:
    def __init__(self, api: KubeApi, clock: Clock) -> None:
        self._api, self._clock = api, clock

    def get(self, path: str, **query: str) -> Optional[dict[str, Any]]:
        return self._persist(lambda: self._api.get(path, **query))

    def text(self, path: str, **query: str) -> str:
        # A log comes from a kubelet, which may be away for good.
        return self._api.text(path, **query)

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        asked = []

        def once() -> dict[str, Any]:
            asked.append(path)
            try:
                return self._api.create(path, body, **query)
            except KubeError as error:
                # Whether the first attempt got through, nobody said: then it did.
                mine = f"{path}/{body.get('metadata', {}).get('name', '')}"
                found = self._api.get(mine) if error.status == 409 and len(asked) > 1 else None
                if found is None:
                    raise
                return found

        return self._persist(once)

    def patch(self, path: str, body: Mapping[str, Any], **query: str) -> dict[str, Any]:
        return self._persist(lambda: self._api.patch(path, body, **query))

    def delete(self, path: str, **query: str) -> None:
        self._persist(lambda: self._api.delete(path, **query))

    def _persist(self, ask: Callable[[], Answer]) -> Answer:
        return wait_until(
            lambda _seconds: ask(),
            lambda _answer: True,
            clock=self._clock,
            timeout_seconds=GRACE_SECONDS,
            forgive=forgive,
        ).seen


def patient(api: KubeApi, clock: Clock) -> KubeApi:
    """Return the same cluster, asked again for up to GRACE_SECONDS where the server is away, and not where it refuses.

    A patch that was done although its answer was lost is done once more, which changes nothing, or is refused as a conflict (409)
    where it names a resourceVersion: who names one looks again. Not for a check, where there may be no cluster yet.
    """
    return _Patient(api, clock)
