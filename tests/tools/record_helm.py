#!/usr/bin/env python3
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Records what the real helm answers, for tests/unit: tests/tools/record_helm.py HELM KUBECONFIG.

Works in namespaces ironbinder-record-* of the cluster, which it makes and removes; nothing has to run
there, as the chart's only pods are hooks that no node takes. Dates become those of 2020, and addresses
of this machine become names, so that recording twice gives the same but for hours and checksums.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests/unit/support")]

import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import ChartSource
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import (
    HelmError,
    Outcome,
    make_runner,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm
from helm_replay import CHANGES, RECORDED, normal
from kubernetes import client, config

VERSION = "1.0.0-0.dev.git.3983.h383374de"
REPOSITORY = "https://charts.example.org"
PASSWORD = "canary-\"ä {{ x }} # \\ '"
WANTED = [{"a": {"b": 1}}, {"a": {"password": PASSWORD}}]
OLD = [{"a": {"b": 0}}, {"a": {"password": PASSWORD}}]

# A hook of each kind that a release can hang in, and the Secret that the official chart makes as one.
TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {values: {{ .Values | toJson | sha256sum | quote }}}
{{- with .Values.hang }}
---
apiVersion: v1
kind: Pod
metadata:
  name: hang
  annotations: {"helm.sh/hook": {{ . }}, "helm.sh/hook-delete-policy": before-hook-creation}
spec:
  nodeSelector: {ironbinder/none: none}
  restartPolicy: Never
  containers: [{name: hang, image: "registry.example.org/none:1"}]
{{- end }}
{{- if .Values.pull }}
---
apiVersion: v1
kind: Secret
metadata:
  name: image-pull-secret
  labels: {release: {{ .Release.Name }}}
  annotations:
    "helm.sh/hook": pre-install,pre-upgrade
    "helm.sh/hook-delete-policy": before-hook-creation
    "helm.sh/hook-weight": "-20"
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{}}'}
{{- end }}
"""
SCHEMA = {"properties": {"refused": False}}


class Recorder:
    """Makes scenarios. `source` is a chart of the repository that it serves."""

    def __init__(self, binary: str, kubeconfig: Path, work_dir: Path) -> None:
        self.binary, self.kubeconfig, self.work_dir = binary, kubeconfig, work_dir
        self.run = make_runner(work_dir)
        self.scenarios: dict[str, list[dict[str, Any]]] = {}
        self.namespaces: list[str] = []
        self.api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
        self._make_repository()

    def _make_repository(self) -> None:
        # Not in the folder that helm runs in: it would take that for the chart, whatever --repo says.
        chart, folder = self.work_dir / "charts" / "binderhub", self.work_dir / "repository"
        (chart / "templates").mkdir(parents=True)
        folder.mkdir()
        (chart / "templates" / "all.yaml").write_text(TEMPLATE)
        (chart / "values.schema.json").write_text(json.dumps(SCHEMA))
        for version in (VERSION, "1.0.0"):
            meta = {"apiVersion": "v2", "name": "binderhub", "version": version, "appVersion": "1"}
            (chart / "Chart.yaml").write_text(json.dumps(meta))
            self._helm("package", str(chart), "--destination", str(folder))
        self._helm("repo", "index", str(folder))
        self.repository = serve(folder)
        key, certificate = self.work_dir / "key.pem", self.work_dir / "certificate.pem"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=charts.example.org",
        ]
        names = ["-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*command, *names, *files], check=True, capture_output=True)
        self.tls_repository = serve(folder, (certificate, key))

    def _helm(self, *arguments: str) -> None:
        outcome = self.run([self.binary, *arguments], 60)
        assert outcome.code == 0, outcome.err

    def source(self, version: str = VERSION, repository: str = "") -> ChartSource:
        """Return where a chart comes from; without `repository` from the one that is served."""
        return ChartSource("binderhub", version, repository or self.repository)

    def clean(self, text: str, namespace: str) -> str:
        """Take out of an answer what is this machine's or this hour's."""
        for real, name in (
            (self.repository, REPOSITORY),
            (self.tls_repository, REPOSITORY),
            (namespace, "ns"),
            (str(self.work_dir), "/work"),
        ):
            text = text.replace(real, name)
        return re.sub(r"\b20\d\d-\d\d-\d\d(?=T|\s\d\d:)", "2020-01-01", text)


class Scene:
    """One namespace, and the helm that is recorded in it."""

    def __init__(self, recorder: Recorder, name: str, kubeconfig: Path | None = None) -> None:
        self._recorder = recorder
        self._calls: list[dict[str, Any]] = []
        recorder.scenarios[name] = self._calls
        self.namespace = f"ironbinder-record-{name.replace('_', '-')}-{secrets.token_hex(3)}"
        recorder.namespaces.append(self.namespace)
        self._kubeconfig = str(kubeconfig or recorder.kubeconfig)
        self.helm = Helm(recorder.binary, self._record, self._kubeconfig, self.namespace)

    def _record(self, argv: Sequence[str], seconds: float) -> Outcome:
        outcome = self._recorder.run(argv, seconds)
        clean = functools.partial(self._recorder.clean, namespace=self.namespace)
        words = [clean(word) for word in normal(argv)]
        call = {"argv": words, "code": outcome.code, "out": clean(outcome.out), "err": clean(outcome.err)}
        since = next(
            (i for i, other in enumerate(reversed(self._calls)) if other["argv"][0] in CHANGES), None
        )
        if call not in self._calls[-1 - since if since is not None else 0 :]:
            self._calls.append(call)
        return outcome

    def look(self) -> str:
        """Record everything that can be asked now; return the release's status."""
        try:
            release = self.helm.release("binder")
            if release:
                self.helm.last_good_revision("binder")
                self.helm.all_hooks("binder")
        except HelmError as error:
            return str(error)
        return release.status if release else ""

    def _files(self, values: Sequence[Any]) -> list[Path]:
        files = [self._recorder.work_dir / name for name in ("config.yaml", "secret.yaml")]
        for file, content in zip(files, values, strict=True):
            file.write_text(json.dumps(content), encoding="utf-8")
        return files

    def upgrade(self, values: Sequence[Any] = WANTED, source: ChartSource | None = None) -> str:
        """Record an upgrade and what is there then."""
        return self._do(
            lambda: self.helm.upgrade("binder", source or self._recorder.source(), self._files(values), 900)
        )

    def rollback(self, revision: int) -> str:
        """Record a rollback and what is there then."""
        return self._do(lambda: self.helm.rollback("binder", revision, 900))

    def uninstall(self, keep_history: bool = False) -> str:
        """Record that the release goes, and what is there then."""
        return self._do(lambda: self.helm.uninstall("binder", 900, keep_history=keep_history))

    def _do(self, change: Callable[[], None]) -> str:
        try:
            change()
        except HelmError as error:
            print(f"  {error}")
        return self.look()

    def end_hook(self) -> None:
        """Say of the hook's pod that it did its work, in the place of a node."""
        done = {"status": {"phase": "Succeeded"}}
        self._recorder.api.patch_namespaced_pod_status("hang", self.namespace, done)

    def before(self, *arguments: str, values: Sequence[Any] = WANTED, killed: bool = False) -> None:
        """Bring about what is there when the recording begins; `killed` ends helm while it hangs in a hook."""
        argv = [self._recorder.binary, *arguments, "--kubeconfig", self._kubeconfig, "-n", self.namespace]
        if arguments[0] == "upgrade":
            argv += ["--install", "--create-namespace", "--reset-values", "--repo", self._recorder.repository]
            argv += ["--version", VERSION]
            argv += [word for file in self._files(values) for word in ("--values", str(file))]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if killed:
            time.sleep(4)
            process.kill()
        process.wait(120)


def serve(folder: Path, tls: tuple[Path, Path] | None = None) -> str:
    """Serve a folder on the loopback; return its URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"


def hanging(where: str, values: Sequence[Any] = WANTED) -> list[Any]:
    """Return values with which helm hangs in a hook."""
    return [{**values[0], "hang": where}, values[1]]


def lives(recorder: Recorder) -> None:
    """Releases that nothing happens to."""
    scene = Scene(recorder, "lifecycle")
    assert scene.look() == ""
    assert scene.upgrade() == "deployed"
    assert scene.upgrade([{"a": {"b": 2}}, WANTED[1]]) == "deployed"
    assert scene.upgrade([{"a": {"b": 2}}, {"a": {"password": "other-canary"}}]) == "deployed"
    assert scene.upgrade([{}, {}], recorder.source("1.0.0")) == "deployed"
    assert scene.uninstall() == ""
    scene = Scene(recorder, "hooks")
    scene.look()
    for _ in range(3):
        assert scene.upgrade([{"pull": True}, {}]) == "deployed"
    assert scene.uninstall(keep_history=True) == "uninstalled"
    assert scene.uninstall() == ""
    scene = Scene(recorder, "uninstalled")
    scene.before("upgrade", "binder", "binderhub")
    scene.before("uninstall", "binder", "--keep-history")
    assert scene.look() == "uninstalled"
    assert scene.upgrade() == "deployed"
    scene = Scene(recorder, "remembered")
    scene.before("upgrade", "binder", "binderhub")
    scene.before("uninstall", "binder", "--keep-history")
    assert scene.look() == "uninstalled"
    assert scene.uninstall() == ""
    scene = Scene(recorder, "numbers")
    scene.look()
    scene.upgrade([{"a": {"whole": 1.0, "part": 0.5, "large": 1e21, "text": "1e3", "none": None}}, {}])


def interruptions(recorder: Recorder) -> None:
    """Releases that a run was killed in, each put right."""
    scene = Scene(recorder, "pending_install")
    scene.before("upgrade", "binder", "binderhub", values=hanging("pre-install"), killed=True)
    assert scene.look() == "pending-install"
    scene.uninstall()
    assert scene.upgrade() == "deployed"

    # What happens to one that does not wait for another.
    scene = Scene(recorder, "busy")
    scene.before("upgrade", "binder", "binderhub", values=hanging("pre-install"), killed=True)
    assert scene.upgrade() == "pending-install"

    for name, good in (("pending_upgrade", OLD), ("pending_upgrade_wanted", WANTED)):
        scene = Scene(recorder, name)
        scene.before("upgrade", "binder", "binderhub", values=good)
        scene.before("upgrade", "binder", "binderhub", values=hanging("pre-upgrade"), killed=True)
        assert scene.look() == "pending-upgrade"
        assert scene.rollback(1) == "deployed"
        if good is OLD:
            assert scene.upgrade() == "deployed"

    scene = Scene(recorder, "pending_rollback")
    scene.before("upgrade", "binder", "binderhub", values=hanging("pre-rollback", OLD))
    scene.before("upgrade", "binder", "binderhub")
    scene.before("rollback", "binder", "1", killed=True)
    assert scene.look() == "pending-rollback"
    assert scene.rollback(2) == "deployed"

    scene = Scene(recorder, "never_deployed")
    failing = ("upgrade", "binder", "binderhub", "--timeout", "2s")
    scene.before(*failing, values=hanging("pre-install"))
    scene.before("upgrade", "binder", "binderhub", values=hanging("pre-upgrade"), killed=True)
    print("never deployed:", scene.look())
    scene.uninstall()
    assert scene.upgrade() == "deployed"

    scene = Scene(recorder, "failed")
    scene.before(*failing, values=hanging("pre-install"))
    assert scene.look() == "failed"
    assert scene.upgrade() == "deployed"

    scene = Scene(recorder, "uninstalling")
    scene.before("upgrade", "binder", "binderhub", values=hanging("pre-delete"))
    scene.before("uninstall", "binder", killed=True)
    assert scene.look() == "uninstalling"
    # Helm runs the hook again, which would hang as before.
    threading.Timer(3, scene.end_hook).start()
    assert scene.uninstall() == ""
    assert scene.upgrade() == "deployed"


def complaints(recorder: Recorder) -> None:
    """What helm says when it cannot."""
    for name, source in (
        ("no_such_version", recorder.source("9.9.9")),
        ("no_repository", recorder.source(repository="http://127.0.0.1:9")),
        ("untrusted_repository", recorder.source(repository=recorder.tls_repository)),
    ):
        scene = Scene(recorder, name)
        scene.look()
        scene.upgrade(source=source)
    scene = Scene(recorder, "refused_value")
    scene.look()
    scene.upgrade([{"refused": True}, {}])
    access = yaml.safe_load(recorder.kubeconfig.read_text())
    over = recorder.work_dir / "over.yaml"
    gone = [{"name": access["clusters"][0]["name"], "cluster": {"server": "https://127.0.0.1:9"}}]
    over.write_text(json.dumps({**access, "clusters": gone}))
    Scene(recorder, "cluster_over", over).look()
    expired = recorder.work_dir / "expired.yaml"
    users = [{"name": access["users"][0]["name"], "user": {"token": "nobody"}}]
    expired.write_text(json.dumps({**access, "users": users}))
    Scene(recorder, "account_refused", expired).look()


def main() -> int:
    """Record all scenarios."""
    warnings.filterwarnings("ignore", "Unverified HTTPS")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("helm", type=Path)
    parser.add_argument("kubeconfig", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ironbinder-") as folder:
        kubeconfig = Path(folder) / "kc"
        kubeconfig.write_text(options.kubeconfig.read_text())
        kubeconfig.chmod(0o600)
        recorder = Recorder(str(options.helm.absolute()), kubeconfig, Path(folder))
        version = recorder.run([recorder.binary, "version", "--short"], 60).out.strip()
        try:
            for part in (lives, interruptions, complaints):
                part(recorder)
        finally:
            # Each has the metadata that their type calls optional.
            namespaces: Any = recorder.api.list_namespace().items
            known = {item.metadata.name for item in namespaces}
            for namespace in known.intersection(recorder.namespaces):
                recorder.api.delete_namespace(namespace)
    RECORDED.parent.mkdir(parents=True, exist_ok=True)
    told = {"helm": version, "scenarios": recorder.scenarios}
    RECORDED.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
