#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Release a BinderHub with Helm, and wait until it runs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: binderhub_release
short_description: Release a BinderHub with Helm and wait until it runs
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Installs, upgrades or removes one Helm release, with an exact version of its chart and two mappings of values,
    one of which is secret.
  - Changes nothing where the deployed chart version and values are the wanted ones. A chart version is taken to never change.
  - Puts right what an interrupted run left behind, a release stuck in C(pending-install) or C(pending-upgrade) for example.
  - Waits for every workload of the release, and fails early with the reason where one is stuck.
  - Looks whether all objects of the release are there, which Helm does not before a value changes, and never for those of the
    chart's hooks, such as the Secret that sessions pull with. Where one is gone the release is made again; when the release goes,
    those of hooks go too, as far as they are this release's.
  - Runs on the host that talks to the cluster, which needs helm and the Python package C(kubernetes).
attributes:
  check_mode:
    description: Predicts whether the release changes, without writing anything. Predicts a change where helm, the kubeconfig
      or a cluster that answers do not exist yet.
    support: full
  diff_mode:
    description: Shows the chart version and the values, secret ones masked; with O(state=absent) what goes.
    support: full
  idempotent:
    description: Does nothing where the release is as wanted.
    support: full
options:
  name:
    description: Name of the release.
    type: str
    required: true
  namespace:
    description: Namespace of the release. Made where it does not exist.
    type: str
    required: true
  state:
    description: Whether the release exists. With V(absent) nothing of it is remembered either.
    type: str
    choices: [present, absent]
    default: present
  chart:
    description: Name of the chart, or a path to it.
    type: str
    default: binderhub
  chart_repository:
    description: URL of a Helm repository, C(oci://) URL, or a folder or C(.tgz) on this host.
    type: str
    default: ""
  chart_version:
    description: Exact version of the chart. Only a chart on this host may go without.
    type: str
    default: ""
  values:
    description: Values that may be shown.
    type: dict
    default: {}
  secret_values:
    description: Values that may not be shown. Merged over O(values).
    type: dict
    default: {}
  kubeconfig:
    description: Kubeconfig of an administrator.
    type: path
    required: true
  helm_binary:
    description: Helm 3, as a path or as a name in C(PATH).
    type: path
    default: helm
  ca_certificates:
    description: Certificates, PEM, to trust besides this host's when the chart is downloaded.
    type: str
    default: ""
  proxy_environment:
    description: The proxy that helm goes through, as C(http_proxy), C(https_proxy) and C(no_proxy). Empty for this host's own.
    type: dict
    default: {}
  timeout_seconds:
    description: How long helm, and after it the workloads, may take.
    type: int
    default: 900
  stuck_seconds:
    description: How long a workload may be stuck for a reason that waiting does not cure.
    type: int
    default: 90
  wait:
    description: Wait until every workload of the release is rolled out.
    type: bool
    default: true
  values_dir:
    description: Folder that keeps the two mappings as C(config.yaml) and C(secret.yaml), mode 0600. They are removed
      afterwards where this is not given.
    type: path
  delete_namespace:
    description: Delete the namespace too, with O(state=absent), where it carries the label C(ironbinder.platform/hub) with the
      value O(hub). Any other stays, and C(note) says so.
    type: bool
    default: false
  hub:
    description: The hub's name in C(site_hubs). O(name) unless given.
    type: str
    default: ""
  urls:
    description: URLs of the hub, returned as they are.
    type: dict
    default: {}
requirements: [helm >= 3.14, kubernetes]
"""

EXAMPLES = r"""
- name: Release a BinderHub
  ironbinder.platform.binderhub_release:
    name: binder
    namespace: binder
    chart_repository: https://jupyterhub.github.io/helm-chart
    chart_version: 1.0.0-0.dev.git.3983.h383374de
    kubeconfig: ~/.kube/config
    values: {service: {type: NodePort}}
    secret_values: {jupyterhub: {proxy: {secretToken: "{{ proxy_token }}"}}}
  delegate_to: localhost

- name: Remove it
  ironbinder.platform.binderhub_release:
    name: binder
    namespace: binder
    state: absent
    kubeconfig: ~/.kube/config
  delegate_to: localhost
"""

RETURN = r"""
action:
  description: What was done, or would be. One of C(installed), C(upgraded), C(unchanged), C(repaired), C(uninstalled).
  returned: always
  type: str
note:
  description: What was found and put right, why a prediction rests on nothing, or why a namespace stays.
  returned: when there is something to say
  type: str
revision:
  description: Revision of the release; 0 where there is none.
  returned: always
  type: int
chart:
  description: Name and version of the chart.
  returned: always
  type: str
app_version:
  description: Version of the application that the chart says it deploys.
  returned: always
  type: str
namespace:
  description: Namespace of the release.
  returned: always
  type: str
workloads:
  description: Workloads with C(kind), C(name), C(ready), and the C(seconds) after which they were.
  returned: always
  type: list
  elements: dict
hook_objects:
  description: Objects of the release's hooks that were removed with it, or would be, such as C(Secret binder/image-pull-secret).
  returned: always
  type: list
  elements: str
phases:
  description: Seconds spent in each phase.
  returned: always
  type: dict
urls:
  description: O(urls).
  returned: always
  type: dict
"""

import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeApi, KubeError, connect
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.patience import patient
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.rollout import (
    RolloutError,
    wait_for_workloads,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.workloads import workloads_of
from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import chart_source
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import (
    HelmError,
    InterruptedHelmError,
    UnreachableError,
    make_runner,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm import Helm, Release, yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._release.helm_values import (
    as_helm_text,
    masked_diff,
    secret_texts,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.hooks import (
    HookObjects,
    objects_of,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.release import (
    Desired,
    Reporter,
    apply,
    pin_version,
    plan,
    settle,
    write_private,
    write_trust,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._release.removal import plan_removal, remove

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "chart": {"type": "str", "default": "binderhub"},
    "chart_repository": {"type": "str", "default": ""},
    "chart_version": {"type": "str", "default": ""},
    "values": {"type": "dict", "default": {}},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "kubeconfig": {"type": "path", "required": True},
    "helm_binary": {"type": "path", "default": "helm"},
    "ca_certificates": {"type": "str", "default": ""},
    "proxy_environment": {"type": "dict", "default": {}, "no_log": True},
    "timeout_seconds": {"type": "int", "default": 900},
    "stuck_seconds": {"type": "int", "default": 90},
    "wait": {"type": "bool", "default": True},
    "values_dir": {"type": "path"},
    "delete_namespace": {"type": "bool", "default": False},
    "hub": {"type": "str", "default": ""},
    "urls": {"type": "dict", "default": {}},
}


# How often the work is begun where the API server restarts in the middle of it.
ATTEMPTS = 3


class ReleaseModule:
    """One run: maps parameters to `_release`, and what comes of it to a result."""

    def __init__(self, module: AnsibleModule, work_dir: Path) -> None:
        self.module = module
        self.params = module.params
        self.work_dir = work_dir
        self.clock = SystemClock()
        self._api: Optional[KubeApi] = None
        self.reporter = Reporter(self.clock)
        binary = self.params["helm_binary"]
        runner = make_runner(work_dir, self.params["proxy_environment"])
        self.helm = Helm(binary, runner, self.params["kubeconfig"], self.params["namespace"])
        self.result: dict[str, Any] = {
            "changed": False,
            "action": "unchanged",
            "revision": 0,
            "chart": "",
            "app_version": "",
            "namespace": self.params["namespace"],
            "workloads": [],
            "hook_objects": [],
            "phases": self.reporter.phases,
            "urls": self.params["urls"],
        }

    def run(self) -> dict[str, Any]:
        """Do what the parameters ask for."""
        if yaml is None:
            raise HelmError(
                "the Python package PyYAML is missing here. Install requirements.txt on the controller; another host that talks "
                "to the cluster (site_kubernetes_client_host) gets its packages from the stage `cluster`"
            )
        try:
            if missing := self._missing():
                raise UnreachableError(missing)
            self._persist(self._absent if self.params["state"] == "absent" else self._present)
        except UnreachableError as error:
            if not self.module.check_mode:
                raise
            self._predict(str(error))
        return self.result

    def _persist(self, work: Callable[[], None]) -> None:
        """Do the work, and go on from where it is when the API server has only restarted meanwhile."""
        for left in reversed(range(1 if self.module.check_mode else ATTEMPTS)):
            changed, action = self.result["changed"], self.result["action"]
            try:
                work()
            except (InterruptedHelmError, UnreachableError) as error:
                if not (left and self._answers()):
                    raise
                self.module.log(f"the API server went away and came back: {error}")
            else:
                # What an attempt before had begun is a change all the same.
                if changed and not self.result["changed"]:
                    self.result.update(changed=True, action=action)
                return

    def _answers(self) -> bool:
        """Whether the API server is back, or comes back within a moment."""
        try:
            # From etcd, which has a leader then.
            return self._connect().get("/api/v1/namespaces/default") is not None
        except KubeError:
            return False

    def _predict(self, reason: str) -> None:
        """Say what a check expects of a cluster that is not there yet."""
        present = self.params["state"] == "present"
        self.result.update(changed=present, action="installed" if present else "unchanged", note=reason)
        if present:
            self._diff(None, self.params["chart_version"])

    def _missing(self) -> str:
        if not Path(self.params["kubeconfig"]).is_file():
            return (
                f"there is no kubeconfig at {self.params['kubeconfig']}: set site_kubeconfig_file, or run the stage "
                "`cluster`, which fetches it"
            )
        if not shutil.which(self.params["helm_binary"]):
            return (
                f"there is no helm at {self.params['helm_binary']}: role helm installs it; or set helm_binary"
            )
        return ""

    def _describe(self, release: Optional[Release]) -> None:
        if release:
            self.result.update(
                revision=release.revision,
                chart=f"{release.chart}-{release.version}",
                app_version=release.app_version,
            )

    def _present(self) -> None:
        params, check = self.params, self.module.check_mode
        trust = write_trust(self.work_dir, params["ca_certificates"])
        source = chart_source(params["chart"], params["chart_repository"], params["chart_version"], trust)
        source = pin_version(self.helm, source)
        desired = Desired(params["name"], source, params["values"], params["secret_values"])
        with self.reporter.phase("inspect"):
            release = (
                self.helm.release(desired.name)
                if check
                else settle(self.helm, desired.name, self.clock, lambda: datetime.now(timezone.utc))
            )
            todo = plan(self.helm, desired, release, self._lost)
        self.result.update(
            changed=todo.changed, action=todo.action, **({"note": todo.note} if todo.note else {})
        )
        self._describe(release)
        self._diff(release, source.version, todo.note)
        folder = Path(params["values_dir"] or self.work_dir / "values")
        files = {folder / "config.yaml": params["values"], folder / "secret.yaml": params["secret_values"]}
        if params["values_dir"] or (todo.changed and not check):
            written = [write_private(path, as_helm_text(values), check) for path, values in files.items()]
            self.result["changed"] = self.result["changed"] or (bool(params["values_dir"]) and any(written))
        if check:
            return
        if todo.changed:
            seconds = params["timeout_seconds"]
            release = apply(
                self.helm,
                desired,
                todo,
                list(files),
                seconds=seconds,
                reporter=self.reporter,
                lost_objects=self._lost,
            )
            self._describe(release)
        if params["wait"] and release:
            self._wait(release)

    def _wait(self, release: Release) -> None:
        workloads = workloads_of(release.manifest, self.params["namespace"])
        with self.reporter.phase("rollout"):
            states = wait_for_workloads(
                self._connect(),
                workloads,
                timeout_seconds=self.params["timeout_seconds"],
                stuck_seconds=self.params["stuck_seconds"],
                clock=self.clock,
                log=self.module.log,
            )
        self.result["workloads"] = [state.as_result() for state in states]

    def _connect(self) -> KubeApi:
        if self._api is None:
            api = connect(self.params["kubeconfig"])
            # In a check there may be no cluster yet, which is told at once.
            self._api = api if self.module.check_mode else patient(api, self.clock)
        return self._api

    def _lost(self, release: Release) -> list[str]:
        objects = [*objects_of(release.manifest, self.params["namespace"]), *release.hooks]
        return HookObjects(self._connect(), self.params["name"]).lost(objects)

    def _absent(self) -> None:
        params = self.params
        namespace = params["namespace"] if params["delete_namespace"] else ""
        with self.reporter.phase("inspect"):
            hub = params["hub"] or params["name"]
            todo = plan_removal(self.helm, self._connect, params["name"], namespace, hub)
        self._describe(todo.release)
        self.result.update(
            changed=todo.changed,
            action="uninstalled" if todo.changed else "unchanged",
            hook_objects=list(todo.hook_objects),
            **({"note": todo.note} if todo.note else {}),
        )
        if self.module._diff:
            self.result["diff"] = self._headed(str(todo), "")
        if todo.changed and not self.module.check_mode:
            seconds = params["timeout_seconds"]
            remove(self.helm, self._connect, todo, seconds=seconds, clock=self.clock, reporter=self.reporter)

    def _diff(self, release: Optional[Release], version: str, note: str = "") -> None:
        if not self.module._diff:
            return
        params = self.params
        before, after = masked_diff(
            release.values if release else None, params["values"], params["secret_values"]
        )
        deployed = f"chart_version: {release.version}\n" if release else ""
        found = f"# {note}\n" if note else ""
        self.result["diff"] = self._headed(f"{deployed}{found}{before}", f"chart_version: {version}\n{after}")

    def _headed(self, before: str, after: str) -> dict[str, str]:
        header = f"release {self.params['name']}"
        return {"before_header": header, "after_header": header, "before": before, "after": after}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # A Secret's manifest has them in base64, and helm may quote it.
    module.no_log_values |= secret_texts(module.params["secret_values"])
    with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="ironbinder-") as folder:
        run = ReleaseModule(module, Path(folder))
        try:
            result = run.run()
        except (HelmError, KubeError, RolloutError) as error:
            problem = f"release {module.params['name']}: {error}"
        else:
            problem = ""
    if problem:
        module.fail_json(
            msg=problem, **{**run.result, "changed": run.result["changed"] and not module.check_mode}
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
