# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Bring one Helm release to its wanted state, whatever an interrupted run left behind."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import (
    EXAMPLE_OF_CHART,
    is_exact_chart,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import ChartSource
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import HelmError
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm, Release
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import (
    merge,
    same,
)

__all__ = [
    "Desired",
    "Plan",
    "Reporter",
    "apply",
    "pin_version",
    "plan",
    "settle",
    "write_private",
    "write_trust",
]

# How long a change by somebody else may run before it counts as abandoned.
_GRACE_SECONDS = 20

# Names the objects of this release that have to be in the cluster and are not.
Lost = Callable[[Release], list[str]]


@dataclass(frozen=True)
class Desired:
    """The release as it should be. `secrets` are merged over `values`, and never shown."""

    name: str
    source: ChartSource
    values: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Any] = field(repr=False)

    @property
    def merged(self) -> dict[str, Any]:
        """Return what `helm get values` says once this is deployed."""
        return merge(self.values, self.secrets)


@dataclass(frozen=True)
class Plan:
    """What has to be done.

    `repair` is "", "uninstall" or "rollback"; `apply` is whether helm upgrade has to run, as far as
    is known before the repair; `action` is the word for it all.
    """

    action: str
    repair: str = ""
    rollback_to: int = 0
    apply: bool = False
    note: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        return self.action != "unchanged"


class Reporter:
    """Times the phases of a run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.phases: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to phase `name`."""
        start = self._clock.now()
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0.0) + self._clock.now() - start, 1)


def pin_version(helm: Helm, source: ChartSource) -> ChartSource:
    """Make sure that exactly one version of the chart is meant.

    Raises:
        HelmError: no version, a range, or a chart on this machine that has another one.
    """
    if source.is_path:
        actual = helm.path_version(source)
        if source.version and actual != source.version:
            raise HelmError(
                f"the chart at {source.chart} is version {actual}, site_binderhub_chart_version (chart_version) "
                f"says {source.version}: make them the same"
            )
        return ChartSource(source.chart, actual)
    if not is_exact_chart(source.version):
        raise HelmError(
            f"chart_version is {source.version!r}: set site_binderhub_chart_version to one exact version, for "
            f"example {EXAMPLE_OF_CHART}; a floating one changes a hub without anybody asking for it"
        )
    return source


def settle(helm: Helm, name: str, clock: Clock, utc_now: Callable[[], datetime]) -> Optional[Release]:
    """Return the release, after giving a change that is only just running the time to end."""
    waited = wait_until(
        lambda _seconds: helm.release(name),
        lambda release: not _is_fresh(release, utc_now()),
        clock=clock,
        timeout_seconds=_GRACE_SECONDS,
        step_seconds=2,
    )
    return waited.seen


def _is_fresh(release: Optional[Release], now: datetime) -> bool:
    """Whether a change began only just now, and may still be going on."""
    return release is not None and _in_motion(release) and _age_seconds(release, now) <= _GRACE_SECONDS


def _in_motion(release: Release) -> bool:
    return release.status.startswith("pending-") or release.status == "uninstalling"


def _age_seconds(release: Release, now: datetime) -> float:
    # Go writes nanoseconds, Python reads microseconds.
    text = re.sub(r"(\.\d{6})\d+", r"\1", release.last_deployed).replace("Z", "+00:00")
    try:
        return (now - datetime.fromisoformat(text).astimezone(timezone.utc)).total_seconds()
    except ValueError:
        return float("inf")


def _differs(release: Release, desired: Desired) -> bool:
    return release.version != desired.source.version or not same(release.values, desired.merged)


def _repair(helm: Helm, name: str, release: Release) -> Plan:
    good = 0 if release.status == "uninstalling" else helm.last_good_revision(name)
    left = f"revision {release.revision} was left {release.status} by an interrupted run"
    if good:
        return Plan("repaired", "rollback", good, True, f"{left}: rolled back to revision {good}")
    return Plan(
        "repaired", "uninstall", 0, True, f"{left} and never deployed: uninstalled and installed anew"
    )


def plan(helm: Helm, desired: Desired, release: Optional[Release], lost_objects: Lost) -> Plan:
    """Decide what to do about `release`, the newest revision of the wanted release; changes nothing."""
    if release is None or release.status == "uninstalled":
        return Plan("installed", apply=True)
    if _in_motion(release):
        return _repair(helm, desired.name, release)
    if release.status == "failed":
        return Plan("repaired", apply=True, note=f"revision {release.revision} had failed: upgraded over it")
    if release.status != "deployed" or _differs(release, desired):
        return Plan("upgraded", apply=True)
    if lost := lost_objects(release):
        # Helm looks for none of its objects before a value changes, and makes hooks in an upgrade only.
        return Plan("repaired", apply=True, note=f"{', '.join(lost)} was gone: released again")
    return Plan("unchanged")


def apply(
    helm: Helm,
    desired: Desired,
    todo: Plan,
    value_files: Sequence[Path],
    *,
    seconds: int,
    reporter: Reporter,
    lost_objects: Lost,
) -> Release:
    """Carry `todo` out and return the release as it is then.

    Raises:
        HelmError: helm refused; the release can be put right by running this again.
    """
    wanted = todo.apply
    if todo.repair:
        with reporter.phase("repair"):
            if todo.repair == "uninstall":
                helm.uninstall(desired.name, seconds)
            else:
                helm.rollback(desired.name, todo.rollback_to, seconds)
                release = helm.release(desired.name)
                # The good revision may be just what is wanted; a rollback makes no hooks.
                wanted = release is None or _differs(release, desired) or bool(lost_objects(release))
    release = (
        _upgrade(helm, desired, value_files, seconds, reporter) if wanted else helm.release(desired.name)
    )
    if wanted and release and lost_objects(release):
        # What was an ordinary object in the chart before, Helm deletes after it has made it as a hook.
        release = _upgrade(helm, desired, value_files, seconds, reporter)
    if release is None:
        raise HelmError(f"release {desired.name} is gone right after helm made it: somebody else removed it")
    return release


def _upgrade(
    helm: Helm, desired: Desired, value_files: Sequence[Path], seconds: int, reporter: Reporter
) -> Optional[Release]:
    with reporter.phase("apply"):
        helm.upgrade(desired.name, desired.source, value_files, seconds)
    return helm.release(desired.name)


def write_private(path: Path, text: str, check_mode: bool = False) -> bool:
    """Keep `text` in a file that nobody else can read. Return whether that changed anything.

    Raises:
        HelmError: the file or its folder cannot be written.
    """
    content = text.encode()
    try:
        if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == 0o600:
            return False
        if not check_mode:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, content, mode=0o600)
    except OSError as error:
        raise HelmError(
            f"{path} cannot be kept: {error.strerror or error}: correct binderhub_values_dir (values_dir), or its owner"
        ) from error
    return True


def write_trust(work_dir: Path, certificates: str) -> str:
    """Write what helm has to trust: this machine's CAs and `certificates`, PEM. Return the file, or "".

    Helm trusts nothing but the file it is given.
    """
    if not certificates.strip():
        return ""
    paths = ssl.get_default_verify_paths()
    known = [
        Path(name)
        for name in (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt")
        if name
    ]
    system = next((path.read_text(encoding="utf-8") for path in known if path.is_file()), "")
    bundle = work_dir / "ca.pem"
    bundle.write_text(f"{system.rstrip()}\n{certificates.strip()}\n", encoding="utf-8")
    return str(bundle)
