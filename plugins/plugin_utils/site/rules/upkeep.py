# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what a cluster needs as time goes by: certificates, snapshots of etcd, and room in it.

What is seen of a machine is documented in `_machine/upkeep.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.upkeep import (
    HOUR,
    JOBS,
    Certificate,
    certificates_of,
    dated_ahead,
    failure_of,
    fill_percent,
    newest_snapshot,
    snapshots_of,
)

LATE = "site_etcd_snapshot_late_hours"
FULL_PERCENT = 80
REMEDIES = {
    "kubeadm": "on that head: systemctl start ironbinder-certificates, and see journalctl --unit ironbinder-certificates for why "
    "its timer did not; a head without that timer gets it from the stage cluster",
    "kubelet": "see journalctl --unit kubelet for why its certificate was not renewed; kubectl get csr shows requests that wait",
    "authority": "plan another one, which touches every node: kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates",
}
# Of what cannot be read. kubeadm renews nothing that it cannot read, and writes over nothing: what is gone it makes anew.
UNREADABLE = {
    "kubeadm": "on that head: move it away, and its key where it has one; kubeadm init phase {phase} --config FILE, with FILE "
    "from kubectl --namespace kube-system get configmap kubeadm-config --output jsonpath={{.data.ClusterConfiguration}}; then: "
    "systemctl start ironbinder-certificates",
    "authority": "put the same file of another node, or of a backup, in its place",
    "kubelet": "link it to an older kubelet-client-*.pem beside it that is whole, and systemctl restart kubelet; where there is "
    "none, see kubernetes.io/docs/setup/production-environment/tools/kubeadm/troubleshooting-kubeadm, "
    "Kubelet client certificate rotation fails",
    "kubelet-serving": "remove it, with kubelet.key beside it, and systemctl restart kubelet, which makes both anew",
}


def _clusters(site: Site) -> Iterator[tuple[Host, Mapping[str, Any]]]:
    """Give the nodes of a cluster that works, with what they tell. What an old cluster left is another rule's."""
    for host in site.seen("head", "workers"):
        is_head = host in site.members("head")
        works = as_text(as_mapping(host.probe.get("cluster")).get("source")) if is_head else host.joined
        if works:
            yield host, as_mapping(host.probe.get("upkeep"))


def _ending(site: Site, state: str) -> Iterator[Problem]:
    """One problem for all certificates of a host that are renewed together."""
    for host, upkeep in _clusters(site):
        for kind, remedy in REMEDIES.items():
            found = [c for c in certificates_of(upkeep, site.clock) if (c.kind, c.state) == (kind, state)]
            if found:
                yield Problem(_names(found), remedy, "", host.name)


def _names(found: list[Certificate]) -> str:
    first = min(found, key=lambda certificate: certificate.days)
    others = sorted(certificate.name for certificate in found if certificate is not first)
    more = f", and {', '.join(others)} end soon too" if others else ""
    when = f"ended {-first.days} days ago" if first.days < 0 else f"ends in {first.days} days"
    return f"the certificate {first.name} ({first.file}) {when}{more}"


@rule("certificate-ends", ERROR, "A certificate of the cluster has ended, or ends within two weeks.")
def certificate_ends(site: Site) -> Iterator[Problem]:
    yield from _ending(site, "urgent")


@rule("certificate-ends-soon", WARNING, "A certificate of the cluster ends soon, and nothing has renewed it.")
def certificate_ends_soon(site: Site) -> Iterator[Problem]:
    yield from _ending(site, "soon")


@rule("certificate-unreadable", WARNING, "A file of the cluster's certificates holds none.")
def certificate_unreadable(site: Site) -> Iterator[Problem]:
    for host, upkeep in _clusters(site):
        for entry in map(as_mapping, as_list(upkeep.get("certificates"))):
            if as_text(entry.get("error")):
                yield Problem(
                    f"{as_text(entry.get('file'))} cannot be read as a certificate: {as_text(entry.get('error'))}",
                    _made_anew(as_text(entry.get("kind")), as_text(entry.get("name"))),
                    "",
                    host.name,
                )


def _made_anew(kind: str, name: str) -> str:
    phase = (
        f"kubeconfig {name.removesuffix('.conf')}"
        if name.endswith(".conf")
        else f"certs {name.replace('/', '-')}"
    )
    return UNREADABLE.get(kind, "see journalctl --unit kubelet for who needs it").format(phase=phase)


@rule(
    "certificate-not-served",
    WARNING,
    "A port of the control plane serves an older certificate than its file.",
)
def certificate_not_served(site: Site) -> Iterator[Problem]:
    for host, upkeep in _clusters(site):
        for certificate in certificates_of(upkeep, site.clock):
            if certificate.served == "other":
                yield Problem(
                    f"port {certificate.port} does not serve {certificate.file}, which is newer",
                    "on that head: systemctl start ironbinder-certificates, which restarts what has not read it",
                    "",
                    host.name,
                )


@rule("certificates-not-renewed", WARNING, "The last attempt to renew certificates failed.")
def certificates_not_renewed(site: Site) -> Iterator[Problem]:
    yield from _failed(site, "renewal", "renew certificates")


@rule("snapshot-failed", WARNING, "The last attempt to take a snapshot of etcd failed.")
def snapshot_failed(site: Site) -> Iterator[Problem]:
    yield from _failed(site, "snapshots", "take a snapshot of etcd")


def _failed(site: Site, job: str, doing: str) -> Iterator[Problem]:
    for host, upkeep in _clusters(site):
        why = failure_of(upkeep, job, site.clock)
        if why:
            yield Problem(
                f"the last attempt to {doing} failed: {why}",
                f"put that right, then on that head: systemctl start {JOBS[job]}",
                "",
                host.name,
            )


@rule("snapshot-late", WARNING, "A head has had no new snapshot of etcd for too long.")
def snapshot_late(site: Site) -> Iterator[Problem]:
    hours = as_int(site.values.get(LATE), 26)
    for host, upkeep in _clusters(site):
        began, newest = upkeep.get("timer_at"), newest_snapshot(upkeep, site.clock)
        # Before the timer came nobody promised any.
        if not isinstance(began, (int, float)) or failure_of(upkeep, "snapshots", site.clock):
            continue
        # A timer that came by a clock that was ahead has been there for nobody knows how long.
        age = site.clock - max(newest, began if began <= site.clock + HOUR else 0)
        if age > hours * HOUR:
            since = _newest(
                upkeep, site.clock, f"the newest snapshot of etcd is {int(age // HOUR)} hours old"
            )
            yield Problem(
                f"{since}, and {hours} are the limit",
                f"on that head: systemctl list-timers {JOBS['snapshots']}.timer, and systemctl start {JOBS['snapshots']}",
                LATE,
                host.name,
            )


def _newest(upkeep: Mapping[str, Any], now: float, said: str) -> str:
    """Say what is known of the newest snapshot, and which are left out."""
    if not newest_snapshot(upkeep, now):
        whole = any(not entry["damage"] for entry in snapshots_of(upkeep))
        said = "has no snapshot of etcd" + (" that says when it was taken" if whole else "")
    ahead = len(dated_ahead(upkeep, now))
    return said + (f", but for {ahead} that a clock ahead of time has dated" if ahead else "")


@rule("snapshot-damaged", ERROR, "A snapshot of etcd is truncated, or was changed since it was taken.")
def snapshot_damaged(site: Site) -> Iterator[Problem]:
    for host, upkeep in _clusters(site):
        for entry in snapshots_of(upkeep):
            if as_text(entry.get("damage")):
                file = f"{as_mapping(upkeep.get('snapshots')).get('directory')}/{entry.get('file')}"
                yield Problem(
                    as_text(entry.get("damage")),
                    f"look for faults of that disk (dmesg), remove {file}, then: systemctl start {JOBS['snapshots']}",
                    "",
                    host.name,
                )


@rule(
    "etcd-nearly-full",
    WARNING,
    "etcd's database has little room left; when it has none, the cluster takes no changes.",
)
def etcd_nearly_full(site: Site) -> Iterator[Problem]:
    for host, upkeep in _clusters(site):
        percent = fill_percent(upkeep)
        if percent >= FULL_PERCENT:
            etcd = as_mapping(upkeep.get("etcd"))
            quota, used = as_int(etcd.get("quota_bytes")), as_int(etcd.get("in_use_bytes"))
            yield Problem(
                f"etcd's database is {percent} % full: {as_int(etcd.get('bytes')) >> 20} MiB of {quota >> 20}, of which "
                f"{used >> 20} MiB are in use",
                "look for what fills it (kubectl get --raw /metrics, apiserver_storage_objects); where little is in use, "
                "etcdctl defrag gives the rest back; or raise --quota-backend-bytes in the cluster's etcd",
                "",
                host.name,
            )
