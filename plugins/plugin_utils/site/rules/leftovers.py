# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what earlier work left on a machine: packages half done, apt's sources, old clusters, an admin's NGINX.

What is seen of a machine is documented in `_machine/past.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.past import flag_at, past_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.ports import public_port
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import (
    public_addresses,
    public_hosts,
)

ADOPT_NGINX = "site_adopt_nginx"
ADMIN_CONF = "/etc/kubernetes/admin.conf"


def _list(host: Host, part: str) -> list[Mapping[str, Any]]:
    return [as_mapping(entry) for entry in as_list(as_mapping(host.probe.get("past")).get(part))]


@rule(
    "apt-source-conflict",
    ERROR,
    "A machine has an entry of its own for a repository that Ironbinder brings along.",
    acceptable=False,
)
def apt_source_conflict(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers"):
        for entry in _list(host, "apt"):
            file, signed = as_text(entry.get("file")), as_text(entry.get("signed_by"))
            by = f"signed by {signed}" if signed else "without Signed-By"
            yield Problem(
                f"{file}, line {as_int(entry.get('line'))}, has {as_text(entry.get('uri'))} {by}; with Ironbinder's beside it "
                "apt reads no list at all",
                f"move it out of the way: mv {file} {file}.disabled; Ironbinder's entry takes its place",
                "",
                host.name,
            )


@rule("package-half-installed", ERROR, "A package is broken in a way that keeps apt from working.")
def package_half_installed(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        told = past_of(host, "dpkg")
        names = [
            name for name, state in as_mapping(told.get("packages")).items() if state == "half-installed"
        ]
        # What a run of ours left is finished by the next one.
        if names and told.get("ours") is not True and not _list(host, "locks"):
            yield Problem(
                f"has {', '.join(names)} half installed",
                f"apt-get install --reinstall {' '.join(names)}, or remove what is not needed",
                "",
                host.name,
            )


@rule("dpkg-interrupted", WARNING, "An earlier dpkg was stopped in the middle.")
def dpkg_interrupted(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        told = past_of(host, "dpkg")
        names = [
            name for name, state in as_mapping(told.get("packages")).items() if state != "half-installed"
        ]
        # One that is at work has a journal, too, and a lock.
        if (
            (names or told.get("journal") is True)
            and told.get("ours") is not True
            and not _list(host, "locks")
        ):
            what = f"{', '.join(names[:4])} unconfigured" if names else "a journal in /var/lib/dpkg/updates"
            yield Problem(
                f"dpkg was interrupted and left {what}",
                "dpkg --configure -a; where that ends well, so will the run, which does the same when it installs something",
                "",
                host.name,
            )


@rule("package-manager-busy", WARNING, "Another program holds the lock of dpkg or apt.")
def package_manager_busy(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers", "proxy", "registry"):
        found = _list(host, "locks")
        if found:
            pid = as_int(found[0].get("pid"))
            holder = (
                f"{as_text(found[0].get('process')) or 'a process'} (process {pid})"
                if pid
                else "a process out of sight"
            )
            yield Problem(
                f"{as_text(found[0].get('path'))} is held by {holder}",
                "nothing, if it ends within five minutes: so long the run waits; else end it",
                "",
                host.name,
            )


def _authorities(host: Host) -> set[str]:
    return {as_text(entry) for entry in as_list(past_of(host, "cluster").get("ca"))} - {""}


def _of_the_site(site: Site) -> tuple[set[str], set[str]]:
    """CAs of the site's own cluster, as its heads have them, and the hosts at which its API may be."""
    heads = list(site.seen("head"))
    planes = [head for head in heads if ADMIN_CONF in as_list(past_of(head, "cluster").get("leftovers"))]
    known = {digest for head in planes[:1] for digest in _authorities(head)}
    return known, {site.text("site_api_address"), *(head.address for head in heads)} - {""}


def _is_elsewhere(host: Host, known: set[str], addresses: set[str]) -> bool:
    """Whether the kubelet of a machine belongs to another cluster than the site's, of which `_of_the_site` tells."""
    if known and _authorities(host):
        return not known & _authorities(host)
    try:
        server = urlsplit(as_text(past_of(host, "cluster").get("server"))).hostname or ""
    except ValueError:
        return False
    own = ADMIN_CONF in as_list(past_of(host, "cluster").get("leftovers"))
    return bool(server) and not known and not own and bool(addresses) and server not in addresses


def _judged(site: Site) -> list[Host]:
    """Nodes of which it can be said whose they are: none where no head was seen, as remedies remove what is there."""
    return list(site.seen("head", "workers")) if any(site.seen("head")) else []


@rule(
    "node-of-another-cluster",
    ERROR,
    "A machine is a node of another cluster.",
    acceptable=False,
)
def node_of_another_cluster(site: Site) -> Iterator[Problem]:
    known, addresses = _of_the_site(site)
    for host in _judged(site):
        if _is_elsewhere(host, known, addresses):
            yield Problem(
                f"its kubelet belongs to another cluster, at {as_text(past_of(host, 'cluster').get('server'))}",
                "take it out of that cluster first (kubectl drain and delete node there, kubeadm reset here), or correct "
                "ansible_host",
                "ansible_host",
                host.name,
            )


@rule("cluster-leftovers", ERROR, "A machine has the remains of a cluster that Ironbinder did not make.")
def cluster_leftovers(site: Site) -> Iterator[Problem]:
    known, addresses = _of_the_site(site)
    answers = any(
        as_text(as_mapping(head.probe.get("cluster")).get("source")) == "api" for head in site.seen("head")
    )
    for host in _judged(site):
        told = past_of(host, "cluster")
        found = [as_text(name) for name in as_list(told.get("leftovers"))]
        # A cluster that answers is adopted, with its nodes.
        adopted = answers and bool(known & _authorities(host))
        if found and told.get("ours") is False and not adopted and not _is_elsewhere(host, known, addresses):
            yield Problem(
                f"has {', '.join(found[:3])}{' and more' if found[3:] else ''} of a cluster that does not answer",
                "start that cluster, and a run adopts it; or, if nobody needs it: kubeadm reset here, and remove "
                "/var/lib/etcd and what is in /etc/kubernetes and /etc/cni/net.d",
                "",
                host.name,
            )


@rule(
    "nginx-default-site",
    ERROR,
    "The proxy's NGINX serves a default site that somebody made.",
    acceptable=False,
)
def nginx_default_site(site: Site) -> Iterator[Problem]:
    for host in site.seen("proxy"):
        if past_of(host, "nginx").get("default") == "changed" and not flag_at(site, host, ADOPT_NGINX):
            yield Problem(
                "/etc/nginx/sites-enabled/default is not the package's, or /var/www/html has pages; the hubs want its place",
                f"set {ADOPT_NGINX}: true, and it is kept in sites-available; or give it another name and port",
                ADOPT_NGINX,
                host.name,
            )


@rule("nginx-site-in-the-way", ERROR, "The proxy's NGINX has a site where the hubs belong.", acceptable=False)
def nginx_site_in_the_way(site: Site) -> Iterator[Problem]:
    ports = {80, public_port(site)}
    hosts = list(public_hosts(site).values())
    reached = {*hosts, *public_addresses(site, hosts)}
    for host in site.seen("proxy"):
        for entry in map(as_mapping, as_list(past_of(host, "nginx").get("sites"))):
            names = [as_text(name) for name in as_list(entry.get("names"))]
            public = next((name for name in hosts if name in names), "")
            for told in map(as_mapping, as_list(entry.get("listens"))):
                what = _in_the_way(told, public, {host.address, *reached})
                if what and told.get("port") in ports:
                    yield Problem(
                        f"{as_text(entry.get('file'))} {what}",
                        "correct that file: the hubs' site answers on this port for every name and address that no other has; "
                        "then nginx -t && systemctl reload nginx",
                        "site_public_url",
                        host.name,
                    )
                    break


def _in_the_way(told: Mapping[str, Any], public: str, reached: set[str]) -> str:
    port, address = as_int(told.get("port")), as_text(told.get("address"))
    if address:
        # NGINX asks the sites of an address before those of all. One of another address is nobody's concern.
        alone = f"listens at {address} port {port} alone, and takes all that comes there"
        return alone if address.strip("[]") in reached else ""
    if told.get("default") is True:
        return f"is the default_server of port {port}, of which NGINX has one"
    return f"has the name {public} on port {port}" if public else ""
