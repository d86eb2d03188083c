#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Everything that the Docker daemon reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_config
short_description: Tell the Docker daemon its mirrors, registries, CAs and logs
version_added: 0.1.0
description:
  - Reads V(daemon.json), puts in what a site says, and writes it where that makes a difference. What an admin put there stays,
    but for C(registry-mirrors), C(live-restore), the size and number of logs, the C(insecure-registries) of O(registries), and
    what O(cgroup_parent) names.
  - The daemon's own program judges the file first, where it can. The file as it was before the first change is kept as
    V(daemon.json.before-ironbinder).
  - Gives each registry and each C(https://) mirror its CA under V(certs.d), and takes away those that it gave to others before.
  - With O(state=absent) all of that is taken out again, and those keys get back the values that they had before the first change.
  - Restarts nothing. CAs are read for each pull, V(daemon.json) when the daemon starts, see RV(restart_needed).
author: Ironbinder maintainers (@ironbinder)
options:
  state:
    description:
      - V(absent) takes out what a site said. V(daemon.json) is only touched where it has O(cgroup_parent), by which it is known.
    type: str
    choices: [present, absent]
    default: present
  registry_mirrors:
    description: Mirrors of Docker Hub as V(scheme://host[:port]), asked in this order. Empty removes them.
    type: list
    elements: str
    default: []
  registries:
    description: The site's own registries.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Host, or host and port, without a scheme.
        type: str
        required: true
      plain_http_enabled:
        description: Whether Docker may speak plain HTTP to it.
        type: bool
        default: false
  ca_certificates:
    description: CAs of mirrors and registries as PEM text.
    type: str
    default: ""
  mark:
    description: Text in the first line of the CA files, by which they are known again.
    type: str
    default: Managed by Ironbinder (role docker)
  log_max_size:
    description: Size at which a container's log is rotated. Only with the log driver C(json-file), Docker's own.
    type: str
    default: 10m
  log_max_files:
    description: Logs kept for a container.
    type: int
    default: 3
  live_restore_enabled:
    description: Whether containers go on while the daemon restarts.
    type: bool
    default: true
  cgroup_parent:
    description:
      - Control group of containers and of build steps, as a path below V(/sys/fs/cgroup); that of a slice of systemd is
        V(/name.slice).
      - Sets C(native.cgroupdriver=cgroupfs) among the C(exec-opts) as well. With the driver C(systemd) Docker's BuildKit runs the
        steps of a build elsewhere, and no limit reaches them.
      - Empty leaves both as they are.
    type: str
    default: ""
  config_dir:
    description: Folder of V(daemon.json) and V(certs.d).
    type: path
    default: /etc/docker
attributes:
  check_mode:
    support: full
    description: Says what it would do.
  diff_mode:
    support: full
    description: One difference a file. Accounts in the URLs of proxies are not shown.
  idempotent:
    support: full
    description: Files that say what they should are not touched, however they are formatted.
"""

EXAMPLES = r"""
- name: Tell Docker its mirror, and whom to trust
  ironbinder.platform.docker_config:
    registry_mirrors: [https://mirror.example.org]
    registries: [{host: "registry.example.org:5000"}]
    ca_certificates: "{{ lookup('ansible.builtin.file', 'site-ca.pem') }}"
  register: docker_config
"""

RETURN = r"""
restart_needed:
  description: Whether V(daemon.json) was changed, or would be.
  returned: success
  type: bool
ca_files:
  description: The CA files that the daemon has for mirrors and registries.
  returned: success
  type: list
  elements: str
  sample: [/etc/docker/certs.d/registry.example.org:5000/ca.crt]
written:
  description: Files that were written, or would be.
  returned: success
  type: list
  elements: str
removed:
  description: Files that were removed, or would be.
  returned: success
  type: list
  elements: str
replaced:
  description: Files that were not ours, each with C(path) and what it is called now, C(kept_as).
  returned: success
  type: list
  elements: dict
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.daemon_config import (
    DaemonConfigError,
    DockerSite,
    ca_hosts,
    forgotten,
    merged,
    read,
    validate,
    written,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_changes import bring_about
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_groups import Group, Step
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_report import (
    differences,
    result,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_states import (
    KEPT_SUFFIX,
    ManagedFilesError,
    look,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.managed_files import plan

# Who may write this file is root on the machine.
_OTHERS_WRITE = 0o022
# In JSON: what stands before an account in a URL, or in a proxy without a scheme; and the account.
_ACCOUNT = re.compile(
    r"""((?:"https?-proxy"\s*:\s*")(?:[a-z0-9]+:(?:\\?/){2})?|:(?:\\?/){2})(?:[^"\\\n]|\\.)*@""",
    re.IGNORECASE,
)


def without_accounts(text: str) -> str:
    """Hide user and password of every URL in a text."""
    return _ACCOUNT.sub(r"\1(secret)@", text)


def daemon_group(folder: Path, site: DockerSite, scratch: str) -> list[Group]:
    """Give daemon.json as it has to be, nothing where it says so already."""
    path = folder / "daemon.json"
    seen = look(path)
    present = read(seen.data, str(path))
    wanted = merged(present, site)
    mode = seen.mode & ~_OTHERS_WRITE if seen.kind == "file" else 0o644
    if wanted == present and (seen.kind != "file" or mode == seen.mode):
        return []
    text = written(wanted) if wanted != present or seen.data is None else seen.data.decode()
    draft = Path(scratch) / path.name
    draft.write_text(text, encoding="utf-8")
    validate(str(draft), str(path), run_command)
    return [
        Group(
            folder,
            {path.name: text},
            # Kept once, as it was before the first change; after that it is ours to change.
            names=[path.name] if path.with_name(path.name + KEPT_SUFFIX).exists() else [],
            mode=mode,
        )
    ]


def forgetting_group(folder: Path, cgroup_parent: str, scratch: str) -> list[Group]:
    """Give daemon.json as it was before a site, but for what was added since; nothing where no site wrote it."""
    path = folder / "daemon.json"
    seen, kept = look(path), path.with_name(path.name + KEPT_SUFFIX)
    present = read(seen.data, str(path))
    if not cgroup_parent or present.get("cgroup-parent") != cgroup_parent:
        return []
    before = read(look(kept).data, str(kept))
    wanted = forgotten(present, before)
    if not wanted:
        return [Group(folder, {}, names=[path.name])]
    draft = Path(scratch) / path.name
    draft.write_text(written(wanted), encoding="utf-8")
    validate(str(draft), str(path), run_command)
    return [Group(folder, {path.name: written(wanted)}, names=[path.name], mode=seen.mode)]


def main() -> None:
    """Read, merge, write, report."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "registry_mirrors": {"type": "list", "elements": "str", "default": []},
            "registries": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "host": {"type": "str", "required": True},
                    "plain_http_enabled": {"type": "bool", "default": False},
                },
            },
            "ca_certificates": {"type": "str", "default": ""},
            "mark": {"type": "str", "default": "Managed by Ironbinder (role docker)"},
            "log_max_size": {"type": "str", "default": "10m"},
            "log_max_files": {"type": "int", "default": 3},
            "live_restore_enabled": {"type": "bool", "default": True},
            "cgroup_parent": {"type": "str", "default": ""},
            "config_dir": {"type": "path", "default": "/etc/docker"},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = dict(module.params)
    folder, certificates, mark = (params.pop(key) for key in ("config_dir", "ca_certificates", "mark"))
    goes = params.pop("state") == "absent"
    site = DockerSite(**params)
    cas = {
        f"{host}/ca.crt": f"# {mark}. Changes are overwritten.\n{certificates.strip()}\n"
        for host in (ca_hosts(site) if certificates.strip() and not goes else [])
    }
    done: list[Step] = []
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
            daemon = (
                forgetting_group(Path(folder), site.cgroup_parent, scratch)
                if goes
                else daemon_group(Path(folder), site, scratch)
            )
        wanted = plan([Group(Path(folder, "certs.d"), cas, mark=mark, depth=2), *daemon])
        if not module.check_mode:
            bring_about(wanted.steps, done.append)
            if goes and daemon:
                # What it kept is in its place again.
                Path(folder, f"daemon.json{KEPT_SUFFIX}").unlink(missing_ok=True)
    except (DaemonConfigError, ManagedFilesError) as error:
        module.fail_json(msg=str(error), **result(done, ()))
    told: dict[str, Any] = result(wanted.steps, ())
    if module._diff:
        told["diff"] = [
            {key: without_accounts(text) for key, text in one.items()} for one in differences(wanted.steps)
        ]
    module.exit_json(
        # Not where only its mode was wrong.
        restart_needed=any(
            step.group is group and step.kind != "mode" for group in daemon for step in wanted.steps
        ),
        ca_files=[str(Path(folder, "certs.d", name)) for name in cas],
        **told,
    )


if __name__ == "__main__":
    main()
