# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A node in network namespaces, with a real kernel and what role guard writes: pods on a bridge, Docker's bridge, and an outside.

The outside is the gateway, and holds every address that is not on the node, so that whatever the node lets out is answered.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/guard"
TALK = Path(__file__).with_name("guard_talk.py")
NFT = "/usr/sbin/nft"
# What the node's network is, without the guard: kube-proxy's work, and the addresses that pods leave with.
PROXY = """
table ip kube {
    map services {
        type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
        elements = {
            10.96.0.10 . tcp . 53 : 10.244.1.2 . 53, 10.96.0.10 . udp . 53 : 10.244.1.2 . 53,
            10.96.0.1 . tcp . 443 : 172.30.77.11 . 6443,
            10.96.1.2 . tcp . 8081 : 10.244.1.10 . 8081,
            10.96.1.3 . tcp . 8001 : 10.244.1.11 . 8001,
            10.96.1.9 . tcp . 8081 : 10.244.1.10 . 8081,
            172.30.77.101 . tcp . 80 : 10.244.1.11 . 8000,
            172.30.77.102 . tcp . 80 : 10.244.1.11 . 8000
        }
    }
    chain node_ports { fib daddr type local tcp dport 30585 dnat to 10.244.1.10:8081; }
    chain prerouting {
        type nat hook prerouting priority dstnat;
        dnat ip to ip daddr . ip protocol . th dport map @services
        jump node_ports
    }
    chain output {
        type nat hook output priority -100;
        dnat ip to ip daddr . ip protocol . th dport map @services
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
        ip saddr 172.16.0.0/13 oifname "eth0" masquerade
    }
}
"""


class Pod(NamedTuple):
    """A pod of the node: whose it is, and what listens in it."""

    namespace: str
    name: str
    address: str
    ports: tuple[int, ...] = (8888,)


PODS = {
    "dns": Pod("kube-system", "coredns-1", "10.244.1.2", (53, 9153)),
    "hub": Pod("binder", "hub-1", "10.244.1.10", (8081,)),
    "proxy": Pod("binder", "proxy-1", "10.244.1.11", (8000, 8001)),
    "session": Pod("binder", "jupyter-ann", "10.244.1.20"),
    "neighbour": Pod("binder", "jupyter-ben", "10.244.1.21"),
    "other": Pod("second", "jupyter-cid", "10.244.1.22"),
    "build": Pod("binder", "build-hello-1", "10.244.1.30"),
    "stranger": Pod("binder", "miner", "10.244.1.40"),
}
# RUN steps on Docker's bridge, a container on a network of Docker's, and a neighbour on a bridge of the machine's own.
STEPS = {
    "run": ("docker0", "172.17.0.2"),
    "step": ("docker0", "172.17.0.3"),
    "swarm": ("docker_gwbridge", "172.20.0.2"),
    "compose": ("br-0123456789ab", "172.18.0.2"),
    "lan": ("br-lan", "172.19.0.2"),
}
BRIDGES = {
    "docker0": "172.17.0.1",
    "docker_gwbridge": "172.20.0.1",
    "br-0123456789ab": "172.18.0.1",
    "br-lan": "172.19.0.1",
}
OUTSIDE_ADDRESSES = (
    *(f"172.30.77.{last}" for last in (1, 11, 22, 31, 41, 53, 99)),
    # The Internet, a part of it that is the site's, metadata, private and shared ranges, nobody's service, a pod elsewhere.
    *(
        "203.0.113.10",
        "203.0.113.150",
        "203.0.113.200",
        "169.254.169.254",
        "10.200.0.10",
        "192.168.99.10",
        "100.64.0.10",
        "198.18.0.10",
    ),
    *("10.100.0.99", "10.244.2.5"),
)
OUTSIDE_PORTS = (22, 25, 53, 80, 443, 2379, 5000, 6443, 8888, 10250, 30585)
NODE_ADDRESSES = ("172.30.77.21", "10.244.1.1", "172.17.0.1")
HUB = {"release": "binder", "values": {}, "secret_values": {}}
VARIABLES: dict[str, Any] = {
    "guard_node_name": "worker1",
    "guard_hubs": {
        "binder": {**HUB, "namespace": "binder", "node_port": 30585, "floating_ip": "172.30.77.101"},
        "second-hub": {**HUB, "namespace": "second", "node_port": 30586, "floating_ip": "172.30.77.102"},
        "third": {**HUB, "namespace": "third", "node_port": 30587, "floating_ip": "203.0.113.150"},
    },
    "guard_public_url": "http://172.30.77.31",
    "guard_mirror_url": "https://172.30.77.41",
    "guard_cluster_networks": [
        "10.244.0.0/16",
        "10.96.0.0/12",
        "172.30.77.11",
        "172.30.77.21",
        "172.30.77.22",
    ],
    # The second opens the kubelets of two nodes, as far as that goes, and the third metadata.
    "guard_session_allowed_networks": [
        {"network": "192.168.99.0/24", "ports": [443, "8000-8100"]},
        {"network": "172.30.77.20/30", "ports": [10250]},
        "169.254.0.0/16",
    ],
    "guard_denied_ports": [25, "465-587", 5000],
    "guard_build_allowed_networks": [{"network": "172.30.77.41", "ports": [80]}],
    "guard_denied_networks": ["203.0.113.192/26"],
    "guard_node_port_clients": ["172.30.77.31"],
}


def render(folder: Path, variables: dict[str, Any] = VARIABLES) -> list[dict[str, Any]]:
    """Have Ansible compute the files that the role writes, as `managed_files` gets them."""
    for name in ("templates", "files"):
        (folder / name).symlink_to(ROLE / name)
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "content": "{{ __guard_file_groups | to_json }}",
                    "dest": "{{ playbook_dir }}/groups.json",
                    "mode": "0600",
                }
            }
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "play.yml"]
    done = subprocess.run(
        [*command, "-e", json.dumps({**variables, "ansible_python_interpreter": sys.executable})],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads((folder / "groups.json").read_text()))


class Installed:
    """What the role writes, below a folder, with the paths in it turned there."""

    def __init__(self, folder: Path, groups: Iterable[dict[str, Any]]) -> None:
        self.folder = folder
        for group in groups:
            place = folder / group["folder"].lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            for name, content in group["files"].items():
                text = content.replace('"/usr/local/lib/ironbinder"', f'"{folder}/usr/local/lib/ironbinder"')
                (place / name).write_text(text)
                (place / name).chmod(int(group.get("mode", "0644"), 8))
        self.config_file = folder / "etc/ironbinder/guard.json"
        config = json.loads(self.config_file.read_text())
        for key in ("rules_file", "state_dir", "kubeconfig", "cni_config_dir"):
            config[key] = f"{folder}{config[key]}"
        self.config_file.write_text(json.dumps(config))
        self.config: dict[str, Any] = config
        self.rules_file = Path(config["rules_file"])
        self.rules = self.rules_file.read_text()
        self.program = [str(folder / "usr/local/sbin/ironbinder-guard"), "--config", str(self.config_file)]
        self.plugin = str(folder / "opt/cni/bin/ironbinder-guard")
        Path(config["cni_config_dir"]).mkdir(parents=True)

    def forget(self) -> None:
        """As after a start of the machine: nothing is known, and the rules are the role's."""
        shutil.rmtree(self.config["state_dir"], ignore_errors=True)
        self.rules_file.write_text(self.rules)


class Node:
    """The namespaces. `close` removes them and ends what runs in them."""

    def __init__(self, installed: Installed) -> None:
        self.installed = installed
        self.prefix = f"ib-guard-{os.getpid()}"
        self.listeners: list[subprocess.Popen[str]] = []
        self.name_servers = Path(f"/etc/netns/{self.prefix}-node")

    def open(self) -> None:
        """Make everything."""
        self.name_servers.mkdir(parents=True)
        (self.name_servers / "resolv.conf").write_text("nameserver 172.30.77.53\n")
        for name in ("node", "outside", *PODS, *STEPS):
            run("ip", "netns", "add", self.name(name))
            self.ip(name, "link set lo up")
        for bridge, address in (
            ("cni0", "10.244.1.1/24"),
            *((name, f"{own}/16") for name, own in BRIDGES.items()),
        ):
            self.ip(
                "node",
                f"link add {bridge} type bridge",
                f"address add {address} dev {bridge}",
                f"link set {bridge} up",
            )
        self.ip("node", "address add fd00::1/64 dev cni0 nodad")
        for number, (name, pod) in enumerate(PODS.items(), 2):
            self._join(name, "cni0", f"{pod.address}/24", "10.244.1.1", f"fd00::{number}/64")
        for name, (bridge, address) in STEPS.items():
            self._join(name, bridge, f"{address}/16", BRIDGES[bridge], "")
        self._join_outside()
        self.execute("node", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
        self.execute("node", NFT, "-f", "-", text=PROXY)
        self._listen()

    def close(self) -> None:
        """Remove everything."""
        for process in self.listeners:
            process.terminate()
            process.wait(60)
        for name in ("node", "outside", *PODS, *STEPS):
            subprocess.run(["ip", "netns", "del", self.name(name)], check=False, capture_output=True)
        shutil.rmtree(self.name_servers, ignore_errors=True)

    def name(self, name: str) -> str:
        """The namespace's own name."""
        return f"{self.prefix}-{name}"

    def execute(self, where: str, *command: str, text: str = "", check: bool = True) -> str:
        """Run a command in a namespace and give what it prints."""
        return run("ip", "netns", "exec", self.name(where), *command, text=text, check=check)

    def ip(self, where: str, *lines: str) -> None:
        """Change a namespace's network."""
        run("ip", "-n", self.name(where), "-batch", "-", text="\n".join(lines) + "\n")

    def guard(self, *verbs: str) -> subprocess.CompletedProcess[str]:
        """Run the program on the node."""
        command = ["ip", "netns", "exec", self.name("node"), *self.installed.program, *verbs]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def start_agent(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the agent on the node. It writes into `log`, of which the end may be cut off at any time."""
        command = ["ip", "netns", "exec", self.name("node"), *self.installed.program, "agent"]
        with log.open("a") as file:
            log.write_text("")
            return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    def plug(self, verb: str, name: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        """Call the network plugin for a pod, as containerd does. Gives its exit code and what it prints."""
        pod = PODS[name]
        conf = {
            "cniVersion": "1.0.0",
            "name": "ironbinder",
            "type": "ironbinder-guard",
            "config": str(self.installed.config_file),
            "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": f"{pod.address}/24"}]},
            **changes,
        }
        arguments = f"IgnoreUnknown=1;K8S_POD_NAMESPACE={pod.namespace};K8S_POD_NAME={pod.name}"
        environment = {
            "CNI_COMMAND": verb,
            "CNI_CONTAINERID": f"c-{name}",
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": arguments,
        }
        done = subprocess.run(
            ["ip", "netns", "exec", self.name("node"), self.installed.plugin],
            input=json.dumps(conf),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or "{}")

    def reach(self, where: str, targets: Iterable[tuple[Any, ...]]) -> list[bool]:
        """Try targets (kind, address, port[, own address[, own port]]) from a namespace."""
        told = [[*target, *("", 0)[len(target) - 3 :]] for target in targets]
        return list(
            json.loads(self.execute(where, sys.executable, str(TALK), "try", text=json.dumps(told) + "\n"))
        )

    def table(self) -> str:
        """The guard's table as the kernel has it, `` where it has none."""
        return self.execute("node", NFT, "list", "table", "inet", "ironbinder_guard", check=False)

    def _join(self, name: str, bridge: str, address: str, gateway: str, address6: str) -> None:
        run(
            "ip",
            "link",
            "add",
            f"veth{name[:8]}",
            "netns",
            self.name("node"),
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self.name(name),
        )
        self.ip(
            "node",
            f"link set veth{name[:8]} master {bridge} up",
            f"link set veth{name[:8]} type bridge_slave hairpin on",
        )
        own = [f"address add {address6} dev eth0 nodad"] if address6 else []
        self.ip(
            name,
            f"address add {address} dev eth0",
            *own,
            "link set eth0 up",
            f"route add default via {gateway}",
        )

    def _join_outside(self) -> None:
        run(
            "ip",
            "link",
            "add",
            "eth0",
            "netns",
            self.name("node"),
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self.name("outside"),
        )
        self.ip(
            "node",
            "address add 172.30.77.21/24 dev eth0",
            "link set eth0 up",
            "route add default via 172.30.77.1",
        )
        lan = [
            f"address add {entry}/24 dev eth0"
            for entry in OUTSIDE_ADDRESSES
            if entry.startswith("172.30.77.")
        ]
        far = [
            f"address add {entry}/32 dev lo"
            for entry in OUTSIDE_ADDRESSES
            if not entry.startswith("172.30.77.")
        ]
        self.ip("outside", *lan, *far, "link set eth0 up", "route add 10.244.1.0/24 via 172.30.77.21")

    def _listen(self) -> None:
        both = ("tcp", "udp")
        places = {
            "outside": [
                (kind, address, port)
                for kind in both
                for address in OUTSIDE_ADDRESSES
                for port in OUTSIDE_PORTS
            ],
            "node": [
                ("tcp", address, port) for address in (*NODE_ADDRESSES, "fd00::1") for port in (22, 10250)
            ],
            **{name: [("tcp", address, 80)] for name, (_, address) in STEPS.items()},
        }
        for number, (name, pod) in enumerate(PODS.items(), 2):
            places[name] = [(kind, pod.address, port) for kind in both for port in pod.ports]
            places[name] += [("tcp", f"fd00::{number}", port) for port in pod.ports]
        for name, told in places.items():
            command = ["ip", "netns", "exec", self.name(name), sys.executable, str(TALK), "listen"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.listeners.append(process)
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.close()
            assert process.stdout.readline().strip() == "listening"


def run(*command: str, text: str = "", check: bool = True) -> str:
    """Run a command and give what it prints. What it says of a failure is in the assertion."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def why_not() -> str:
    """Say why no node can be made here, `` where it can."""
    if not Path(NFT).exists():
        return "nftables is not installed (apt-get install nftables)"
    name = f"ib-guard-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made (CAP_NET_ADMIN, CAP_SYS_ADMIN): {made.stderr.strip()}"
    asked = subprocess.run(
        ["ip", "netns", "exec", name, NFT, "add table inet x"], capture_output=True, text=True, check=False
    )
    subprocess.run(["ip", "netns", "del", name], check=False)
    return f"nftables cannot be changed: {asked.stderr.strip()}" if asked.returncode else ""
