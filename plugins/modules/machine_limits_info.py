#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine's kernel lets Kubernetes do on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_limits_info
short_description: Tell what a machine's kernel lets Kubernetes do on it
version_added: 0.1.0
description:
  - Reads V(/proc), V(/sys), V(/run) and V(/etc) of the machine it runs on.
  - The answers decide settings of the kubelet, kube-proxy and containerd that work on one machine and stop another,
    such as a container that has no C(CAP_SYS_RESOURCE), or a host that still has control groups of version 1.
  - Run it as root. Other accounts cannot see what PID 1 may do.
author:
  - Ironbinder maintainers (@ironbinder)
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
  diff_mode:
    support: none
    description: Nothing is ever changed.
  idempotent:
    support: full
    description: Nothing is ever changed.
"""

EXAMPLES = r"""
- name: Learn what this machine may do
  ironbinder.platform.machine_limits_info:
  register: machine

- name: Show where pods find a name server
  ansible.builtin.debug:
    msg: "{{ machine.resolv_conf }}"
"""

RETURN = r"""
cgroup_version:
  description:
    - Version of the control groups at V(/sys/fs/cgroup), 1 or 2. A hybrid tree counts as 1.
    - The kubelet starts on version 1 only with C(failCgroupV1) false.
  returned: success
  type: int
  sample: 2
can_lower_oom_score:
  description:
    - Whether services here may lower their score for the out-of-memory killer (C(CAP_SYS_RESOURCE) in the first user namespace).
    - Where they may not, containerd needs C(restrict_oom_score_adj), and the kubelet and kube-proxy need C(oomScoreAdj) 0.
  returned: success
  type: bool
  sample: true
can_set_conntrack:
  description:
    - Whether the size of the connection tracking table can be set here. In containers it belongs to the host.
    - Where it cannot, kube-proxy needs C(conntrack.maxPerCore) and C(conntrack.min) 0.
  returned: success
  type: bool
  sample: true
resolver_is_loopback:
  description: Whether V(/etc/resolv.conf) names a server on the machine itself, which pods cannot reach.
  returned: success
  type: bool
  sample: false
resolv_conf:
  description:
    - File with at least one name server and none on the machine itself, for the kubelet's C(resolvConf).
    - Empty when there is none. Pods then have no names, and CoreDNS stops because it would ask itself.
  returned: success
  type: str
  sample: /run/systemd/resolve/resolv.conf
has_cloud_init:
  description: Whether cloud-init has a folder for its configuration here.
  returned: success
  type: bool
is_container:
  description:
    - Whether the machine is a container that runs an init system.
    - Its clock, its swap and its kernel's modules belong to the host.
  returned: success
  type: bool
  sample: false
swap_bytes:
  description: Swap in use or ready for use. In a container this is the host's.
  returned: success
  type: int
  sample: 0
fstab_has_swap:
  description: Whether V(/etc/fstab) brings swap back at the next start.
  returned: success
  type: bool
  sample: false
swap_target_masked:
  description: Whether C(swap.target) is masked, so that no unit, generator or partition type brings swap back.
  returned: success
  type: bool
  sample: true
missing_kernel_modules:
  description: Those of V(overlay) and V(br_netfilter) that are neither loaded nor built in.
  returned: success
  type: list
  elements: str
  sample: []
kernel_parameters:
  description: What the parameters that pods' traffic needs are now. Empty where the kernel has none, for want of a module.
  returned: success
  type: dict
  sample: {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1", "net.bridge.bridge-nf-call-ip6tables": "1"}
inotify_parameters:
  description: How many instances and watches of inotify one user may have now.
  returned: success
  type: dict
  sample: {"fs.inotify.max_user_instances": "128", "fs.inotify.max_user_watches": "60803"}
mounted_files:
  description:
    - Those of V(/etc/hosts), V(/etc/hostname) and V(/etc/resolv.conf) that are mounts of their own, as in containers.
    - Such a file can be written to, but not replaced.
  returned: success
  type: list
  elements: str
  sample: []
memory_bytes:
  description: All of the machine's memory, as the kubelet counts it. In a container this is the host's.
  returned: success
  type: int
  sample: 16777216000
cpus:
  description: Processors that run, at least one.
  returned: success
  type: int
  sample: 4
disk_bytes:
  description:
    - Size of the file system that holds V(/var/lib/docker), V(/var/lib/containerd) and V(/var/lib/kubelet); of the smallest,
      where they are several. What is not there yet counts where it will be.
  returned: success
  type: int
  sample: 107374182400
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.limits import read_machine_limits
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineError


def main() -> None:
    """Read and report."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        limits = read_machine_limits()
    except MachineError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **asdict(limits))


if __name__ == "__main__":
    main()
