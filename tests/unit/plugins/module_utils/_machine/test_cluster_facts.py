# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a machine knows of its cluster: from the API's answer, or from the files of kubeadm."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.cluster_facts import (
    ask_kubectl,
    cluster_facts,
    installed_version,
)

# As kubeadm 1.36 writes it into ConfigMap kube-system/kubeadm-config.
CONFIGURATION = """\
apiServer:
  certSANs:
  - 172.30.77.11
  - head1
  extraArgs:
  - name: podSubnet
    value: 10.0.0.0/8
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificatesDir: /etc/kubernetes/pki
clusterName: lab
controlPlaneEndpoint: 172.30.77.11:6443
controllerManager: {}
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
proxy: {}
scheduler: {}
"""
CONTROLLER_MANAGER = """\
spec:
  containers:
  - command:
    - kube-controller-manager
    - --allocate-node-cidrs=true
    - --cluster-cidr=10.200.0.0/16
    - --cluster-name=older
    - --service-cluster-ip-range=10.112.0.0/12
"""
ADMIN = "apiVersion: v1\nclusters:\n- cluster:\n    server: https://172.30.77.12:6443\n  name: older\n"
STATUS = """\
Package: containerd.io
Status: hold ok installed
Version: 2.4.2-1~debian.12~bookworm

Package: containerdxio
Status: install ok installed
Version: 9.9.9-1

Package: runc
Status: install ok config-files
Version: 1.1.5-1
"""
HEAD = {
    "etc/kubernetes/admin.conf": ADMIN,
    "etc/kubernetes/kubelet.conf": "",
    "etc/kubernetes/manifests/kube-controller-manager.yaml": CONTROLLER_MANAGER,
}
MADE = {"var/lib/ironbinder/kubeadm-init.json": json.dumps({"node_name": "head1", "action": "run"})}
ADOPTED = {"var/lib/ironbinder/kubeadm-init.json": json.dumps({"node_name": "head1", "action": "adopt"})}
NOTHING = {"source": "", "networks": [], "containerd_version": ""}


def write(root: Path, files: dict[str, str]) -> Path:
    """Make a machine of these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def api(configuration: str) -> Any:
    """An API that has this configuration."""

    def ask(argv: Sequence[str]) -> str:
        if argv[-1] in ("/apis/storage.k8s.io/v1/storageclasses", "/api/v1/persistentvolumes"):
            return '{"items": []}'
        if "namespaces,services" in argv:
            return json.dumps({"items": []})
        assert argv[-1] == "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
        return json.dumps({"kind": "ConfigMap", "data": {"ClusterConfiguration": configuration}})

    return ask


def silent(argv: Sequence[str]) -> str:
    """An API that does not answer."""
    return ""


def never(argv: Sequence[str]) -> str:
    """Nobody may be asked."""
    raise AssertionError(argv)


def test_bare_machine(tmp_path: Path) -> None:
    """Nothing is there, and nobody is asked."""
    assert cluster_facts(tmp_path, never) == NOTHING


def test_the_api_tells(tmp_path: Path) -> None:
    """The cluster's own configuration counts, whatever the files say."""
    told = cluster_facts(write(tmp_path, {**HEAD, **MADE}), api(CONFIGURATION))
    assert told == {
        **NOTHING,
        "source": "api",
        "made_here": True,
        "hubs": [],
        "name": "lab",
        "pod_subnet": "10.244.0.0/16",
        "service_subnet": "10.96.0.0/12",
        "api_endpoint": "172.30.77.11:6443",
        "storage": {"classes": [], "databases": {}, "bound": []},
    }


def test_quoted_values(tmp_path: Path) -> None:
    """YAML quotes what looks like a number."""
    text = CONFIGURATION.replace("clusterName: lab", 'clusterName: "1234"').replace(
        "10.96.0.0/12", "'10.96.0.0/12'"
    )
    told = cluster_facts(write(tmp_path, {**HEAD, **MADE}), api(text))
    assert (told["name"], told["service_subnet"]) == ("1234", "10.96.0.0/12")


FILES = {
    "source": "files",
    "made_here": True,
    "name": "older",
    "pod_subnet": "10.200.0.0/16",
    "service_subnet": "10.112.0.0/12",
    "api_endpoint": "172.30.77.12:6443",
}


@pytest.mark.parametrize(
    "answer", ["", "no JSON", "[]", '{"data": null}', '{"data": {"ClusterConfiguration": 7}}', "{}", "7"]
)
def test_the_files_tell(tmp_path: Path, answer: str) -> None:
    """Where the API does not answer, or nothing of use, what kubeadm wrote is the next best."""
    told = cluster_facts(write(tmp_path, {**HEAD, **MADE}), lambda argv: answer)
    assert told == {**NOTHING, **FILES}


def test_what_the_configuration_lacks_the_files_have(tmp_path: Path) -> None:
    """A cluster that others made may have no endpoint of its own."""
    text = CONFIGURATION.replace("controlPlaneEndpoint: 172.30.77.11:6443\n", "")
    told = cluster_facts(write(tmp_path, HEAD), api(text))
    assert (told["source"], told["made_here"], told["api_endpoint"]) == ("api", False, "172.30.77.12:6443")


def test_kubeadm_was_stopped(tmp_path: Path) -> None:
    """Files of a cluster that nobody saw work bind nobody: kubeadm begins again there."""
    assert cluster_facts(write(tmp_path, HEAD), silent) == NOTHING


def test_kubeadm_was_reset(tmp_path: Path) -> None:
    """The mark stays after a reset by hand, the files do not."""
    assert cluster_facts(write(tmp_path, MADE), never) == NOTHING


@pytest.mark.parametrize("mark", [ADOPTED, {"var/lib/ironbinder/kubeadm-init.json": "{"}])
def test_a_cluster_that_others_made(tmp_path: Path, mark: dict[str, str]) -> None:
    """Its name and endpoint are its own."""
    assert cluster_facts(write(tmp_path, {**HEAD, **mark}), api(CONFIGURATION))["made_here"] is False


@pytest.mark.parametrize(
    ("names", "networks"),
    [
        (["10-ironbinder.conflist"], ["routed"]),
        (["10-calico.conflist", "calico-kubeconfig"], ["calico"]),
        (["10-flannel.conflist"], ["manifest"]),
        (["05-cilium.conflist"], ["manifest"]),
        (["00-multus.conf", "10-ironbinder.conflist"], ["manifest", "routed"]),
        (
            [
                "87-podman-bridge.conflist",
                "10-containerd-net.conflist",
                "99-loopback.conf",
                "nerdctl-x.conflist",
            ],
            [],
        ),
        ([".keep", "README", "10-flannel.conflist.bak"], []),
    ],
)
def test_networks(tmp_path: Path, names: list[str], networks: list[str]) -> None:
    """A pod network is known by the name of its file; what container engines put there is none."""
    told = cluster_facts(write(tmp_path, {f"etc/cni/net.d/{name}": "{}" for name in names}), never)
    assert told["networks"] == networks


def test_installed_version(tmp_path: Path) -> None:
    """Only a package of exactly this name that is installed has a version."""
    write(tmp_path, {"var/lib/dpkg/status": STATUS})
    assert installed_version(tmp_path, "containerd.io") == "2.4.2"
    assert installed_version(tmp_path, "runc") == ""
    assert installed_version(tmp_path, "containerd") == ""
    assert cluster_facts(tmp_path, never)["containerd_version"] == "2.4.2"


def test_kubectl() -> None:
    """Its answer is taken; a failure, a missing one and a hanging one are no answer, in time."""
    assert ask_kubectl([sys.executable, "-c", "print('x')"]) == "x\n"
    assert ask_kubectl([sys.executable, "-c", "import sys; print('x'); sys.exit(1)"]) == ""
    assert ask_kubectl(["/no/such/kubectl"]) == ""
    started = time.monotonic()
    assert ask_kubectl(["sleep", "600"], timeout_seconds=0.1) == ""
    assert time.monotonic() - started < 60


def test_kubectl_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API is on this machine's network, and a proxy would let the question hang."""
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("https_proxy", "http://192.0.2.1:3128")
    show = "import os; print([key for key in os.environ if key.lower() == 'https_proxy'])"
    assert ask_kubectl([sys.executable, "-c", show]) == "[]\n"
