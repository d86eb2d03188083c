# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Helm by its command line: arguments as lists, answers as data, errors as sentences."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

__all__ = [
    "ChartSource",
    "Helm",
    "HelmError",
    "Outcome",
    "Release",
    "UnreachableError",
    "chart_source",
    "make_runner",
]

_UNREACHABLE = "Kubernetes cluster unreachable"


class HelmError(Exception):
    """Helm refused. Its text says what, where, what Helm said, and what to do next."""


class UnreachableError(HelmError):
    """There is no helm, or no cluster that answers it."""


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


# Runs an argument list for at most so many seconds.
Runner = Callable[[Sequence[str], float], Outcome]


@dataclass(frozen=True)
class Release:
    """A deployed release, as `helm status` and `helm get metadata` tell it. `values` holds secrets."""

    revision: int
    status: str
    values: Mapping[str, Any] = field(repr=False)
    manifest: str = field(repr=False)
    chart: str
    version: str
    app_version: str
    last_deployed: str


@dataclass(frozen=True)
class ChartSource:
    """Where a chart comes from. Without `repository`, `chart` is a folder, a file or an oci:// URL."""

    chart: str
    version: str
    repository: str = ""
    ca_file: str = ""

    @property
    def is_path(self) -> bool:
        """Whether the chart lies on this machine."""
        return not self.repository and not self.chart.startswith("oci://")

    def arguments(self) -> list[str]:
        """Return the arguments that name the chart to helm."""
        result = [self.chart]
        if self.repository:
            result += ["--repo", self.repository]
        if self.version and not self.is_path:
            result += ["--version", self.version]
        if self.ca_file and not self.is_path:
            result += ["--ca-file", self.ca_file]
        return result


def chart_source(chart: str, repository: str, version: str, ca_file: str = "") -> ChartSource:
    """Tell a Helm repository, an OCI registry and a path apart.

    Args:
        chart: the chart's name, or a path to it.
        repository: http(s):// or oci:// URL; or a folder or .tgz: the chart itself, or where it lies.
        version: the exact version; may be empty for a path.
        ca_file: PEM file to trust for the download.

    Raises:
        HelmError: a path that leads to no chart.
    """
    if repository.startswith("oci://"):
        return ChartSource(f"{repository.rstrip('/')}/{chart}", version, ca_file=ca_file)
    if repository.startswith(("http://", "https://")):
        return ChartSource(chart, version, repository, ca_file)
    # Absolute, because helm runs elsewhere.
    base = Path(repository or chart).expanduser().absolute()
    candidates = [base]
    if repository:
        candidates += [base / chart, base / f"{chart}-{version}.tgz"]
    for path in candidates:
        if path.is_file() or (path / "Chart.yaml").is_file():
            return ChartSource(str(path), version)
    raise HelmError(
        f"no chart at {', '.join(map(str, candidates))}: set site_binderhub_chart_repository to the http(s) URL of "
        "a Helm repository, or to the chart's folder or .tgz on the host that runs helm"
    )


def make_runner(work_dir: Path) -> Runner:
    """Return a runner whose helm sees nothing of its user's own settings.

    It runs in `work_dir`, because helm takes a folder of the chart's name in the current one for the
    chart, whatever `--repo` says.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
    for kind in ("CACHE", "CONFIG", "DATA"):
        environment[f"HELM_{kind}_HOME"] = str(work_dir / kind.lower())

    def run(argv: Sequence[str], seconds: float) -> Outcome:
        try:
            done = subprocess.run(
                list(argv),
                cwd=work_dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return Outcome(124, "", f"Error: no answer in {seconds:.0f} s")
        except OSError as error:
            raise HelmError(
                f"cannot run {argv[0]}: {error.strerror}: role helm installs it; set helm_binary to where it is"
            ) from error
        return Outcome(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )

    return run


class Helm:
    """One namespace of one cluster, seen through helm."""

    def __init__(self, binary: str, run: Runner, kubeconfig: str, namespace: str) -> None:
        self._prefix = [binary]
        self._scope = ["--kubeconfig", kubeconfig, "--namespace", namespace]
        self._run = run
        self._where = f"namespace {namespace}"

    def _call(self, *arguments: str, seconds: float = 60) -> Outcome:
        return self._run([*self._prefix, *arguments, *self._scope], seconds)

    def _ask(self, *arguments: str) -> Any:
        outcome = self._call(*arguments, "--output", "json")
        if outcome.code == 0:
            return json.loads(outcome.out)
        if "release: not found" in outcome.err:
            return None
        kind = UnreachableError if _UNREACHABLE in outcome.err else HelmError
        raise kind(explain(outcome, f"helm {arguments[0]} {arguments[-1]} in {self._where}"))

    def release(self, name: str) -> Optional[Release]:
        """Return the newest revision of release `name`, or None."""
        status = self._ask("status", name)
        if status is None:
            return None
        metadata = self._ask("get", "metadata", name) or {}
        info = status.get("info", {})
        return Release(
            revision=int(status.get("version", 0)),
            status=str(info.get("status", "unknown")),
            values=status.get("config") or {},
            manifest=str(status.get("manifest", "")),
            chart=str(metadata.get("chart", "")),
            version=str(metadata.get("version", "")),
            app_version=str(metadata.get("appVersion", "")),
            last_deployed=str(info.get("last_deployed", "")),
        )

    def last_good_revision(self, name: str) -> int:
        """Return the newest revision that was deployed whole, or 0."""
        good = [
            int(entry["revision"])
            for entry in self._ask("history", name) or []
            if entry["status"] in ("deployed", "superseded")
        ]
        return max(good, default=0)

    def path_version(self, source: ChartSource) -> str:
        """Return the version that a chart on this machine says it has."""
        outcome = self._run([*self._prefix, "show", "chart", source.chart], 60)
        if outcome.code:
            raise HelmError(explain(outcome, f"reading the chart at {source.chart}"))
        return str((yaml.safe_load(outcome.out) or {}).get("version", ""))

    def upgrade(self, name: str, source: ChartSource, value_files: Sequence[Path], seconds: int) -> None:
        """Install or upgrade release `name` with exactly these values; does not wait for its pods."""
        arguments = [
            "upgrade",
            "--install",
            name,
            *source.arguments(),
            "--create-namespace",
            "--reset-values",
        ]
        arguments += ["--history-max", "5", "--timeout", f"{seconds}s"]
        for file in value_files:
            arguments += ["--values", str(file)]
        outcome = self._call(*arguments, seconds=seconds + 30)
        if outcome.code:
            raise HelmError(explain(outcome, f"releasing {name} in {self._where}", source))

    def rollback(self, name: str, revision: int, seconds: int) -> None:
        """Make `revision` the newest again."""
        outcome = self._call(
            "rollback",
            name,
            str(revision),
            "--timeout",
            f"{seconds}s",
            "--history-max",
            "5",
            seconds=seconds + 30,
        )
        if outcome.code:
            raise HelmError(explain(outcome, f"rolling {name} back to revision {revision} in {self._where}"))

    def uninstall(self, name: str, seconds: int) -> None:
        """Remove release `name`; no error where there is none."""
        outcome = self._call(
            "uninstall",
            name,
            "--ignore-not-found",
            "--wait",
            "--timeout",
            f"{seconds}s",
            seconds=seconds + 30,
        )
        if outcome.code:
            raise HelmError(explain(outcome, f"uninstalling {name} in {self._where}"))


def explain(outcome: Outcome, doing: str, source: Optional[ChartSource] = None) -> str:
    """Turn helm's complaint into what, where, what was seen, and what to do next.

    The phrases are those of helm 3.22; an unknown complaint is passed on as helm said it.
    """
    lines = [line for line in outcome.err.splitlines() if line.strip() and " WARN " not in line]
    said = "\n".join(lines[-20:]) or f"exit code {outcome.code} and no word"
    remedy = ""
    if source and (
        "not a valid chart repository or cannot be reached" in said or "failed to do request" in said
    ):
        where = source.repository or source.chart
        remedy = f"the chart repository {where} cannot be used: check site_binderhub_chart_repository and the network"
        if "x509" in said or "certificate" in said:
            remedy += "; its certificate is not trusted, so add its CA to site_ca_files"
    elif source and "not found" in said and ("chart " in said or "manifest" in said):
        remedy = (
            f"chart {source.chart} has no version {source.version or '(none given)'} in {source.repository}: set "
            "site_binderhub_chart_version to one that the repository has, exactly as it is written there"
        )
    elif _UNREACHABLE in said:
        remedy = "the cluster does not answer: check site_kubeconfig_file, and that the control plane is up"
    elif "another operation" in said:
        remedy = "somebody else is changing this release now: run this again when they are done"
    elif outcome.code == 124:
        remedy = "look at the cluster's events, or raise timeout_seconds"
    elif "values don't meet the specifications" in said:
        remedy = "the chart refuses a value: correct it in site_hubs.<hub>.values or secret_values"
    return f"{doing} failed. {remedy + '. ' if remedy else ''}helm says: {said}"
