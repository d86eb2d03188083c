# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a head does by itself: its snapshots can be restored, its certificates can be renewed, and `make status` tells of both."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site

from playbooks import play

testinfra_hosts = ["ansible://head"]

PROGRAM = "/usr/local/sbin/ironbinder-upkeep"
TIMERS = ("ironbinder-etcd-snapshot", "ironbinder-certificates")
# Restores with etcd's own tools, starts etcd on what came of it, on ports of its own, and asks it as anybody's API server would.
RESTORE = """
set -eu
tools=/proc/$(pgrep --exact --oldest etcd)/root/usr/local/bin
here=$(mktemp -d)
trap 'kill $server 2>/dev/null; wait; rm -rf "$here"' EXIT
server=
"$tools/etcdutl" snapshot restore "$1" --data-dir "$here/data" >/dev/null 2>&1
own=http://127.0.0.1:23999
"$tools/etcd" --data-dir "$here/data" --listen-client-urls $own --advertise-client-urls $own \\
  --listen-peer-urls http://127.0.0.1:23998 >/dev/null 2>&1 &
server=$!
for try in 1 2 3 4 5 6 7 8 9 10; do
  "$tools/etcdctl" --endpoints $own get --prefix --keys-only /registry/namespaces/ 2>/dev/null && exit 0
done
exit 1
"""
Status = Callable[[], dict[str, Any]]


def run(host: Any, *words: str) -> dict[str, Any]:
    """Run the head's program; what it says."""
    return dict(json.loads(host.check_output(" ".join(["%s"] * (len(words) + 1)), PROGRAM, *words)))


@pytest.fixture(scope="module")
def made(host: Any, site: Site) -> Iterator[dict[str, Any]]:
    """A snapshot, which goes again."""
    folder, keep = site.contract["site_etcd_snapshot_dir"], site.contract["site_etcd_snapshot_keep"]
    told = run(host, "snapshot", f"--directory={folder}", f"--keep={keep + 1}")
    yield told
    host.run_expect([0], "rm -f %s %s", told["path"], told["path"].replace(".db", ".json"))


@pytest.fixture
def status(site: Site, tmp_path: Path) -> Status:
    """Return a function that runs playbooks/status.yml and gives its JSON."""

    def ask() -> dict[str, Any]:
        report = tmp_path / "status.json"
        log = tmp_path / "status.log"
        code = play(
            site.inventory, ROOT / "playbooks/status.yml", "-e", f"status_report_file={report}", log=log
        )
        assert code == 0, log.read_text()
        return dict(json.loads(report.read_text()))

    return ask


@pytest.mark.parametrize("name", TIMERS)
def test_the_timer_will_fire(host: Any, name: str) -> None:
    asked = "systemctl show --property ActiveState,UnitFileState,NextElapseUSecRealtime,LoadState %s.timer"
    told = dict(line.split("=", 1) for line in host.check_output(asked, name).splitlines())
    assert (told["ActiveState"], told["UnitFileState"]) == ("active", "enabled")
    assert told["NextElapseUSecRealtime"]


def test_a_snapshot_was_restored_as_a_proof(made: dict[str, Any]) -> None:
    assert made["taken"] is True
    assert made["restored"] is True, "the image of etcd has no etcdutl"
    assert made["total_keys"] > 100


def test_what_is_restored_is_this_cluster(host: Any, made: dict[str, Any], site: Site) -> None:
    keys = host.check_output("sh -c %s restore %s", RESTORE, made["path"]).split()
    wanted = {"kube-system", *(hub["namespace"] for hub in site.hubs.values())}
    assert wanted <= {key.rpartition("/")[2] for key in keys}


def test_a_truncated_snapshot_is_refused_and_found(host: Any, made: dict[str, Any], status: Status) -> None:
    """By whoever would restore it, and by whoever asks how the site stands."""
    host.run_expect([0], "cp %s %s.whole", made["path"], made["path"])
    host.run_expect([0], "truncate --size=-5000 %s", made["path"])
    try:
        refused = host.run_expect([1], "%s prove %s", PROGRAM, made["path"])
        findings = {finding["id"]: finding for finding in status()["findings"]}
    finally:
        host.run_expect([0], "mv %s.whole %s", made["path"], made["path"])
    assert f"{made['path']} is truncated" in refused.stderr
    assert made["path"] in findings["snapshot-damaged"]["observed"]
    assert run(host, "prove", made["path"])["restored"] is True


def test_the_status_tells_all(made: dict[str, Any], status: Status, site: Site) -> None:
    told = status()
    assert sorted(node["name"] for node in told["nodes"]) == sorted(site.hosts("head", "workers"))
    assert {node["kubelet"] for node in told["nodes"]} == {f"v{site.contract['site_kubernetes_version']}"}
    assert set(told["hubs"]) == set(site.hubs)
    held = {address for entry in told["floating_addresses"] for address in entry["addresses"]}
    assert {hub["floating_ip"] for hub in site.hubs.values()} <= held
    for head in site.hosts("head"):
        assert told["snapshots"][head]["newest"] == Path(made["path"]).name
        assert 0 < told["etcd"][head]["bytes"] < told["etcd"][head]["quota_bytes"]
    kinds = {found["kind"] for found in told["certificates"]}
    assert {"kubeadm", "authority", "kubelet"} <= kinds
    assert {found["served"] for found in told["certificates"] if found["port"]} == {"same"}
    assert (told["not_asked"], told["findings"]) == ([], [])


@pytest.fixture
def leaders(kubectl: Callable[..., Any], eventually: Callable[..., Any]) -> Callable[[float], None]:
    """Return a function that waits until parts which were restarted since then lead: the lease of the old ones runs out first."""

    def wait(began: float) -> None:
        names = ("kube-controller-manager", "kube-scheduler")
        since = time.strftime("%FT%TZ", time.gmtime(began))

        def waiting() -> list[str]:
            leases = kubectl("get", "leases", "--namespace", "kube-system")["items"]
            spec = {lease["metadata"]["name"]: lease["spec"] for lease in leases}
            return [name for name in names if spec[name]["acquireTime"] < since]

        assert eventually(waiting, seconds=60, pause=1) == []

    return wait


def test_renewed_certificates_are_in_use(
    host: Any,
    site: Site,
    status: Status,
    leaders: Callable[[float], None],
    request: pytest.FixtureRequest,
) -> None:
    """The ports serve them; the administrator's, which the API takes, goes where the next run would bring it."""
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: the API is away for some seconds")
    before = host.check_output(
        "sha256sum /etc/kubernetes/pki/apiserver.crt /etc/kubernetes/pki/etcd/server.crt"
    )
    began = time.time()
    told = run(host, "renew", "--now")
    print(f"certificates renewed and in use after {time.time() - began:.1f} s, of {told['restarted']}")
    # Others may have ended by themselves when they lost the API, and have read the new ones when they came back.
    assert told["restarted"][:1] == ["etcd"]
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        # Hubs have schedulers of the same name.
        age = host.check_output("ps -o etimes= -p $(pgrep --full %s)", f"^{name} .*/etc/kubernetes/")
        assert int(age) <= time.time() - began + 1, name
    after = host.check_output(
        "sha256sum /etc/kubernetes/pki/apiserver.crt /etc/kubernetes/pki/etcd/server.crt"
    )
    assert not set(before.splitlines()) & set(after.splitlines())
    if site.contract["site_kubernetes_client_host"] == "localhost":
        kubeconfig = Path(site.contract["site_kubeconfig_file"])
        fresh = host.check_output("cat /etc/kubernetes/admin.conf") + "\n"
        [server] = re.findall(r"(?m)^\s+server: .*$", kubeconfig.read_text())
        kubeconfig.write_text(re.sub(r"(?m)^\s+server: .*$", server, fresh))
    found = status()
    assert {one["served"] for one in found["certificates"] if one["port"]} == {"same"}
    assert min(one["days"] for one in found["certificates"] if one["kind"] == "kubeadm") >= 363
    leaders(began)
