# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Helm's answers are recorded, see helm_replay; what it never said is written here by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import ChartSource
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import (
    HelmError,
    InterruptedHelmError,
    Outcome,
    UnreachableError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm, explain
from helm_replay import Replay, scenarios

VERSION = "1.0.0-0.dev.git.3983.h383374de"
REPOSITORY = "https://charts.example.org"
SOURCE = ChartSource("binderhub", VERSION, REPOSITORY)
PASSWORD = "canary-\"ä {{ x }} # \\ '"
FILES = [Path("config.yaml"), Path("secret.yaml")]


def helm(scenario: str, at: int = 0, kubeconfig: str = "kc") -> tuple[Helm, Replay]:
    replay = Replay(scenario, at)
    return Helm("helm", replay, kubeconfig, "ns"), replay


def saying(out: str, code: int = 0, err: str = "") -> Helm:
    return Helm("helm", lambda _argv, _seconds: Outcome(code, out, err), "kc", "ns")


def test_a_release_is_read_from_status_and_metadata() -> None:
    client, replay = helm("lifecycle", at=1)
    release = client.release("binder")
    assert release is not None
    assert (release.revision, release.status, release.chart) == (1, "deployed", "binderhub")
    assert (release.version, release.app_version) == (VERSION, "1")
    assert release.values == {"a": {"b": 1, "password": PASSWORD}}
    assert release.manifest.startswith("---\n# Source: binderhub/templates/all.yaml\n")
    assert release.last_deployed.startswith("2020-01-01T")
    assert release.hooks == []
    assert "password" not in repr(release), "a traceback prints a dataclass"
    scope = ["--output", "json", "--kubeconfig", "kc", "--namespace", "ns"]
    assert replay.asked == [["status", "binder", *scope], ["get", "metadata", "binder", *scope]]


def test_helm_writes_numbers_in_its_own_way() -> None:
    release = helm("numbers", at=1)[0].release("binder")
    assert release is not None
    assert release.values == {"a": {"whole": 1, "part": 0.5, "large": 1e21, "text": "1e3", "none": None}}


def test_no_release_is_none() -> None:
    client, _replay = helm("lifecycle")
    assert client.release("binder") is None


@pytest.mark.parametrize(
    ("scenario", "at", "good"),
    [
        ("lifecycle", 3, 3),
        ("pending_upgrade", 0, 1),
        ("pending_rollback", 0, 2),
        ("pending_install", 0, 0),
        ("never_deployed", 0, 0),
        ("failed", 0, 0),
    ],
)
def test_history_gives_the_last_good_revision(scenario: str, at: int, good: int) -> None:
    assert helm(scenario, at)[0].last_good_revision("binder") == good


def test_hooks_of_all_revisions_are_found() -> None:
    client, replay = helm("hooks", at=3)
    assert [str(hook) for hook in client.all_hooks("binder")] == ["Secret ns/image-pull-secret"]
    assert ["--revision", "1"] in [argv[1:3] for argv in replay.asked]


def test_upgrade_pins_the_version_and_names_files_only() -> None:
    client, replay = helm("lifecycle")
    client.upgrade("binder", SOURCE, FILES, 900)
    (argv,) = replay.asked
    assert "--reset-values" in argv, "helm reuses the old values where the new ones are empty"
    assert "--create-namespace" in argv
    assert "--wait" not in argv, "the reason is found by _kube/rollout"


def test_arguments_of_a_chart_that_needs_a_ca() -> None:
    asked: list[list[str]] = []

    def run(argv: Sequence[str], _seconds: float) -> Outcome:
        asked.append(list(argv))
        return Outcome(0, "", "")

    source = ChartSource("binderhub", VERSION, REPOSITORY, "ca.pem")
    Helm("helm", run, "kc", "ns").upgrade("binder", source, [Path("a"), Path("b")], 60)
    text = " ".join(asked[0])
    assert f"binderhub --repo {REPOSITORY} --version {VERSION} --ca-file ca.pem" in text
    assert "--values a --values b" in text


@pytest.mark.parametrize(
    ("scenario", "source", "expected"),
    [
        (
            "no_such_version",
            ChartSource("binderhub", "9.9.9", REPOSITORY),
            ["site_binderhub_chart_version", "9.9.9", REPOSITORY],
        ),
        (
            "no_repository",
            ChartSource("binderhub", VERSION, "http://127.0.0.1:9"),
            ["site_binderhub_chart_repository", "http://127.0.0.1:9", "connection refused"],
        ),
        ("untrusted_repository", SOURCE, ["site_ca_files", "x509"]),
        ("busy", SOURCE, ["somebody else", "another operation"]),
        ("refused_value", SOURCE, ["site_hubs.<hub>.values", "at '/refused'"]),
    ],
)
def test_what_helm_complained_of_becomes_advice(
    scenario: str, source: ChartSource, expected: list[str]
) -> None:
    client, _replay = helm(scenario)
    with pytest.raises(HelmError) as caught:
        client.upgrade("binder", source, FILES, 900)
    text = str(caught.value)
    assert text.startswith("releasing binder in namespace ns failed.")
    assert not [word for word in expected if word not in text]
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize(
    ("said", "expected"), [("Error: something new", "something new"), ("", "exit code 1")]
)
def test_what_nobody_knows_is_passed_on(said: str, expected: str) -> None:
    assert expected in explain(Outcome(1, "", said), "releasing binder", SOURCE)


def test_a_cluster_that_is_over_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match="the cluster does not answer: check site_kubeconfig_file"):
        helm("cluster_over", kubeconfig="over.yaml")[0].release("binder")


def test_a_cluster_that_refuses_the_account_is_there() -> None:
    """Helm calls both unreachable; a check must not announce an installation where a certificate has expired."""
    with pytest.raises(HelmError, match="refuses the kubeconfig's account") as caught:
        helm("account_refused", kubeconfig="expired.yaml")[0].release("binder")
    assert not isinstance(caught.value, UnreachableError)


def recorded_status() -> dict[str, Any]:
    call = next(call for call in scenarios()["lifecycle"] if call["argv"][0] == "status" and not call["code"])
    value: dict[str, Any] = json.loads(call["out"])
    return value


@pytest.mark.parametrize(
    "out",
    [
        "",
        "NAME: binder\nSTATUS: deployed\npassword: canary",
        json.dumps({"config": {"password": "canary"}})[:-3],
        "[]",
        "null",
        '"canary"',
    ],
)
def test_an_answer_that_is_no_json_is_an_error_and_is_not_quoted(out: str) -> None:
    for ask in (saying(out).release, saying(out.replace("[]", "{}")).last_good_revision):
        with pytest.raises(HelmError, match=r"not the JSON of Helm 3.*helm_binary") as caught:
            ask("binder")
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "three"},
        {"version": None},
        {"info": None},
        {"config": None},
        {"hooks": "x"},
        {"hooks": [1]},
    ],
)
def test_a_status_in_another_shape_is_no_traceback(changed: dict[str, Any]) -> None:
    release = saying(json.dumps({**recorded_status(), **changed})).release("binder")
    assert release is not None and release.hooks == []


@pytest.mark.parametrize("history", [[{}], [{"revision": "one", "status": "deployed"}], ["text"]])
def test_a_history_in_another_shape_is_no_traceback(history: Any) -> None:
    assert saying(json.dumps(history)).last_good_revision("binder") == 0


@pytest.mark.parametrize(("out", "version"), [("version: 1.2.3\n", "1.2.3"), ("", ""), ("- a\n", "")])
def test_a_chart_says_its_version(out: str, version: str) -> None:
    assert saying(out).path_version(ChartSource("/charts/b", "")) == version


def test_a_chart_file_that_is_no_yaml_is_an_error() -> None:
    with pytest.raises(HelmError, match=r"/charts/b has a Chart\.yaml that is no YAML"):
        saying("version: {1\n").path_version(ChartSource("/charts/b", ""))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            'Error: UPGRADE FAILED: Get "https://x:6443/api": dial tcp x:6443: connect: connection refused',
            InterruptedHelmError,
        ),
        ("Error: UPGRADE FAILED: read tcp x: read: connection reset by peer", InterruptedHelmError),
        ("Error: etcdserver: leader changed", InterruptedHelmError),
        ("Error: etcdserver: request timed out", InterruptedHelmError),
        ("Error: http2: client connection lost", InterruptedHelmError),
        ("Error: the server is currently unable to handle the request (get secrets)", InterruptedHelmError),
        ('Error: Put "https://x:6443/api": unexpected EOF', InterruptedHelmError),
        ('Error: Kubernetes cluster unreachable: Get "https://x:6443": connection refused', UnreachableError),
        (
            "Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials",
            HelmError,
        ),
        ("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", HelmError),
        ("Error: values don't meet the specifications of the schema(s)", HelmError),
        # A chart repository that is down is no cluster that restarts.
        (
            'Error: looks like "https://charts" is not a valid chart repository or cannot be reached: connection refused',
            HelmError,
        ),
        ('Error: failed to do request: Head "https://oci": dial tcp: i/o timeout', HelmError),
    ],
)
@pytest.mark.parametrize("verb", ["upgrade", "rollback", "uninstall", "release"])
def test_a_cluster_that_went_away_is_told_from_one_that_refuses(
    verb: str, said: str, kind: type[HelmError]
) -> None:
    helm = Helm("helm", lambda _argv, _seconds: Outcome(1, "", said), "/kc", "ns")
    arguments: dict[str, tuple[object, ...]] = {
        "upgrade": ("binder", ChartSource("binderhub", "1.0.0", "https://charts"), [], 60),
        "rollback": ("binder", 1, 60),
        "uninstall": ("binder", 60),
        "release": ("binder",),
    }
    with pytest.raises(HelmError) as caught:
        getattr(helm, verb)(*arguments[verb])
    assert type(caught.value) is kind
