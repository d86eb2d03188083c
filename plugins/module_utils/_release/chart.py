# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where a chart comes from: a Helm repository, an OCI registry, or a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import HelmError

__all__ = ["ChartSource", "chart_source"]


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
