# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A good site, before its first run and after it.

It has the documentation's addresses: head1 .11, worker1 .21, worker2 .22, proxy1 .31, mirror1 .41, floating
.101 to .103.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).parents[3] / "roles" / "site"
NOW = 1_800_000_000.0
DAY = 86_400
TOKEN = {"text": True, "empty": False, "default": False, "length": 64, "hex": True}
PASSWORD = {"text": True, "empty": False, "default": False, "length": 20, "hex": False}


def contract_specs() -> dict[str, Any]:
    """The contract's names and types."""
    return dict(
        yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["contract"][
            "options"
        ]
    )


SPECS = contract_specs()
# Machines by the last number of their address; others are further workers.
NAMES = {11: "head1", 12: "head2", 13: "head3", 31: "proxy1", 41: "mirror1"}


def host(address: str, number: int, **probe: Any) -> dict[str, Any]:
    """A machine that has been looked at."""
    mac = f"02:00:00:00:00:{number:02x}"
    return {
        "variables": {"ansible_host": address},
        "state": "seen",
        "facts": {
            "distribution": "Debian",
            "distribution_version": "12.11",
            "architecture": "x86_64",
            "memtotal_mb": 16000,
            "processor_vcpus": 4,
            "hostname": NAMES.get(number, f"worker{number - 20}"),
            "python_version": "3.11.2",
            "virtualization_type": "kvm",
            "gateway": "192.0.2.1",
            "interfaces": [
                {"name": "lo", "mac": "", "cidr": "127.0.0.1/8"},
                {"name": "eth0", "mac": mac, "cidr": f"{address}/24"},
                {"name": "cni0", "mac": "", "cidr": "10.244.0.1/24"},
            ],
        },
        "probe": {
            "listening": [{"port": 22, "process": "sshd"}],
            "swaps": [],
            "modules": {"overlay": "present", "br_netfilter": "loadable"},
            "machine_id": f"{number:032x}",
            "cgroup": {"version": 2, "controllers": ["cpu", "memory", "pids"]},
            "disk": {"path": "/var/lib", "free_mb": 90_000, "size_mb": 100_000},
            "builds": {"slice": False, "memory_bytes": None},
            "capacity": {
                "boot_id": f"boot-{number}",
                "file_systems": [
                    {"path": f"/var/lib/{store}", "device": 65024, "total_bytes": 200_000_000_000}
                    for store in ("docker", "containerd", "kubelet")
                ],
                "inotify": {"max_user_instances": 128, "max_user_watches": 60_803},
            },
            "kubernetes": {"joined": False, "api_version": "", "kubelet_version": ""},
            "docker": {"socket": False, "engine": ""},
            "peers": {},
            "arp": {},
            "urls": {},
            "root": True,
            "epoch": NOW - 2.0,
            "asked_epoch": NOW - 3.0,
            **probe,
        },
    }


def answers() -> dict[str, Any]:
    """What a node of a new site is answered: the registry does not run yet, the mirror does."""
    return {
        "registry": {
            "url": "https://192.0.2.41:5000/v2/",
            "error": "refused",
            "detail": "refused",
            "seconds": 0.1,
        },
        "packages": {"url": "https://192.0.2.41/pkgs.k8s.io/Release.key", "status": 200, "seconds": 0.1},
    }


def good_site() -> dict[str, Any]:
    """A bare-metal site without a fault, before its first run."""
    certificate = {
        "names": ["binder.example.org", "192.0.2.41"],
        "not_before": NOW - DAY,
        "not_after": NOW + 300 * DAY,
        "chain_missing": "",
        "key_matches": True,
        "key_mode": 0o600,
    }
    return {
        "values": {
            "site_name": "stfc",
            "site_public_url": "https://binder.example.org",
            "site_floating_pool": "192.0.2.101-192.0.2.103",
            "site_registry_host": "192.0.2.41:5000",
            "site_registry_prefix": "binder/stfc-",
            "site_registry_username": "binder",
            "site_registry_pull_username": "binder-pull",
            "artifact_source": "mirror",
            "artifact_mirror_url": "https://192.0.2.41",
            "site_ca_files": ["ca.crt"],
            "site_docker_hub_mirrors": ["https://192.0.2.41"],
            "site_registry_plain_http_enabled": False,
            "site_ntp_servers": ["192.0.2.1"],
            "site_pod_subnet": "10.244.0.0/16",
            "site_service_subnet": "10.96.0.0/12",
            "site_api_address": "192.0.2.11",
            "site_api_port": 6443,
            "site_pod_network_provider": "routed",
            "site_pod_network_manifest": "",
            "site_kubernetes_client_host": "localhost",
            "site_hubs": {"binder": {}},
            "site_binderhub_chart_repository": "https://192.0.2.41/charts",
            "site_binderhub_chart": "binderhub",
            "site_binderhub_chart_version": "1.0.0-0.dev.git.3983.h383374de",
            # Later than any that is known to have a hole.
            "site_hub_image": "quay.io/jupyterhub/k8s-hub:9.0.0",
            "site_anonymous_access_acknowledged": False,
            "site_proxy_tls_certificate_file": "proxy.crt",
            "site_proxy_tls_key_file": "proxy.key",
            "site_registry_tls_certificate_file": "registry.crt",
            "site_registry_tls_key_file": "registry.key",
            "site_verify_provider": "gh",
            "site_verify_spec": "binder-examples/requirements/HEAD",
            "site_verify_kernel_enabled": True,
            "site_verify_kernel_timeout_seconds": 120,
            "site_verify_expect": {},
            "site_session_cpu_guarantee": 0.05,
            "site_session_cpu_limit": 1.0,
            "site_session_memory_guarantee": "256M",
            "site_session_memory_limit": "2G",
            "site_session_ephemeral_storage_guarantee": "256Mi",
            "site_session_ephemeral_storage_limit": "4Gi",
            "site_session_pids_limit": 1024,
            "site_session_max_age_seconds": 43200,
            "site_build_max_age_seconds": 14400,
            "site_drain_timeout_seconds": 900,
            "site_user_nodes_tainted": False,
            "site_build_node_selector": {"hub.jupyter.org/node-purpose": "user"},
            "site_kubernetes_version": "1.36.3",
            "site_containerd_version": "2.4.2",
            "site_accepted_findings": {},
            "site_supported_systems": ["Debian 12", "Debian 13", "Ubuntu 22.04", "Ubuntu 24.04"],
        },
        "specs": SPECS,
        "given": ["site_name"],
        "errors": [],
        "unknown": [],
        "renamed": [],
        "groups": {
            "all": ["head1", "worker1", "worker2", "proxy1", "mirror1"],
            "ungrouped": [],
            "head": ["head1"],
            "workers": ["worker1", "worker2"],
            "proxy": ["proxy1"],
            "registry": ["mirror1"],
            "mirror": ["mirror1"],
        },
        "hosts": {
            "head1": host("192.0.2.11", 11, urls=answers(), peers={"192.0.2.21": "reachable"}),
            "worker1": host("192.0.2.21", 21, urls=answers(), peers={"192.0.2.11": "reachable"}),
            "worker2": host("192.0.2.22", 22, urls=answers(), peers={"192.0.2.11": "reachable"}),
            "proxy1": host("192.0.2.31", 31),
            "mirror1": host("192.0.2.41", 41),
        },
        "secrets": {
            "values": {
                "site_hub_proxy_tokens.binder": dict(TOKEN),
                "site_hub_api_tokens.binder": dict(TOKEN),
                "site_registry_password": dict(PASSWORD),
                "site_registry_pull_password": dict(PASSWORD),
            },
            "equal": [],
            "shared": [],
            "files": [
                {"path": "secrets.yml", "mode": 0o600, "encrypted": True, "tracked": True, "ignored": False}
            ],
        },
        "controller": {
            "names": {"binder.example.org": {"addresses": ["192.0.2.31"]}},
            "ca_files": {"ca.crt": {"not_after": NOW + 3000 * DAY}},
            "tls": {"proxy": dict(certificate), "registry": dict(certificate)},
            "chart": {"versions": ["1.0.0-0.dev.git.3983.h383374de"], "kube_version": ">=1.28.0-0"},
            "manifest": {},
        },
        "clock": NOW,
    }


def running_site() -> dict[str, Any]:
    """The same site after a run: everything of ours is up, and holds its ports and addresses."""
    site = good_site()
    ours = [{"port": 10250, "process": "kubelet"}, {"port": 10256, "process": "kube-proxy"}]
    for name in ("head1", "worker1", "worker2"):
        probe = site["hosts"][name]["probe"]
        probe["listening"] += ours
        probe["kubernetes"] = {"joined": True, "api_version": "", "kubelet_version": "1.36.3"}
        # No build runs on the head.
        if name != "head1":
            probe["docker"] = {"socket": True, "engine": "docker"}
        answer = {
            "url": "https://192.0.2.41:5000/v2/",
            "status": 401,
            "challenge": "Basic realm=x",
            "seconds": 0.1,
        }
        probe["urls"] = {**probe["urls"], "registry": answer, "registry_login": {**answer, "status": 200}}
    site["hosts"]["head1"]["probe"]["urls"] |= {
        "registry_pull_login": {"url": "https://192.0.2.41:5000/v2/", "status": 200},
        "registry_pull_push": {"url": "https://192.0.2.41:5000/v2/", "status": 403},
    }
    head = site["hosts"]["head1"]["probe"]
    head["listening"] += [
        {"port": 6443, "process": "kube-apiserver"},
        {"port": 2379, "process": "etcd"},
        {"port": 2380, "process": "etcd"},
        {"port": 10257, "process": "kube-controller"},
        {"port": 10259, "process": "kube-scheduler"},
    ]
    head["kubernetes"]["api_version"] = "1.36.3"
    # MetalLB answers for the address with the hardware address of worker1.
    head["arp"] = {"192.0.2.101": "02:00:00:00:00:15"}
    site["hosts"]["proxy1"]["probe"]["listening"] += [
        {"port": 80, "process": "nginx"},
        {"port": 443, "process": "nginx"},
    ]
    site["hosts"]["mirror1"]["probe"]["listening"] += [{"port": 5000, "process": "registry"}]
    return site
