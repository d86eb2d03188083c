# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Versions that a site pins, and how two of them compare. What one looks like, `_base.versions` says."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import (
    is_exact,
    is_exact_chart,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_text

try:
    from packaging.version import InvalidVersion, Version
except ImportError:  # the action site_check names it with the others that are missing
    Version = None  # type: ignore[assignment,misc]

    class InvalidVersion(ValueError):  # type: ignore[no-redef]
        """Stands in for packaging's error, so that this file can be imported without packaging."""


__all__ = [
    "CHART",
    "KUBERNETES",
    "PINNED",
    "Version",
    "chart_versions",
    "is_pinned",
    "of_package",
    "version",
    "wanted_kubernetes",
]

CHART = "site_binderhub_chart_version"
KUBERNETES = "site_kubernetes_version"
PINNED = (
    "site_containerd_version",
    "site_docker_version",
    "site_docker_buildx_version",
    "site_kubernetes_cni_version",
    "site_helm_version",
    "site_metallb_version",
    "site_calico_version",
    "site_local_path_version",
)


def chart_versions(site: Site) -> dict[str, str]:
    """Give every version of the chart by the variable that sets it: the site's, and those of hubs that have one of their own."""
    own = {
        f"site_hubs.{name}.chart_version": as_text(hub.get("chart_version"))
        for name, hub in site.hubs.items()
    }
    return {CHART: site.text(CHART), **{variable: text for variable, text in own.items() if text}}


def is_pinned(text: str) -> bool:
    """Whether `text` is one version of a program, pre-releases included, without a v before it."""
    return is_exact_chart(text) and not text.startswith("v")


def version(text: object) -> Version | None:
    """Read a version to compare it; None for what is none."""
    try:
        return Version(as_text(text))
    except (InvalidVersion, ValueError):  # ValueError: a number of thousands of digits
        return None


def of_package(text: str) -> Version | None:
    """Read the version of a package without the package's own revision, 2.4.2 for 2.4.2-1~debian.12."""
    return version(text.rpartition(":")[2].partition("-")[0].partition("~")[0])


def wanted_kubernetes(site: Site) -> Version | None:
    """The wanted Kubernetes, None where it is not exactly one."""
    text = site.text(KUBERNETES).removeprefix("v")
    return version(text) if is_exact(text) else None
