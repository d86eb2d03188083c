# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about versions: of the chart, and of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import (
    EXAMPLE_OF_CHART,
    is_exact,
    is_exact_chart,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import (
    detail,
    seen_from_nodes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.version_ranges import allows
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.versions import (
    CHART,
    KUBERNETES,
    PINNED,
    chart_versions,
    is_pinned,
    wanted_kubernetes,
)

# 1.31 has kubeadm's configuration v1beta4, which the control plane's role writes; the newest is what it was tried with.
OLDEST, NEWEST = (1, 31), (1, 36)
# The official chart's own demand, for a chart that does not tell.
CHART_NEEDS = (1, 28)
# Variables that name single files, and the answers of servers that do not have them.
ARTIFACTS = (
    "site_metallb_version",
    "site_helm_version",
    "site_calico_version",
    "site_pod_network_manifest",
)
GONE = (403, 404, 410)


@rule("chart-version-floating", ERROR, "The chart's version is not exactly one.", acceptable=False)
def chart_version_floating(site: Site) -> Iterator[Problem]:
    for variable, text in chart_versions(site).items():
        if text and not is_exact_chart(text):
            yield Problem(
                f"is {text[:60]!r}, which may be another chart tomorrow",
                f"write one exact version, such as {EXAMPLE_OF_CHART}",
                variable,
            )


@rule("chart-not-found", ERROR, "The chart's repository cannot be read.")
def chart_not_found(site: Site) -> Iterator[Problem]:
    fault = as_text(as_mapping(site.controller.get("chart")).get("error"))
    if fault:
        yield Problem(
            f"{site.text('site_binderhub_chart_repository')[:120]}: {fault}",
            "correct the address or the path, or start the server; a Helm repository has an index.yaml",
            "site_binderhub_chart_repository",
        )
    # Where the head talks to the cluster, the head reads the chart.
    for answer, where in seen_from_nodes(site, "chart"):
        status = as_int(answer.get("status"))
        if answer.get("error") or status != 200:
            said = detail(answer) or f"answers {status}"
            yield Problem(
                f"{answer.get('url')}: {said}",
                "correct the address, or start the server; a Helm repository has an index.yaml",
                "site_binderhub_chart_repository",
                where,
            )


@rule("chart-version-unknown", ERROR, "The chart's repository does not have the wanted version.")
def chart_version_unknown(site: Site) -> Iterator[Problem]:
    versions = as_list(as_mapping(site.controller.get("chart")).get("versions"))
    for variable, wanted in chart_versions(site).items():
        # What is no version at all is chart-version-floating's.
        if versions and is_exact_chart(wanted) and wanted not in versions:
            yield Problem(
                f"{wanted[:60]} is not there; the newest are {', '.join(str(version) for version in versions[:3])}",
                "set a version that the repository has",
                variable,
            )


@rule("chart-unfit-for-cluster", ERROR, "A chart does not take the site's Kubernetes.")
def chart_unfit_for_cluster(site: Site) -> Iterator[Problem]:
    wanted, chart = wanted_kubernetes(site), as_mapping(site.controller.get("chart"))
    if not wanted:
        return
    others = as_mapping(chart.get("other_kube_versions"))
    for variable, version in chart_versions(site).items():
        same = variable == CHART or version == site.text(CHART)
        if variable != CHART and same:
            continue  # told of the site's
        told = as_text(chart.get("kube_version") if same else others.get(version))
        fits = allows(told, wanted.release) if told else None
        # What cannot be read, or is not told, is taken for the official chart's own demand.
        if fits is False or (fits is None and wanted.release[:2] < CHART_NEEDS):
            demand = told[:60] if fits is False else f"{CHART_NEEDS[0]}.{CHART_NEEDS[1]} or later"
            yield Problem(
                f"the chart needs Kubernetes {demand}, and the site asks for {site.text(KUBERNETES)}",
                "take a chart that was released for this Kubernetes, or a Kubernetes that the chart takes",
                variable,
            )


@rule("kubernetes-version-malformed", ERROR, "Kubernetes' version is not exactly one.")
def kubernetes_version_malformed(site: Site) -> Iterator[Problem]:
    text = site.text(KUBERNETES)
    if text and not is_exact(text):
        yield Problem(f"is {text[:40]!r}", 'write three numbers in quotes, such as "1.36.3"', KUBERNETES)


@rule("kubernetes-version-unsupported", ERROR, "Ironbinder does not install this version of Kubernetes.")
def kubernetes_version_unsupported(site: Site) -> Iterator[Problem]:
    wanted = wanted_kubernetes(site)
    if wanted and not OLDEST <= wanted.release[:2] <= NEWEST:
        yield Problem(
            f"is {site.text(KUBERNETES)}",
            f"use {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, or drop the line for the pinned one",
            KUBERNETES,
        )


@rule("version-floating", ERROR, "The version of another artefact is not exactly one.")
def version_floating(site: Site) -> Iterator[Problem]:
    for variable in PINNED:
        text = site.text(variable)
        if text and not is_pinned(text):
            yield Problem(f"is {text[:40]!r}", 'write three numbers in quotes, such as "1.2.3"', variable)


def _not_there(site: Site, runs: bool) -> Iterator[Problem]:
    """Give each artefact that its server says it does not have, to the rule for sites that run, or do not yet."""
    if any(host.joined for host in site.members("head")) != runs:
        return
    asked = [(variable, as_mapping(answer), "") for variable, answer in _own(site).items()]
    for variable in ARTIFACTS:
        asked += [(variable, answer, where) for answer, where in seen_from_nodes(site, variable)]
    for variable, answer, where in asked:
        status = as_int(answer.get("status"))
        # A version that is none has its own rule.
        if status in GONE and (variable not in PINNED or is_pinned(site.text(variable))):
            yield Problem(
                f"asks for {answer.get('url')}, which answers {status}",
                "correct it, or put that file on the mirror",
                variable,
                where,
            )


def _own(site: Site) -> Mapping[str, Any]:
    return as_mapping(site.controller.get("artifacts"))


@rule("artifact-missing", ERROR, "A file that a version or a URL names is not there.")
def artifact_missing(site: Site) -> Iterator[Problem]:
    yield from _not_there(site, runs=False)


@rule("artifact-gone", WARNING, "A file that a running site was made from is no longer there.")
def artifact_gone(site: Site) -> Iterator[Problem]:
    yield from _not_there(site, runs=True)
