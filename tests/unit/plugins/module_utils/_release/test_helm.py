# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Helm's answers are as helm 3.22 gave them, shortened."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release import helm as _helm
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import (
    ChartSource,
    Helm,
    HelmError,
    Outcome,
    chart_source,
    explain,
    make_runner,
)

VERSION = "1.0.0-0.dev.git.3983.h383374de"
REPOSITORY = "https://charts.example.org"
STATUS = {
    "name": "binder",
    "info": {"last_deployed": "2026-11-20T23:11:43.69291067Z", "deleted": "", "status": "deployed"},
    "config": {"a": {"b": None, "d": 30585}, "password": "x"},
    "manifest": "---\n# Source: x.yaml\n",
    "version": 3,
    "namespace": "binder",
}
METADATA = {"name": "binder", "chart": "binderhub", "version": VERSION, "appVersion": "0.9", "revision": 3}
MISSING = Outcome(1, "", "Error: release: not found\n")


class Script:
    """Answers a helm command by its first words, and remembers what it was asked."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def __call__(self, argv, seconds):
        self.asked.append(list(argv))
        words = " ".join(argv[1:3])
        return next(answer for start, answer in self.answers.items() if words.startswith(start))


def helm(answers):
    script = Script(answers)
    return Helm("helm", script, "kc", "ns"), script


def test_a_release_is_read_from_status_and_metadata():
    client, script = helm(
        {"status": Outcome(0, json.dumps(STATUS), ""), "get metadata": Outcome(0, json.dumps(METADATA), "")}
    )
    release = client.release("binder")
    assert (release.revision, release.status, release.chart, release.version) == (
        3,
        "deployed",
        "binderhub",
        VERSION,
    )
    assert release.values["a"] == {"b": None, "d": 30585}
    assert "password" not in repr(release), "a traceback prints a dataclass"
    assert script.asked[0] == [
        "helm",
        "status",
        "binder",
        "--output",
        "json",
        "--kubeconfig",
        "kc",
        "--namespace",
        "ns",
    ]


def test_no_release_is_none():
    client, _script = helm({"status": MISSING})
    assert client.release("binder") is None


def test_history_gives_the_last_good_revision():
    history = [
        {"revision": 1, "status": "superseded"},
        {"revision": 2, "status": "deployed"},
        {"revision": 3, "status": "pending-upgrade"},
    ]
    client, _script = helm({"history": Outcome(0, json.dumps(history), "")})
    assert client.last_good_revision("binder") == 2
    client, _script = helm(
        {"history": Outcome(0, json.dumps([{"revision": 1, "status": "pending-install"}]), "")}
    )
    assert client.last_good_revision("binder") == 0


def test_upgrade_pins_the_version_and_names_files_only():
    client, script = helm({"upgrade": Outcome(0, "", "")})
    client.upgrade(
        "binder", ChartSource("binderhub", VERSION, REPOSITORY, "ca.pem"), [Path("a"), Path("b")], 60
    )
    (argv,) = script.asked
    text = " ".join(argv)
    assert f"binderhub --repo {REPOSITORY} --version {VERSION} --ca-file ca.pem" in text
    assert "--values a --values b" in text
    assert "--create-namespace" in argv
    assert "--reset-values" in argv, "helm reuses the old values where the new ones are empty"
    assert "--wait" not in argv, "the reason is found by _rollout"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            f'Error: chart "binderhub" version "{VERSION}" not found in {REPOSITORY} repository',
            ["site_binderhub_chart_version", VERSION, REPOSITORY],
        ),
        (
            f'Error: looks like "{REPOSITORY}" is not a valid chart repository or cannot be reached: '
            f'Get "{REPOSITORY}/index.yaml": dial tcp 192.0.2.1:443: connect: connection refused',
            ["site_binderhub_chart_repository", REPOSITORY, "connection refused"],
        ),
        (
            f'Error: looks like "{REPOSITORY}" is not a valid chart repository or cannot be reached: '
            f'Get "{REPOSITORY}/index.yaml": tls: failed to verify certificate: x509: certificate signed by unknown authority',
            ["site_ca_files", "x509"],
        ),
        (
            "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            ["somebody else"],
        ),
        (
            'Error: Kubernetes cluster unreachable: Get "https://192.0.2.1:6443/version": dial tcp: connection refused',
            ["site_kubeconfig_file"],
        ),
        (
            "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nbinderhub:\n- nope",
            ["site_hubs.<hub>.values", "- nope"],
        ),
        ("Error: something new", ["something new"]),
        ("", ["exit code 1"]),
    ],
)
def test_complaints_become_advice(said, expected):
    text = explain(Outcome(1, "", said), "releasing binder", ChartSource("binderhub", VERSION, REPOSITORY))
    assert text.startswith("releasing binder failed.")
    assert not [word for word in expected if word not in text]


def test_a_failing_command_raises_with_advice():
    client, _script = helm({"status": Outcome(1, "", "Error: Kubernetes cluster unreachable: x")})
    with pytest.raises(HelmError, match="site_kubeconfig_file"):
        client.release("binder")


def test_chart_sources(tmp_path):
    assert chart_source("binderhub", REPOSITORY, VERSION).arguments()[:3] == [
        "binderhub",
        "--repo",
        REPOSITORY,
    ]
    assert chart_source("binderhub", "oci://r/charts/", "1.0.0").arguments() == [
        "oci://r/charts/binderhub",
        "--version",
        "1.0.0",
    ]
    (tmp_path / "binderhub").mkdir()
    (tmp_path / "binderhub" / "Chart.yaml").write_text("version: 1.0.0")
    for repository, chart in (
        (tmp_path, "binderhub"),
        (tmp_path / "binderhub", "x"),
        ("", tmp_path / "binderhub"),
    ):
        source = chart_source(str(chart), str(repository), "")
        assert source.is_path
        assert source.arguments() == [str(tmp_path / "binderhub")]
    (tmp_path / "other-1.0.0.tgz").touch()
    assert chart_source("other", str(tmp_path), "1.0.0").chart.endswith("other-1.0.0.tgz")
    with pytest.raises(HelmError, match="site_binderhub_chart_repository"):
        chart_source("nope", str(tmp_path), "1.0.0")


def test_the_runner_keeps_helm_from_its_users_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HELM_NAMESPACE", "elsewhere")
    code = "import os; print(os.getcwd(), os.getenv('HELM_NAMESPACE'), os.getenv('HELM_CACHE_HOME'))"
    outcome = make_runner(tmp_path)([sys.executable, "-c", code], 30)
    assert outcome.out.split() == [str(tmp_path), "None", str(tmp_path / "cache")]


def test_the_runner_ends_a_command_that_hangs(tmp_path):
    outcome = make_runner(tmp_path)([sys.executable, "-c", "import time; time.sleep(30)"], 0.2)
    assert outcome.code == 124
    assert "timeout_seconds" in explain(outcome, "x")


def test_no_helm_is_said_plainly(tmp_path):
    with pytest.raises(HelmError, match="helm_binary"):
        _helm.make_runner(tmp_path)([str(tmp_path / "nope")], 5)
