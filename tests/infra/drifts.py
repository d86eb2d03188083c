# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What somebody changes by hand in the lab, and who puts it back: the table of molecule/default/tests/test_drift.py."""

from __future__ import annotations

from dataclasses import dataclass

CONTROLLER = ""
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
# Which headers NGINX itself sends: what it runs may be another thing than what its file says.
ASK_NGINX = """cat /etc/nginx/conf.d/ironbinder.conf
python3 -c "
import http.client
site = http.client.HTTPConnection('127.0.0.1', timeout=10)
site.request('GET', '/')
print(sorted(name for name, _ in site.getresponse().getheaders()))
"
"""
# Comes back from keepers by itself within a second, so they are stopped first: that is what is found then.
FLUSH_GUARD = "systemctl stop ironbinder-guard && nft delete table inet ironbinder_guard"
FLUSH_ROUTES = "systemctl stop ironbinder-pod-network && ip -4 route flush proto 99"
POOL = f"{KUBECTL} --namespace metallb-system"
MANIFEST = "/etc/kubernetes/manifests/kube-controller-manager.yaml"


@dataclass(frozen=True)
class Drift:
    """A change by hand.

    Attributes:
        name: what people call it.
        host: where it is made; CONTROLLER for this computer, which knows HELM, RELEASE and CHART.
        make: a shell script that makes it, as root.
        ask: a shell script that says how it is: the same before and after, and something else in between.
        role: which role puts it back.
        shown: what a check's difference, or its task, says about it.
        changes_on: of which host the run says that it changed; the one where it is made, unless it is said here.
    """

    name: str
    host: str
    make: str
    ask: str
    role: str
    shown: str
    changes_on: str = ""
    long: bool = False

    @property
    def told_of(self) -> tuple[str, str]:
        """The host and the role of its changes."""
        return (self.changes_on or self.host, self.role)


DRIFTS = [
    Drift(
        "daemon.json edited",
        "worker1",
        """sed -i 's/"max-file": "[0-9]*"/"max-file": "9"/' /etc/docker/daemon.json""",
        "cat /etc/docker/daemon.json",
        "docker",
        r'- +"max-file": "9"',
    ),
    Drift(
        "route gone",
        "worker1",
        FLUSH_ROUTES,
        "ip -4 route show proto 99; systemctl is-active ironbinder-pod-network; true",
        "pod_network",
        r"ironbinder-pod-network\.service",
    ),
    Drift(
        "sysctl changed",
        "worker1",
        "sysctl --write net.bridge.bridge-nf-call-ip6tables=0",
        "sysctl net.bridge.bridge-nf-call-ip6tables",
        "node",
        r"\[worker1\] => \(item=net\.bridge\.bridge-nf-call-ip6tables: 0 -> 1\)",
    ),
    Drift(
        "certs.d file gone",
        "worker2",
        "rm -r /etc/containerd/certs.d/docker.io",
        "cat /etc/containerd/certs.d/docker.io/hosts.toml; true",
        "containerd",
        r"\+\+\+ after: /etc/containerd/certs\.d/docker\.io/hosts\.toml",
    ),
    Drift(
        "guard flushed",
        "worker2",
        FLUSH_GUARD,
        "ironbinder-guard check --table; systemctl is-active ironbinder-guard; true",
        "guard",
        r"ironbinder-guard\.service",
    ),
    Drift(
        "package unheld",
        "worker2",
        "apt-mark unhold kubelet",
        "apt-mark showhold",
        "kubernetes_node",
        r"\+kubelet \S+, held",
    ),
    Drift(
        "unit masked",
        "worker2",
        "systemctl mask docker.service",
        "systemctl is-enabled docker; systemctl is-active docker; true",
        "docker",
        r"\+starts with the machine: unmasked",
    ),
    Drift(
        "label lost",
        "head1",
        f"{KUBECTL} label node worker2 hub.jupyter.org/node-purpose-",
        f"{KUBECTL} get node worker2 --output 'jsonpath={{.metadata.labels}}'",
        "cluster_nodes",
        r"\+.*hub\.jupyter\.org/node-purpose",
    ),
    Drift(
        "MetalLB pool edited",
        "head1",
        f"""{POOL} patch ipaddresspool floating --type=merge --patch '{{"spec": {{"addresses": """
        """["172.30.77.101-172.30.77.103"]}}'""",
        f"{POOL} get ipaddresspool floating --output 'jsonpath={{.spec}}'",
        "metallb",
        r"-.*172\.30\.77\.101-172\.30\.77\.103",
    ),
    Drift(
        "NGINX file edited",
        "proxy1",
        "sed -i '0,/server_tokens off;/s//server_tokens off; add_header X-Drift yes always;/' "
        "/etc/nginx/conf.d/ironbinder.conf && nginx -s reload",
        ASK_NGINX,
        "reverse_proxy",
        r"-.*add_header X-Drift yes always;",
    ),
    Drift(
        "hub's value edited by helm",
        CONTROLLER,
        "$HELM upgrade $RELEASE $CHART --reuse-values --set imageCleaner.imageGCThresholdHigh=79",
        "$HELM get values $RELEASE --output json",
        "binderhub",
        r"-.*imageGCThresholdHigh.*79",
        changes_on="head1",
    ),
    Drift(
        "an object of a hub deleted",
        "head1",
        f"{KUBECTL} --namespace private delete configmap binder-config",
        f"{KUBECTL} --namespace private get configmap binder-config --output name; true",
        "binderhub",
        r"-# ConfigMap private/binder-config was gone",
    ),
    Drift(
        "registry's configuration edited",
        "mirror1",
        "sed -i 's/level: info/level: debug/' /etc/docker/registry/config.yml",
        "cat /etc/docker/registry/config.yml",
        "registry",
        r"-\s+level: debug",
    ),
    Drift(
        "controller manager's argument edited",
        "head1",
        f"sed -i 's/node-monitor-grace-period=.*/node-monitor-grace-period=97s/' {MANIFEST}",
        f"cat {MANIFEST}",
        "control_plane",
        r"-.*node-monitor-grace-period=97s",
        long=True,
    ),
]
