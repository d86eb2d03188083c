# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Helm by its command line: arguments as lists, answers as data, errors as sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import ChartSource
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import (
    HelmError,
    InterruptedHelmError,
    Outcome,
    Runner,
    UnreachableError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.hooks import Hook, hooks_of

__all__ = ["Helm", "Release", "explain"]

_UNREACHABLE = "Kubernetes cluster unreachable"
# What helm passes on of an API server, or an etcd, that restarts while it is talked to.
_INTERRUPTED = (
    "connection refused",
    "connection reset by peer",
    "client connection lost",
    "server sent GOAWAY",
    "unexpected EOF",
    ": EOF",
    "broken pipe",
    "i/o timeout",
    "TLS handshake timeout",
    "etcdserver: ",
    "the server is currently unable to handle the request",
    "the server was unable to return a response in the time allotted",
    "apiserver not ready",
)
# The same said of a chart repository.
_CHARTS = ("not a valid chart repository or cannot be reached", "failed to do request")


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
    hooks: Sequence[Hook] = field(default=(), repr=False)


class Helm:
    """One namespace of one cluster, seen through helm."""

    def __init__(self, binary: str, run: Runner, kubeconfig: str, namespace: str) -> None:
        self._prefix = [binary]
        self._scope = ["--kubeconfig", kubeconfig, "--namespace", namespace]
        self._run = run
        self._namespace = namespace
        self._where = f"namespace {namespace}"

    def _call(self, *arguments: str, seconds: float = 60) -> Outcome:
        return self._run([*self._prefix, *arguments, *self._scope], seconds)

    def _ask(self, *arguments: str, expect: type) -> Any:
        outcome = self._call(*arguments, "--output", "json")
        doing = f"helm {arguments[0]} {arguments[-1]} in {self._where}"
        if outcome.code == 0:
            return _parsed(outcome.out, doing, expect)
        if "release: not found" in outcome.err:
            return None
        raise _failure(outcome, doing)

    def release(self, name: str) -> Optional[Release]:
        """Return the newest revision of release `name`, or None."""
        status = self._ask("status", name, expect=dict)
        if status is None:
            return None
        metadata = self._ask("get", "metadata", name, expect=dict) or {}
        info = status.get("info") or {}
        return Release(
            revision=_number(status.get("version")),
            status=str(info.get("status", "unknown")),
            values=status.get("config") or {},
            manifest=str(status.get("manifest", "")),
            chart=str(metadata.get("chart", "")),
            version=str(metadata.get("version", "")),
            app_version=str(metadata.get("appVersion", "")),
            last_deployed=str(info.get("last_deployed", "")),
            hooks=hooks_of(status.get("hooks"), self._namespace),
        )

    def _history(self, name: str) -> list[dict[str, Any]]:
        entries = self._ask("history", name, expect=list) or []
        return [entry for entry in entries if isinstance(entry, dict)]

    def last_good_revision(self, name: str) -> int:
        """Return the newest revision that was deployed whole, or 0."""
        good = [
            _number(entry.get("revision"))
            for entry in self._history(name)
            if entry.get("status") in ("deployed", "superseded")
        ]
        return max(good, default=0)

    def all_hooks(self, name: str) -> list[Hook]:
        """Return the hooks of every revision that Helm remembers: an object of an old one is still there."""
        found = []
        for entry in self._history(name):
            status = self._ask("status", "--revision", str(entry.get("revision")), name, expect=dict)
            found += hooks_of((status or {}).get("hooks"), self._namespace)
        return list(dict.fromkeys(found))

    def path_version(self, source: ChartSource) -> str:
        """Return the version that a chart on this machine says it has."""
        outcome = self._run([*self._prefix, "show", "chart", source.chart], 60)
        if outcome.code:
            raise HelmError(explain(outcome, f"reading the chart at {source.chart}"))
        try:
            told = yaml.safe_load(outcome.out)
        except yaml.YAMLError as error:
            raise HelmError(
                f"the chart at {source.chart} has a Chart.yaml that is no YAML: {error}"
            ) from error
        return str(told.get("version", "")) if isinstance(told, dict) else ""

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
            raise _failure(outcome, f"releasing {name} in {self._where}", source)

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
            raise _failure(outcome, f"rolling {name} back to revision {revision} in {self._where}")

    def uninstall(self, name: str, seconds: int, keep_history: bool = False) -> None:
        """Remove release `name`; no error where there is none.

        With `keep_history` Helm goes on to remember it as `uninstalled`, with the names of its hooks.
        """
        arguments = ["uninstall", name, "--ignore-not-found", "--wait", "--timeout", f"{seconds}s"]
        outcome = self._call(*arguments, *(["--keep-history"] * keep_history), seconds=seconds + 30)
        if outcome.code:
            raise _failure(outcome, f"uninstalling {name} in {self._where}")


def _failure(outcome: Outcome, doing: str, source: Optional[ChartSource] = None) -> HelmError:
    """Tell a cluster that was not there, or went away, from one that refused."""
    said = outcome.err
    kind = HelmError
    if _UNREACHABLE in said and not _refuses(said):
        kind = UnreachableError
    elif any(words in said for words in _INTERRUPTED) and not any(words in said for words in _CHARTS):
        kind = InterruptedHelmError
    return kind(explain(outcome, doing, source))


def _parsed(text: str, doing: str, expect: type) -> Any:
    """Read helm's JSON. Never quote it in an error: it has the release's passwords."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, expect):
        raise HelmError(
            f"{doing} answered {len(text)} characters that are not the JSON of Helm 3: see whether helm_binary is Helm "
            "3.14 or newer, and what it says by hand"
        )
    return value


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _refuses(said: str) -> bool:
    """Whether a cluster answered, and refused the kubeconfig's account: Helm calls it unreachable all the same."""
    refused = ("Unauthorized", "Forbidden", "forbidden")
    return "provide credentials" in said or (_UNREACHABLE in said and any(word in said for word in refused))


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
    elif _refuses(said):
        remedy = (
            "the cluster refuses the kubeconfig's account: check site_kubeconfig_file; its certificate may have expired, "
            "and the stage `cluster` fetches a new one"
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
