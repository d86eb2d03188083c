# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about machines with a past: what runs there already, and what earlier owners left behind.

What is seen of a machine is documented in `_machine/past.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.past import (
    flag_at,
    foreign_docker,
    own_names,
    past_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

ADOPT = "site_adopt_docker"
KEEP = "site_keep_hostname"
PACKAGE = "site_containerd_package"
# What role node writes, and what else has to be as large as the site says.
FORWARDING = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
)
INOTIFY = {
    "fs.inotify.max_user_instances": "site_inotify_max_user_instances",
    "fs.inotify.max_user_watches": "site_inotify_max_user_watches",
}


def _unreplaced(site: Site, host: Host) -> str:
    """Say that no Docker comes in the place of one that containerd's package removes."""
    return "" if site.builds_on(host) else " (nothing builds here, so no other Docker comes)"


@rule(
    "docker-foreign",
    ERROR,
    "A node has another Docker than Ironbinder's own, and nobody said that it may be taken over.",
    acceptable=False,
)
def docker_foreign(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if (told := foreign_docker(host)) and not flag_at(site, host, ADOPT):
            yield Problem(
                f"has {told}; a run would replace or restart it",
                f"set {ADOPT}: true for this host and lose that{_unreplaced(site, host)}, or keep the machine out of this site",
                ADOPT,
                host.name,
            )


@rule("docker-adopted", WARNING, "Another Docker than Ironbinder's own will be taken over.")
def docker_adopted(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if (told := foreign_docker(host)) and flag_at(site, host, ADOPT):
            yield Problem(
                f"is true, and this machine has {told}; the stage nodes stops all of it{_unreplaced(site, host)}",
                "nothing, if that is wanted; images and volumes stay in /var/lib/docker",
                ADOPT,
                host.name,
            )


@rule("docker-snap", ERROR, "A node has Docker from a snap, beside which no other Docker can run.")
def docker_snap(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if past_of(host, "docker").get("snap") is True:
            yield Problem(
                "has the snap docker, which holds /run/docker.sock and keeps its containers in /var/snap/docker",
                "move what runs there, then: snap remove docker; its data stay in a snapshot of snapd",
                "",
                host.name,
            )


def _other_containerd(site: Site, host: Host) -> str:
    """Name a containerd that would be removed; nothing where Docker's finding tells of it."""
    told, wanted = past_of(host, "containerd"), site.text(PACKAGE) or "containerd.io"
    packages = {name: version for name, version in as_mapping(told.get("packages")).items() if name != wanted}
    if not packages or told.get("ours") is not False or foreign_docker(host):
        return ""
    names = " and ".join(f"{name} {version}" for name, version in packages.items())
    spaces = ", ".join(f"{count} in {space}" for space, count in as_mapping(told.get("running")).items())
    return f"{names}, which runs {spaces or 'no container'}"


@rule(
    "containerd-foreign",
    ERROR,
    "A node has another package of containerd, and nobody said that it may be removed.",
    acceptable=False,
)
def containerd_foreign(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if (told := _other_containerd(site, host)) and not flag_at(site, host, ADOPT):
            yield Problem(
                f"has {told}; installing {site.text(PACKAGE) or 'containerd.io'} removes it",
                f"set {ADOPT}: true for this host, or keep the machine out of this site",
                ADOPT,
                host.name,
            )


@rule("containerd-adopted", WARNING, "Another package of containerd will be removed.")
def containerd_adopted(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        if (told := _other_containerd(site, host)) and flag_at(site, host, ADOPT):
            yield Problem(
                f"is true, and this machine has {told}; the stage nodes removes it",
                "nothing, if that is wanted",
                ADOPT,
                host.name,
            )


@rule("crio-present", ERROR, "A node has CRI-O, a second runtime for the kubelet.")
def crio_present(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        version = as_text(as_mapping(host.probe.get("past")).get("crio"))
        if version:
            yield Problem(
                f"has CRI-O{'' if version == 'present' else f' {version}'}, which answers beside containerd",
                "where its pods are not needed: systemctl disable --now crio && apt-get purge cri-o",
                "",
                host.name,
            )


@rule("swap-comes-back", WARNING, "A unit of its own turns a node's swap on at each start.")
def swap_comes_back(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        units = [as_text(unit) for unit in as_list(as_mapping(host.probe.get("past")).get("swap_units"))]
        if units and not host.contained:
            swaps = [str(entry) for entry in as_list(host.probe.get("swaps"))]
            now = f", now to {', '.join(swaps)}" if swaps else ""
            yield Problem(
                f"{' and '.join(units)} turns swap on by itself{now}",
                "nothing, if losing the swap is fine: role node turns it off before the kubelet starts; "
                f"or remove what brings it: systemctl disable --now {units[0]}",
                "",
                host.name,
            )


@rule(
    "hosts-file-rewritten", WARNING, "A node's user data has cloud-init write /etc/hosts anew at each start."
)
def hosts_file_rewritten(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        file = as_text(as_mapping(host.probe.get("past")).get("cloud_hosts"))
        # What an image brings, role node overrides by a file of its own; user data goes over both.
        if file and not file.startswith("/etc/cloud/"):
            yield Problem(
                f"has manage_etc_hosts in its user data ({file}), so that the names of the nodes are gone after a restart",
                "set manage_etc_hosts: false where the user data was given, or turn cloud-init off on this machine: "
                "touch /etc/cloud/cloud-init.disabled",
                "",
                host.name,
            )


@rule(
    "apparmor-without-parser", WARNING, "A node's kernel has AppArmor, and nothing there can load a profile."
)
def apparmor_without_parser(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        told = past_of(host, "apparmor")
        if told.get("enabled") is True and told.get("parser") is False and not host.contained:
            yield Problem(
                "has AppArmor in its kernel and no apparmor_parser: containers run there without its profiles",
                "apt-get install apparmor, and restart the machine when that suits; or nothing",
                "",
                host.name,
            )


@rule("sysctl-overridden", ERROR, "A file that is read later takes back what Ironbinder tells the kernel.")
def sysctl_overridden(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        for entry in map(as_mapping, as_list(as_mapping(host.probe.get("past")).get("sysctls"))):
            name, value = as_text(entry.get("name")), as_text(entry.get("value"))
            variable = INOTIFY.get(name, "")
            wanted = as_int(host.variables.get(variable, site.values.get(variable))) if variable else 1
            lacking = as_int(value, -1) < wanted if variable else name in FORWARDING and value != "1"
            if lacking and wanted and not (variable and host.contained):
                yield Problem(
                    f"has {name} = {value} in {as_text(entry.get('file'))}, which is read after Ironbinder's {wanted}",
                    "take that line out",
                    variable,
                    host.name,
                )


@rule("names-swapped", ERROR, "A machine calls itself by the name of another one of the inventory.")
def names_swapped(site: Site) -> Iterator[Problem]:
    seen = {host.name: host for host in site.seen("head", "workers", "proxy", "registry")}
    told: set[str] = set()
    for host in seen.values():
        for other in _called(host, seen):
            if host.name in told and other in told:
                continue
            told |= {host.name, other}
            both = host.name in _called(seen[other], seen)
            yield Problem(
                f"the machine at {host.address} calls itself {other}"
                + (f", and the one at {seen[other].address} {host.name}" if both else ""),
                f"exchange ansible_host of {host.name} and {other}"
                if both
                else f"correct ansible_host of {host.name}, or the hostname of that machine",
                "ansible_host",
                host.name,
            )


def _called(host: Host, seen: dict[str, Host]) -> list[str]:
    """Give the other hosts by whose names a machine calls itself. One that two have is duplicate-hostname's."""
    names = own_names(host)
    if host.name in names:
        return []
    return sorted(name for name in names if name in seen and name not in own_names(seen[name]))


@rule("hostname-changes", WARNING, "A node will get another hostname.")
def hostname_changes(site: Site) -> Iterator[Problem]:
    names = {host.name: host for host in site.seen("head", "workers", "proxy", "registry")}
    held = Counter(name for host in names.values() for name in own_names(host))
    for host in site.seen("head", "workers"):
        called = own_names(host)
        # The name of a container is whoever's who made it; one that two machines have is duplicate-hostname's.
        if not called or host.name in called or host.contained or any(held[name] > 1 for name in called):
            continue
        if flag_at(site, host, KEEP) or _called(host, names):
            continue
        yield Problem(
            f"calls itself {min(called, key=len)}, and role node will name it {host.name}",
            f"set {KEEP}: true to leave it; the cluster knows it as {host.name} in any case",
            KEEP,
            host.name,
        )
