#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

DOCUMENTATION = r"""
module: held_packages
short_description: Have Debian packages in one version, and hold them there
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Installs packages in a pinned version with apt and holds them. Moves them to another version only where that is allowed.
  - Where everything is there and held, one question to dpkg is all that is done.
  - What an interrupted apt left is put right, and a lock that another apt has is waited for.
  - Removes no package that somebody else installed, unless O(allow_removal) says so.
  - With O(state=released) the holds are taken off, and with O(state=absent) those packages go that this module installed,
    with what came along with them and nothing needs any more. Those of others stay.
options:
  name:
    description: Packages that all have the same O(version), and are held.
    type: list
    elements: str
    required: true
  state:
    description: V(present), V(released) that nothing holds them any more, or V(absent).
    type: str
    choices: [present, released, absent]
    default: present
  version:
    description:
      - Upstream's version, without epoch and revision of the package, such as V(1.36.3). A whole version is fine too.
      - Empty for whatever version is there, or else the one that apt would choose.
    type: str
    default: ""
  versions:
    description: Versions of those packages of O(name) that count their own, in the same form. They win over O(version).
    type: dict
    default: {}
  also:
    description: Packages that are needed beside them, in any version. They are not held.
    type: list
    elements: str
    default: []
  kept:
    description: Packages of O(name) that keep the version that is there. Where there is none, they are installed as asked for.
    type: list
    elements: str
    default: []
  kept_where:
    description: A file of the machine. O(kept) counts where it exists; empty for everywhere.
    type: path
    default: ""
  hold:
    description: Whether O(name) is held. V(false) leaves a hold that is there as it is.
    type: bool
    default: true
  allow_change:
    description: Whether packages of O(name) that are installed in another version may be moved to O(version), up or down.
    type: bool
    default: false
  movable:
    description: Packages of O(name) that may be moved with O(allow_change=false), too, where no other one would have to be.
    type: list
    elements: str
    default: []
  allow_removal:
    description:
      - Which packages apt may remove because they conflict with what is installed. apt is asked before anything is changed, and
        by a check, too.
      - V(own) are those that this module installed, on which it keeps a list in V(/var/lib/ironbinder/packages.json).
    type: str
    choices: [none, own, all]
    default: none
  update_cache:
    description:
      - When apt's package lists are fetched before something is installed. They are never fetched where nothing is missing.
      - V(when_unknown) fetches them where they do not have what is wanted, or lead to what a repository no longer has.
    type: str
    choices: [never, when_unknown, always]
    default: when_unknown
  refusal_hint:
    description: What a person should do where another version is installed and O(allow_change=false). Ends the error message.
    type: str
    default: ""
  removal_hint:
    description: What a person should do where apt would remove more than O(allow_removal) says. Ends the error message.
    type: str
    default: ""
  proof_argv:
    description: Command that proves that what is installed runs here, such as C(kubelet --version).
    type: list
    elements: str
    default: []
  proof_stdout:
    description: What O(proof_argv) has to print, without the spaces around it.
    type: str
    default: ""
  lock_seconds:
    description: How long another program's lock on apt or dpkg is waited for.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    description:
      - Says what would be installed and held. Where apt's lists do not have a package and a real run would fetch them, what is
        asked for is foretold.
  diff_mode:
    support: full
    description: One line a package.
  idempotent:
    support: full
    description: Nothing is done where everything is there and held.
"""

EXAMPLES = r"""
- name: Have the kubelet and its tools
  ironbinder.platform.held_packages:
    name: [kubelet, kubeadm, kubectl]
    version: 1.36.3
    also: [conntrack, iptables]
    refusal_hint: Upgrade the cluster first, one node after another.
    proof_argv: [kubelet, --version]
    proof_stdout: Kubernetes v1.36.3
  register: packages

- name: Have containerd in the version that the site names
  ironbinder.platform.held_packages:
    name: [containerd.io]
    version: 2.1.4
    allow_change: true

- name: Have Docker, whose buildx counts its own versions
  ironbinder.platform.held_packages:
    name: [docker-ce, docker-ce-cli, docker-buildx-plugin]
    version: 29.8.1
    versions:
      docker-buildx-plugin: 0.37.1
    allow_change: true
    # Under running builds nothing is replaced.
    kept: [docker-ce, docker-ce-cli, docker-buildx-plugin]
    kept_where: /etc/kubernetes/kubelet.conf

- name: Let go of what a machine needed while it was a node
  ironbinder.platform.held_packages:
    name: [kubelet, kubeadm, kubectl]
    state: released

- name: Have a web server in whatever version the distribution has
  ironbinder.platform.held_packages:
    name: [nginx]
    hold: false
"""

RETURN = r"""
present:
  description: Whether the packages are on the machine now. V(false) only in a check that foretells them.
  returned: success
  type: bool
  sample: true
before:
  description: Version and hold of each package before, by name. The version is empty where it was not installed.
  returned: success
  type: dict
  sample: {"kubelet": {"version": "", "held": false}}
after:
  description: The same afterwards, or as a check foretells it.
  returned: success
  type: dict
  sample: {"kubelet": {"version": "1.36.3-1.1", "held": true}}
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.package_lists import State
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.packages import (
    HeldPackages,
    PackagesError,
    Wanted,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.released_packages import (
    ReleasedPackages,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.removals import LEDGER_FILE, Ledger

_ENVIRONMENT = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical"}


def _plain(states: Mapping[str, State]) -> dict[str, dict[str, object]]:
    return {name: {"version": state.version, "held": state.held} for name, state in states.items()}


def _text(states: Mapping[str, State]) -> str:
    return "".join(
        f"{name} {state.version or 'not installed'}{', held' if state.held else ''}"
        f"{'' if state.whole else ', not configured'}\n"
        for name, state in states.items()
    )


def main() -> None:
    """Map the arguments to the work and its errors to Ansible's."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "released", "absent"], "default": "present"},
            "version": {"type": "str", "default": ""},
            "versions": {"type": "dict", "default": {}},
            "also": {"type": "list", "elements": "str", "default": []},
            "kept": {"type": "list", "elements": "str", "default": []},
            "kept_where": {"type": "path", "default": ""},
            "hold": {"type": "bool", "default": True},
            "allow_change": {"type": "bool", "default": False},
            "movable": {"type": "list", "elements": "str", "default": []},
            "allow_removal": {"type": "str", "choices": ["none", "own", "all"], "default": "none"},
            "update_cache": {
                "type": "str",
                "choices": ["never", "when_unknown", "always"],
                "default": "when_unknown",
            },
            "refusal_hint": {"type": "str", "default": ""},
            "removal_hint": {"type": "str", "default": ""},
            "proof_argv": {"type": "list", "elements": "str", "default": []},
            "proof_stdout": {"type": "str", "default": ""},
            "lock_seconds": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    wanted = {
        name: value for name, value in module.params.items() if name not in ("name", "kept_where", "state")
    }
    place = module.params["kept_where"]
    if place and not Path(place).exists():
        wanted["kept"] = []

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        rc, out, err = module.run_command(
            list(argv), environ_update=_ENVIRONMENT, handle_exceptions=False, errors="surrogate_then_replace"
        )
        return rc, out, err

    try:
        asked = Wanted(names=module.params["name"], **wanted)
        given = (run, SystemClock(), asked, Ledger(Path("/", LEDGER_FILE)))
        state = module.params["state"]
        work = (
            HeldPackages(*given) if state == "present" else ReleasedPackages(*given, purge=state == "absent")
        )
        outcome = work.bring_about(check_mode=module.check_mode)
    except PackagesError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename or 'a command'} cannot be run: {error.strerror}; this needs apt and dpkg"
        )
    module.exit_json(
        changed=outcome.changed,
        present=outcome.present,
        before=_plain(outcome.before),
        after=_plain(outcome.after),
        diff={"before": _text(outcome.before), "after": _text(outcome.after)},
    )


if __name__ == "__main__":
    main()
