#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files of ours in folders that we share with others."""

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_files
short_description: Write files in shared folders, and remove those that nobody wants any more
version_added: 0.1.0
description:
  - Writes what is missing or differs, corrects modes and owners, makes the folders that are needed, and removes files of ours
    that are no longer named, with the folders that this leaves empty. All of it in one task, for any number of folders.
  - A file is ours by a mark in its first line, or by its name. Any other file is left alone, unless it stands where one of ours
    has to be; then the result says so, and it is kept under its name with C(.before-ironbinder) behind it. A later one that
    differs has the first eight digits of its SHA-256 behind that.
  - Each file is written beside the old one and renamed, so that a kill leaves the old one or the new one. Only a file that is
    a mount of its own, such as V(/etc/hosts) in a container, is written in place.
author: Ironbinder maintainers (@ironbinder)
options:
  groups:
    description: Files that belong together.
    type: list
    elements: dict
    required: true
    suboptions:
      folder:
        description: Folder of the files. It is made where it is missing.
        type: path
        required: true
      files:
        description:
          - Contents by name. A name may lead into folders below O(groups[].folder).
          - C(null) for a file that is wanted, whatever it holds, and that something else writes. See RV(missing).
        type: dict
        default: {}
      mark:
        description: Text in the first line of our files. Contents have to carry it.
        type: str
        default: ""
      names:
        description: Patterns of names of files that are ours whatever they hold, such as V(ironbinder-*.crt).
        type: list
        elements: str
        default: []
      block:
        description:
          - Title of a block. The contents then are not whole files but lines of files that belong to others, kept
            between C(# BEGIN) and C(# END) with this title, as M(ansible.builtin.blockinfile) does.
          - Empty content, and C(null), take the block out.
          - The file keeps its mode and owner, and links are followed.
        type: str
        default: ""
      depth:
        description: Levels of folders that are searched for files which are ours and no longer named. V(1) is the folder alone.
        type: int
        default: 1
      mode:
        description: Mode of the files, quoted.
        type: str
        default: "0644"
      directory_mode:
        description: Mode of folders that are made, quoted. Folders that are there keep theirs.
        type: str
        default: "0755"
      owner:
        description: User that has the files. Without it new files are root's, and others keep their owner.
        type: str
        default: ""
      group:
        description: Group that has the files.
        type: str
        default: ""
      sensitive:
        description:
          - Whether contents are kept out of diffs. They are in no result and not in the machine's log in any case.
          - A task's C(no_log) does more, and hides the result too.
        type: bool
        default: false
      used_by:
        description:
          - File that is made from these, or made when a daemon starts that reads them, such as a bundle, a socket or a pid file.
          - Where it is missing, or older than they are, RV(outdated) names it.
        type: path
        default: ""
attributes:
  check_mode:
    support: full
    description: Says what it would do. Users and groups may be missing then, as a package may bring them.
  diff_mode:
    support: full
    description: One difference a file. Modes and owners are shown as lines.
  idempotent:
    support: full
    description: Files that are as they should be are not touched.
"""

EXAMPLES = r"""
- name: Tell containerd its mirrors, and forget those that are gone
  ironbinder.platform.managed_files:
    groups:
      - folder: /etc/containerd/certs.d
        depth: 2
        mark: Managed by us
        files:
          docker.io/hosts.toml: |
            # Managed by us
            server = "https://registry-1.docker.io"

- name: Trust the site's CAs
  ironbinder.platform.managed_files:
    groups:
      - folder: /usr/local/share/ca-certificates
        names: [ironbinder-*.crt]
        files: {ironbinder-site.crt: "{{ lookup('ansible.builtin.file', 'site-ca.pem') }}\n"}
        used_by: /etc/ssl/certs/ca-certificates.crt
  register: trust

- name: Rebuild the bundle of CAs
  ansible.builtin.command: update-ca-certificates --fresh
  when: "'/etc/ssl/certs/ca-certificates.crt' in trust.outdated"
  changed_when: true
"""

RETURN = r"""
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
corrected:
  description: Files whose mode or owner alone was corrected, or would be.
  returned: success
  type: list
  elements: str
replaced:
  description: Files that were not ours and stood where one of ours has to be.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    kept_as:
      description: What it is called now. Empty where the same is kept already.
      type: str
missing:
  description: Files that are wanted whatever they hold, and that are not there yet, or empty.
  returned: success
  type: list
  elements: str
outdated:
  description: The O(groups[].used_by) that are older than the files, or will be.
  returned: success
  type: list
  elements: str
  sample: [/etc/ssl/certs/ca-certificates.crt]
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_changes import bring_about
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_groups import Group, Step
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_report import (
    differences,
    result,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_states import (
    ManagedFilesError,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.managed_files import outdated, plan


class Module(AnsibleModule):
    """A module that leaves whole files out of the machine's log: for keys, and for the log's sake."""

    def _log_invocation(self) -> None:
        self.log(
            f"Invoked with groups of {', '.join(str(entry['folder']) for entry in self.params['groups'])}"
        )


def _mode(text: str, option: str) -> int:
    if not re.fullmatch("0[0-7]{3,4}", text):
        raise ManagedFilesError(f"{option} is {text!r}, and a mode is four digits in quotes, such as '0644'")
    return int(text, 8)


def _group(params: Mapping[str, Any]) -> Group:
    wrong = sorted(
        name for name, content in params["files"].items() if not isinstance(content, (str, type(None)))
    )
    if wrong:
        raise ManagedFilesError(f"the contents of {', '.join(wrong)} in {params['folder']} are no text")
    return Group(
        **{
            **params,
            "folder": Path(params["folder"]),
            "mode": _mode(params["mode"], "mode"),
            "directory_mode": _mode(params["directory_mode"], "directory_mode"),
        }
    )


def main() -> None:
    """Compare, do, report."""
    module = Module(
        argument_spec={
            "groups": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "folder": {"type": "path", "required": True},
                    "files": {"type": "dict", "default": {}},
                    "mark": {"type": "str", "default": ""},
                    "names": {"type": "list", "elements": "str", "default": []},
                    "block": {"type": "str", "default": ""},
                    "depth": {"type": "int", "default": 1},
                    "mode": {"type": "str", "default": "0644"},
                    "directory_mode": {"type": "str", "default": "0755"},
                    "owner": {"type": "str", "default": ""},
                    "group": {"type": "str", "default": ""},
                    "sensitive": {"type": "bool", "default": False},
                    "used_by": {"type": "path", "default": ""},
                },
            }
        },
        supports_check_mode=True,
    )
    # The arguments are whole files: a result that repeats them is unreadable, and may not be for every eye.
    told: dict[str, Any] = {
        "invocation": {
            "module_args": {
                "groups": [{**entry, "files": sorted(entry["files"])} for entry in module.params["groups"]]
            }
        }
    }
    done: list[Step] = []
    try:
        groups = [_group(entry) for entry in module.params["groups"]]
        wanted = plan(groups, check_mode=module.check_mode)
        if not module.check_mode:
            bring_about(wanted.steps, done.append)
        told["outdated"] = outdated(groups, wanted.steps, time.time())
    except ManagedFilesError as error:
        module.fail_json(msg=str(error), **{**told, **result(done, ())})
    if module._diff:
        told["diff"] = differences(wanted.steps)
    module.exit_json(**told, **result(wanted.steps, wanted.missing))


if __name__ == "__main__":
    main()
