# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a removed machine still has of its site; nothing, if the removal did its work."""

from __future__ import annotations

from collections.abc import Iterator

from machines import on

# Files by patterns of the shell; those that a package brings are none of these.
FILES = (
    "/etc/kubernetes/*.conf /etc/kubernetes/manifests/* /etc/kubernetes/pki/* /var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/pki/* /etc/cni/net.d/* /opt/cni/bin/ironbinder-guard /run/cni-ipam-state /run/ironbinder/guard",
    "/etc/ironbinder/* /usr/local/lib/ironbinder/* /usr/local/libexec/ironbinder/* /usr/local/sbin/ironbinder-*",
    "/var/lib/ironbinder/kubeadm-*.json /var/lib/ironbinder/kubelet.conf.d/* /var/lib/ironbinder/kubeadm-patches/*",
    "/etc/systemd/system/*ironbinder* /etc/systemd/system/*.d/*ironbinder* /etc/default/kubelet",
    "/etc/apt/sources.list.d/ironbinder* /etc/apt/keyrings/ironbinder-* /etc/apt/apt.conf.d/*ironbinder*",
    "/etc/sysctl.d/*ironbinder* /etc/modules-load.d/*ironbinder* /usr/local/share/ca-certificates/ironbinder-*",
    "/etc/cloud/cloud.cfg.d/*ironbinder*",
    "/etc/ssl/certs/ironbinder-* /etc/docker/certs.d/*/ca.crt /etc/containerd/certs.d/*/hosts.toml",
)
PACKAGES = "--showformat='${db:Status-Status} ${Package}\\n' kubelet kubeadm docker-ce containerd.io | grep '^installed '"
CHAINS = "for tool in iptables ip6tables; do $tool-save 2>/dev/null; done | grep -E 'KUBE-|CNI-|cali-|IRONBINDER'; true"
TABLES = "nft list tables | grep -E 'ironbinder|kube-proxy'; true"
UNITS = (
    "systemctl list-units --all --plain --no-legend --state=active,failed 'ironbinder*' kubelet.service; true"
)


def left_over(name: str, *, packages: bool = False) -> list[str]:
    """List what machine `name` still has. `packages`: whether those that Ironbinder installed were to go."""
    return list(_left(name, packages))


def _left(name: str, packages: bool) -> Iterator[str]:
    for patterns in FILES:
        yield from _lines(name, f"ls -d {patterns} 2>/dev/null; true")
    for script in (CHAINS, TABLES, UNITS):
        yield from _lines(name, script)
    yield from on(name, "ip", "-4", "route", "show", "proto", "99").splitlines()
    yield from _lines(name, "ip -brief link show dev cni0 2>/dev/null; true")
    yield from _lines(name, "grep 'machines of this site' /etc/hosts; true")
    yield from (f"{held} is held" for held in on(name, "apt-mark", "showhold").split())
    if packages:
        yield from _lines(name, f"dpkg-query --show {PACKAGES}; true")


def _lines(name: str, script: str) -> Iterator[str]:
    """What a script prints there, without programs and units that machines of the lab are made with."""
    return (line for line in on(name, "sh", "-c", script).splitlines() if "ironbinder-lab" not in line)
