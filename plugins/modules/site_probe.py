#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Look at one machine, for site_check."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_probe
short_description: Look at a machine and at what it can reach
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Tells what M(ironbinder.platform.site_check) has to know about a machine beyond Ansible's facts.
  - Reads only, and opens connections that it closes again. Whether an account may push is asked by beginning an upload, which is
    refused, or called off.
  - All options are filled in from the site contract by the action plugin of the same name. A contract that is wrong never
    stops the probe.
options:
  modules:
    description: Kernel modules to look for.
    type: list
    elements: str
    default: [overlay, br_netfilter]
  peers:
    description: Addresses of other nodes to try a TCP connection to.
    type: list
    elements: str
    default: []
  peer_port:
    description: Port of these connections. A refusal counts as reached.
    type: int
    default: 22
  neighbours:
    description: Addresses to ask for by ARP.
    type: list
    elements: str
    default: []
  urls:
    description: URLs to read, by a name of your choice. A few redirects are followed.
    type: dict
    default: {}
  package_indexes:
    description:
      - Lists of packages of apt repositories.
      - C(list) is the URL of a C(Packages.gz), C(release) that of the repository's C(InRelease).
    type: list
    elements: dict
    default: []
  package_names:
    description: Packages to look for in them.
    type: list
    elements: str
    default: []
  registry_url:
    description: The C(/v2/) of the registry. Where it redirects is told, and not followed. Empty to ask none.
    type: str
    default: ""
  registry_username:
    description: Account to log in with at the registry.
    type: str
    default: ""
  registry_password:
    description:
      - Its password. Empty not to log in.
      - It is told to the registry, or to the token server that the registry names if that speaks TLS or the registry does not.
    type: str
    default: ""
  registry_pull_username:
    description: Account that is to pull from the registry only.
    type: str
    default: ""
  registry_pull_password:
    description: Its password, which is told as O(registry_password) is. Empty not to try this account.
    type: str
    default: ""
  registry_push_repository:
    description: Repository in which the account that is to pull only tries to begin an upload. One that is let in is called off.
    type: str
    default: ""
  registry_push_tried:
    description: Try to begin an upload there with O(registry_username) as well.
    type: bool
    default: false
  registry_token_url:
    description: Token service that is asked for a token for this repository, as BinderHub asks it. Empty to ask none.
    type: str
    default: ""
  ca_pem:
    description: Certificates to trust beside the machine's own, in PEM.
    type: str
    default: ""
  listen:
    description:
      - Ports that are to answer for a while where nothing listens, for M(ironbinder.platform.port_probe) on other machines.
      - Each has C(protocol), C(port) and C(expected), the names of those who will call.
      - A process with nobody's rights holds them, until all have called, another probe comes, or O(listen_seconds) are over.
      - On a machine that is a node of a cluster nothing is opened, as its own daemons may be about to start.
    type: list
    elements: dict
    default: []
  listen_name:
    description: The inventory's name of this machine. An earlier probe's ports of that name are closed, and no others.
    type: str
    default: ""
  listen_token:
    description: What these ports answer.
    type: str
    default: ""
  listen_seconds:
    description: When they are closed at the latest.
    type: float
    default: 20
  tries_ports:
    description: Whether M(ironbinder.platform.port_probe) follows. The action plugin then fills in O(listen) and O(packets).
    type: bool
    default: false
  packets:
    description: Packets that the rules of this machine's firewall are to be judged by, each with C(hook) and what is known of it.
    type: dict
    default: {}
  proxy_environment:
    description:
      - The site's HTTP proxy as C(http_proxy), C(https_proxy) and C(no_proxy). Empty for what the machine's environment says.
    type: dict
    default: {}
  asked_epoch:
    description: The controller's time when it asked, in seconds. Handed back, to compare clocks by.
    type: float
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
seealso:
  - module: ironbinder.platform.site_check
"""

EXAMPLES = r"""
- name: Look at every machine
  ironbinder.platform.site_probe:
  become: true
  register: probe
"""

RETURN = r"""
probe:
  description: What was seen.
  returned: success
  type: dict
  contains:
    listening: {description: "Listening TCP ports, each with C(port) and C(process).", type: list, elements: dict}
    swaps: {description: Swap devices., type: list, elements: str}
    modules: {description: "C(present), C(loadable), C(absent) or C(unknown) for each kernel module.", type: dict}
    machine_id: {description: The machine-id., type: str}
    cgroup: {description: "C(version) and C(controllers).", type: dict}
    disk:
      description:
        - C(path), C(free_mb) and C(size_mb); and C(mounts), the same of each file system that will hold images, with C(paths).
      type: dict
    builds:
      description: Whether builds have a C(slice) of systemd, and the C(memory_bytes) to which the kernel holds it, if it does.
      type: dict
    capacity:
      description:
        - What M(ironbinder.platform.site_capacity) counts with, C(boot_id), C(inotify), and C(file_systems) with C(path),
          C(device) and C(total_bytes) each.
      type: dict
    kubernetes: {description: "C(joined), C(api_version) and C(kubelet_version).", type: dict}
    cluster:
      description:
        - What the machine knows of its cluster, C(networks), C(containerd_version) and C(source); where C(source) is not
          empty also C(made_here), C(name), C(pod_subnet), C(service_subnet) and C(api_endpoint), and on a head
          whose API answers C(hubs).
      type: dict
    upkeep:
      description:
        - The machine's C(certificates) of the cluster, each with C(name), C(file), C(kind), C(not_after), C(error), C(port) and
          C(served), whether the port serves this one; and on a head C(etcd), C(snapshots), C(renewal) and C(timer_at).
      type: dict
    members:
      description:
        - C(was), the groups whose stage has ended well on this machine; on a head also C(nodes), the machine-id of each node of
          its cluster, and C(removed), C(machine_id) and C(at) of nodes that were removed from it.
      type: dict
    site_lock: {description: "Who has the site's lock, see M(ironbinder.platform.site_lock); nothing where free.", type: dict}
    docker: {description: "C(socket) and C(engine).", type: dict}
    past:
      description:
        - What the machine was before, C(docker), C(containerd), C(crio), C(apt), C(dpkg), C(locks), C(cluster), C(swap_units),
          C(cloud_hosts), C(apparmor), C(sysctls) and C(nginx).
      type: dict
    guard:
      description: Whether the guard is C(present), and its C(faults), how the kernel's table differs. Asked by root only.
      type: dict
    firewall:
      description:
        - C(ufw), whether it is active; C(zone), firewalld's default zone; C(own), whether role firewall's table is loaded.
        - C(chains) that drop anything and are neither ours nor the cluster's, each with C(tool), C(family), C(table), C(chain),
          C(hook), C(policy), and the names of O(packets) that are C(dropped) and that are C(unknown).
        - Asked by root only.
      type: dict
    listeners:
      description: C(opened), C(held) by others, C(failed), lists of ports as C(tcp 6443); C(token), and C(seconds) they last.
      type: dict
    peers: {description: What came of each connection., type: dict}
    arp: {description: Hardware addresses of those that answered., type: dict}
    resolver: {description: "C(loopback) and C(usable): the name servers, and whether pods can reach one.", type: dict}
    urls:
      description:
        - C(status) and C(seconds), or C(error) and C(detail), for each URL. C(redirect) where it leads elsewhere.
        - The registry is there as C(registry), the login as C(registry_login) with C(login), the URL that was told the password.
        - The account that is to pull only is there as C(registry_pull_login), and C(registry_pull_push) with C(status) 202 where
          it may push, C(anonymous) where everybody may, and C(called_off). The other's attempt is C(registry_push).
        - The token service is there as C(registry_token), with C(token), whether it gave one.
      type: dict
    packages: {description: "Versions of each package, of all lists that could be read.", type: dict}
    unread_lists:
      description: URLs of the lists of packages that could not be read, or that no C(InRelease) vouches for.
      type: list
      elements: str
    read_lists: {description: URLs of the lists of packages that were read., type: list, elements: str}
    gone_lists:
      description: Of the lists that could not be read, those whose server says that it has no such repository, with what it says.
      type: dict
    installed:
      description: Versions of the packages of Docker, containerd and the pods' network, empty for those that are not installed.
      type: dict
    root: {description: Whether this ran as root., type: bool}
    epoch: {description: The machine's time in seconds., type: float}
    asked_epoch: {description: The controller's., type: float}
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.cluster_facts import cluster_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.firewall import firewall_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.guard import guard_faults
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.members import member_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.pair import installed_packages
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past import past_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.probe import MachineProbe
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.site_lock import site_lock_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.upkeep import upkeep_facts
from ansible_collections.ironbinder.platform.plugins.module_utils._net.listeners import (
    PROCESS_NAME,
    end_listeners,
    handle_of,
    open_listeners,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.probe import ask_neighbours, ask_peers
from ansible_collections.ironbinder.platform.plugins.module_utils._net.servers import ask_servers


def listen(params: dict[str, Any], joined: bool) -> dict[str, Any]:
    """Have ports answer that nothing listens on. Before there is any thread, as it makes another process."""
    wanted = [] if joined else params["listen"]
    handle = handle_of(params["listen_name"])
    told = open_listeners(wanted, params["listen_token"], params["listen_seconds"], handle)
    return {**told, "seconds": params["listen_seconds"]}


def look(params: dict[str, Any]) -> dict[str, Any]:
    """Look at this machine. The slow questions, to others, are asked at once."""
    epoch = time.time()
    machine = MachineProbe(Path("/"), os.uname().release)
    is_root = os.geteuid() == 0
    # Not those of another name of this machine, which others are about to try.
    if params["listen_name"]:
        end_listeners(handle_of(params["listen_name"]))
    listening = [entry for entry in machine.listening() if entry["process"] != PROCESS_NAME]
    kubernetes = machine.kubernetes()
    listeners = listen(params, kubernetes["joined"])
    with ThreadPoolExecutor(max_workers=8) as pool:
        peers = pool.submit(ask_peers, params["peers"], params["peer_port"])
        arp = pool.submit(ask_neighbours, params["neighbours"], machine.neighbours)
        servers = pool.submit(ask_servers, params)
        cluster = pool.submit(cluster_facts, Path("/"))
        upkeep = pool.submit(upkeep_facts, Path("/"))
        members = pool.submit(member_facts, Path("/"))
        guard = pool.submit(guard_faults) if is_root else None
        firewall = pool.submit(firewall_facts, params["packets"]) if is_root else None
        return {
            "listening": listening,
            "listeners": listeners,
            "swaps": machine.swaps(),
            "modules": machine.modules(params["modules"]),
            "machine_id": machine.machine_id(),
            "cgroup": machine.cgroup(),
            "disk": machine.disk(),
            "builds": machine.builds(),
            "capacity": machine.capacity(),
            "kubernetes": kubernetes,
            "cluster": cluster.result(),
            "upkeep": upkeep.result(),
            "members": members.result(),
            "docker": machine.docker(),
            "installed": installed_packages(Path("/")),
            "past": past_facts(Path("/"), [index.get("release", "") for index in params["package_indexes"]]),
            "guard": guard.result() if guard else {},
            "firewall": firewall.result() if firewall else {},
            "site_lock": site_lock_facts(Path("/"), epoch),
            "resolver": machine.resolver(),
            "peers": peers.result(),
            "arp": arp.result(),
            **servers.result(),
            "root": is_root,
            "epoch": epoch,
            "asked_epoch": params["asked_epoch"],
        }


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(
        argument_spec={
            "modules": {"type": "list", "elements": "str", "default": ["overlay", "br_netfilter"]},
            "peers": {"type": "list", "elements": "str", "default": []},
            "peer_port": {"type": "int", "default": 22},
            "neighbours": {"type": "list", "elements": "str", "default": []},
            "urls": {"type": "dict", "default": {}},
            "package_indexes": {"type": "list", "elements": "dict", "default": []},
            "package_names": {"type": "list", "elements": "str", "default": []},
            "registry_url": {"type": "str", "default": ""},
            "registry_username": {"type": "str", "default": ""},
            "registry_password": {"type": "str", "default": "", "no_log": True},
            "registry_pull_username": {"type": "str", "default": ""},
            "registry_pull_password": {"type": "str", "default": "", "no_log": True},
            "registry_push_repository": {"type": "str", "default": ""},
            "registry_push_tried": {"type": "bool", "default": False},
            "registry_token_url": {"type": "str", "default": "", "no_log": False},
            "ca_pem": {"type": "str", "default": ""},
            "listen": {"type": "list", "elements": "dict", "default": []},
            "listen_name": {"type": "str", "default": ""},
            "listen_token": {"type": "str", "default": "", "no_log": False},
            "listen_seconds": {"type": "float", "default": 20},
            "tries_ports": {"type": "bool", "default": False},
            "packets": {"type": "dict", "default": {}},
            "proxy_environment": {"type": "dict", "default": {}, "no_log": True},
            "asked_epoch": {"type": "float"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, probe=look(module.params))


if __name__ == "__main__":
    main()
