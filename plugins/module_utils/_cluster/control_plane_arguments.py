# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A control plane's component on a head that works, with other arguments than kubeadm gave it.

First the cluster's memory, from which `kubeadm upgrade` makes the manifest anew; then the manifest; then the pod is waited for.
One that does not come up gets its old manifest back. A run that was ended anywhere in between is made good by the next one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Ran, Runner
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.arguments_text import (
    ArgumentsError,
    in_configuration,
    in_manifest,
    missing_of,
)

__all__ = ["SECTIONS", "ArgumentsError", "ControlPlaneArguments", "Told"]

# What ClusterConfiguration calls them.
SECTIONS = {
    "kube-apiserver": "apiServer",
    "kube-controller-manager": "controllerManager",
    "kube-scheduler": "scheduler",
}
_ADMIN_CONF = "/etc/kubernetes/admin.conf"
_CONFIG, _KEY = "kubeadm-config", "ClusterConfiguration"
_QUESTION_SECONDS = 15
_STEP_SECONDS = 2


@dataclass(frozen=True)
class Told:
    """The texts before and after, by what they are of; equal where there was nothing to do."""

    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def changed(self) -> bool:
        """Whether any of them is another one."""
        return self.before != self.after


class ControlPlaneArguments:
    """Sees to it that a component runs with these arguments, now and after an upgrade.

    Args:
        run: runs a command.
        clock: time.
        component: a key of `SECTIONS`.
        node_name: this machine's node object, after which the static pod is named.
        arguments: {name without dashes: value}.
        timeout_seconds: how long the component may take to run with them.
        manifest_dir: where the kubelet finds static pods.
    """

    def __init__(
        self,
        run: Runner,
        clock: Clock,
        *,
        component: str,
        node_name: str,
        arguments: Mapping[str, str],
        timeout_seconds: float = 180,
        manifest_dir: Path = Path("/etc/kubernetes/manifests"),
    ) -> None:
        self._run, self._clock = run, clock
        self._component, self._section = component, SECTIONS[component]
        self._pod = f"{component}-{node_name}"
        self._wanted = dict(arguments)
        self._timeout = timeout_seconds
        self._path = manifest_dir / f"{component}.yaml"

    def bring_about(self, check_mode: bool = False) -> Told:
        """Tell the component, or only say what would be told.

        Raises:
            ArgumentsError: the cluster does not answer, or refuses; a text has a form that kubeadm does not give it; the
                component does not run with these arguments, and has its old ones again.
            OSError: the manifest cannot be read or written.
        """
        manifest = self._path.read_text(encoding="utf-8")
        objects = self._look()
        config = objects.get(_CONFIG)
        if config is None:
            raise ArgumentsError(
                f"the cluster has no ConfigMap kube-system/{_CONFIG}, so it was not made by kubeadm: tell {self._component} "
                f"{self._words} the way it was made"
            )
        stored = str((config.get("data") or {}).get(_KEY, ""))
        names = (f"{_CONFIG} ({_KEY})", str(self._path))
        told = Told(
            dict(zip(names, (stored, manifest))),
            dict(
                zip(
                    names,
                    (
                        in_configuration(stored, self._section, self._wanted),
                        in_manifest(manifest, self._component, self._wanted),
                    ),
                )
            ),
        )
        if check_mode:
            return told
        new_config, new_manifest = told.after.values()
        if new_config != stored:
            self._remember(config, new_config)
        if new_manifest != manifest:
            # Beside it only for a moment, under a name with a dot, which the kubelet passes over.
            write_atomically(self._path, new_manifest, mode=0o600)
        # Also where an earlier run was ended before the kubelet had seen the manifest.
        if new_manifest != manifest or self._lacks(objects):
            self._await(manifest if new_manifest != manifest else "")
        return told

    @property
    def _words(self) -> str:
        return " ".join(f"--{name}={value}" for name, value in self._wanted.items())

    def _kubectl(self, *words: str) -> Ran:
        timeout = f"--request-timeout={_QUESTION_SECONDS}s"
        argv = ["kubectl", "--kubeconfig", _ADMIN_CONF, "--namespace", "kube-system", timeout, *words]
        return self._run(argv, 2 * _QUESTION_SECONDS)

    def _look(self) -> dict[str, Mapping[str, Any]]:
        """Ask for the cluster's memory and for the pod, by their names; what is not there is not in the answer."""
        ran = self._kubectl(
            "get", f"configmap/{_CONFIG}", f"pod/{self._pod}", "--ignore-not-found", "--output=json"
        )
        if ran.rc != 0:
            raise ArgumentsError(
                f"the cluster cannot be asked what {self._component} was told: {ran.said}. See `kubectl get --raw /readyz`"
            )
        answer = json.loads(ran.stdout) if ran.stdout.strip() else {}
        items = answer.get("items", [answer]) if answer else []
        return {str(item["metadata"]["name"]): item for item in items}

    def _lacks(self, objects: Mapping[str, Mapping[str, Any]]) -> str:
        """Say what of the pod is not as it is to be; "" where it runs with all of it."""
        pod = objects.get(self._pod)
        if pod is None:
            return f"there is no pod {self._pod}"
        missing = missing_of(pod["spec"]["containers"][0].get("command") or [], self._wanted)
        if missing:
            return f"pod {self._pod} runs without {', '.join(missing)} as asked for"
        conditions = (pod.get("status") or {}).get("conditions") or []
        if not any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions):
            return f"pod {self._pod} is not ready"
        return ""

    def _remember(self, config: Mapping[str, Any], text: str) -> None:
        """Write the cluster's memory, once kubeadm can read it, and unless somebody else has written it meanwhile."""
        version = config["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "data": {_KEY: text}}
        with tempfile.TemporaryDirectory(prefix="ironbinder-kubeadm-") as name:
            whole, change = Path(name, "cluster.yaml"), Path(name, "patch.json")
            write_atomically(whole, text)
            ran = self._run(["kubeadm", "config", "validate", "--config", str(whole)], _QUESTION_SECONDS)
            if ran.rc == 0:
                write_atomically(change, json.dumps(patch))
                ran = self._kubectl(
                    "patch", "configmap", _CONFIG, "--type=merge", f"--patch-file={change}", "--output=name"
                )
        if ran.rc != 0:
            raise ArgumentsError(
                f"ConfigMap kube-system/{_CONFIG} cannot remember {self._words} of {self._component}, and nothing was changed: "
                f"{ran.said}. Look at it by `kubectl -n kube-system get configmap {_CONFIG} -o yaml`, and start again"
            )

    def _await(self, old: str) -> None:
        """Wait until the pod runs with its arguments; else give it back its `old` manifest, if there is one to give back."""

        def lack(_seconds: float) -> str:
            try:
                return self._lacks(self._look())
            except (
                ArgumentsError
            ) as error:  # an API server that restarts, maybe with arguments that it cannot start with
                return str(error)

        waited = wait_until(
            lack,
            lambda seen: not seen,
            clock=self._clock,
            timeout_seconds=self._timeout,
            step_seconds=_STEP_SECONDS,
        )
        if waited.done:
            return
        if old:
            write_atomically(self._path, old, mode=0o600)
        raise ArgumentsError(
            f"{self._component} was told {self._words}, and {waited.seconds:.0f} s later {waited.seen}. "
            + (f"{self._path} is as it was before. " if old else "")
            + f"Look at /var/log/pods/kube-system_{self._pod}_*, at `journalctl -u kubelet -n 50`, and at the values"
        )
