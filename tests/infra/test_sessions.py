# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a session is: a running one is looked at from outside and from inside."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from live_site import Site
from web import Client

testinfra_hosts = ["ansible://head"]

CONTROL = "ironbinder-test-unconfined"
RESTRICTED = "ironbinder-test-restricted"
# A user namespace of one's own, and then a socket that sees every packet of one's own network: what this kernel grants
# anybody, and no session. CLONE_NEWUSER | CLONE_NEWNET, https://man7.org/linux/man-pages/man2/unshare.2.html
CALLS = """
import ctypes, errno, json, socket
library = ctypes.CDLL(None, use_errno=True)
told = {"unshare": "granted", "packet": "granted"}
if library.unshare(0x10000000 | 0x40000000):
    told["unshare"] = errno.errorcode[ctypes.get_errno()]
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
except OSError as error:
    told["packet"] = errno.errorcode[error.errno]
print(json.dumps(told))
"""
THREADS = """
import sys, threading
end, most = threading.Event(), int(sys.argv[1])
threading.stack_size(65536)
count = 0
try:
    for _ in range(most):
        threading.Thread(target=end.wait, daemon=True).start()
        count += 1
except RuntimeError:
    pass
print(count)
end.set()
"""


@pytest.fixture(scope="module")
def hub(site: Site) -> Mapping[str, Any]:
    """Return the site's first hub."""
    return next(iter(site.hubs.values()))


@pytest.fixture(scope="module")
def session(
    site: Site, client: Client, kubectl: Callable[..., Any], hub: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Launch a session, return its pod, and end it."""
    ready: dict[str, Any] = {}
    contract = site.contract
    url = f"{hub['binder_url']}build/{contract['site_verify_provider']}/{contract['site_verify_spec']}"
    for _, data in client.events(url):
        if str(data.get("phase", "")).lower() in ("ready", "failed", "failure"):
            ready = data
            break
    assert ready.get("phase") == "ready", ready
    pods = kubectl(
        "--namespace", hub["namespace"], "get", "pods", "--selector", "component=singleuser-server"
    )["items"]
    try:
        # The launch's token is among the arguments, and in no other pod's.
        [pod] = [pod for pod in pods if ready["token"] in json.dumps(pod["spec"]["containers"][0]["args"])]
        yield pod
    finally:
        client.send("POST", f"{ready['url']}api/shutdown", {"Authorization": f"token {ready['token']}"})


@pytest.fixture(scope="module")
def run(kubectl: Callable[..., Any], hub: Mapping[str, Any]) -> Callable[..., str]:
    """Return a function that runs a Python script in a pod of the hub."""

    def execute(pod: str, script: str, *arguments: str) -> str:
        command = ["--namespace", hub["namespace"], "exec", pod, "--", "python3", "-c", script, *arguments]
        return str(kubectl(*command, output=""))

    return execute


def create(host: Any, manifest: Mapping[str, Any], *options: str) -> Any:
    """Have kubectl create an object; return what came of it."""
    command = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "create", "--filename", "-", *options]
    return host.run("printf %%s %s | " + " ".join(["%s"] * len(command)), json.dumps(manifest), *command)


def test_a_session_has_its_bounds(session: dict[str, Any], site: Site) -> None:
    [container] = session["spec"]["containers"]
    limits, requests = container["resources"]["limits"], container["resources"]["requests"]
    assert float(limits["cpu"]) == float(site.contract["site_session_cpu_limit"])
    assert limits["ephemeral-storage"] == site.contract["site_session_ephemeral_storage_limit"]
    assert set(limits) == set(requests) == {"cpu", "memory", "ephemeral-storage"}
    # What nobody is guaranteed would reserve all that may be used.
    assert requests["ephemeral-storage"] != limits["ephemeral-storage"]


def test_a_session_has_no_rights(session: dict[str, Any], hub: Mapping[str, Any]) -> None:
    spec = session["spec"]
    [container] = spec["containers"]
    assert spec.get("initContainers", []) == []
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    # Nothing of its node, no secret and no account: at most what the hub says that its sessions share.
    others = [volume for volume in spec.get("volumes", []) if "emptyDir" not in volume]
    shared = hub["shared_volume"].get("claim")
    assert [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in others] == (
        [shared] if shared else []
    )
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"].get("privileged") is not True


def test_a_session_knows_no_token_and_no_service(session: dict[str, Any], run: Callable[..., str]) -> None:
    script = (
        "import json, os; print(json.dumps([os.path.exists('/var/run/secrets/kubernetes.io'), "
        "[name for name in os.environ if name.endswith('_SERVICE_HOST')]]))"
    )
    has_token, services = json.loads(run(session["metadata"]["name"], script))
    assert not has_token
    # The API's own address is in every container.
    assert services in ([], ["KUBERNETES_SERVICE_HOST"])


def test_a_session_runs_where_sessions_belong(
    session: dict[str, Any], site: Site, kubectl: Callable[..., Any]
) -> None:
    node = kubectl("get", "node", session["spec"]["nodeName"])
    if site.contract["site_node_purpose_affinity"] == "require":
        assert node["metadata"]["labels"]["hub.jupyter.org/node-purpose"] == "user"


def test_a_session_is_restricted(
    host: Any, session: dict[str, Any], kubectl: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """The API server itself judges its pod, in a namespace that enforces the level; and refuses one with a socket."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESTRICTED, "labels": labels}}
    kubectl("delete", "namespace", RESTRICTED, "--ignore-not-found", "--wait", output="")
    made = create(host, namespace)
    assert made.rc == 0, made.stderr
    try:
        spec = {key: value for key, value in session["spec"].items() if key != "nodeName"}
        pod: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "session", "namespace": RESTRICTED},
            "spec": spec,
        }

        def refused(manifest: Mapping[str, Any]) -> str:
            done = create(host, manifest, "--dry-run=server")
            return "" if done.rc == 0 else str(done.stderr)

        # The namespace's account comes a moment later.
        assert eventually(lambda: refused(pod), seconds=20) == ""
        open_pod = copy.deepcopy(pod)
        socket = {"name": "docker", "hostPath": {"path": "/var/run/docker.sock"}}
        open_pod["spec"].setdefault("volumes", []).append(socket)
        assert "violates PodSecurity" in refused(open_pod)
        rooted = copy.deepcopy(pod)
        rooted["spec"]["securityContext"]["seccompProfile"] = {"type": "Unconfined"}
        assert "violates PodSecurity" in refused(rooted)
    finally:
        kubectl("delete", "namespace", RESTRICTED, "--wait=false", output="")


def test_a_session_is_refused_what_the_kernel_grants_without_seccomp(
    host: Any,
    session: dict[str, Any],
    kubectl: Callable[..., Any],
    run: Callable[..., str],
    hub: Mapping[str, Any],
) -> None:
    """The same pod on the same node, without the profile, is granted both: so it is the profile that refuses."""
    assert json.loads(run(session["metadata"]["name"], CALLS)) == {"unshare": "EPERM", "packet": "EPERM"}
    spec = copy.deepcopy(session["spec"])
    spec["securityContext"]["seccompProfile"] = {"type": "Unconfined"}
    spec["restartPolicy"] = "Never"
    [container] = spec["containers"]
    # Its environment and arguments hold the session's tokens.
    spec["containers"] = [
        {key: value for key, value in container.items() if key not in ("env", "args", "lifecycle")}
        | {"command": ["sleep", "300"]}
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CONTROL, "namespace": hub["namespace"]},
        "spec": spec,
    }
    gone = [
        "--namespace",
        hub["namespace"],
        "delete",
        "pod",
        CONTROL,
        "--ignore-not-found",
        "--grace-period=0",
        "--force",
    ]
    kubectl(*gone, output="")
    made = create(host, pod)
    assert made.rc == 0, made.stderr
    try:
        ready = ["wait", "--for=condition=Ready", f"pod/{CONTROL}", "--timeout=90s"]
        kubectl("--namespace", hub["namespace"], *ready, output="")
        assert json.loads(run(CONTROL, CALLS)) == {"unshare": "granted", "packet": "granted"}
    finally:
        kubectl(*gone, output="")


def test_a_session_ends_at_its_number_of_processes(
    session: dict[str, Any], site: Site, run: Callable[..., str]
) -> None:
    most = site.contract["site_session_pids_limit"]
    if not most:
        pytest.skip("sessions have no such bound")
    # A thread is a process to the kernel; the notebook has a few.
    started = int(run(session["metadata"]["name"], THREADS, str(most + 100)))
    assert most // 2 < started < most


def test_kubelets_bound_the_processes_of_pods(site: Site, kubectl: Callable[..., Any]) -> None:
    """The running kubelet is asked, not its file."""
    wanted = site.contract["site_session_pids_limit"] or -1
    for name in site.hosts("head", "workers"):
        told = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz", output=""))
        assert told["kubeletconfig"]["podPidsLimit"] == wanted, name


def test_namespaces_say_what_they_are(site: Site, kubectl: Callable[..., Any]) -> None:
    for hub in site.hubs.values():
        labels = kubectl("get", "namespace", hub["namespace"])["metadata"]["labels"]
        levels = {
            mode: labels.get(f"pod-security.kubernetes.io/{mode}") for mode in ("enforce", "warn", "audit")
        }
        assert levels == {"enforce": "privileged", "warn": "baseline", "audit": "baseline"}
        account = kubectl("--namespace", hub["namespace"], "get", "serviceaccount", "default")
        assert account["automountServiceAccountToken"] is False


def test_core_pods_win_over_sessions(
    session: dict[str, Any], site: Site, kubectl: Callable[..., Any]
) -> None:
    assert session["spec"]["priorityClassName"] == "ironbinder-session"
    required = site.contract["site_node_purpose_affinity"] == "require"
    nodes = {
        node["metadata"]["name"]: node["metadata"]["labels"] for node in kubectl("get", "nodes")["items"]
    }
    for hub in site.hubs.values():
        deployments = kubectl("--namespace", hub["namespace"], "get", "deployments")["items"]
        for deployment in deployments:
            spec = deployment["spec"]["template"]["spec"]
            assert spec["priorityClassName"] == "ironbinder-core", deployment["metadata"]["name"]
            match = deployment["spec"]["selector"]["matchLabels"]
            selector = ",".join(f"{key}={value}" for key, value in match.items())
            found = kubectl("--namespace", hub["namespace"], "get", "pods", "--selector", selector)["items"]
            running = [pod for pod in found if pod["status"]["phase"] == "Running"]
            assert running, deployment["metadata"]["name"]
            for pod in running:
                assert pod["spec"]["priority"] > session["spec"]["priority"]
                if required:
                    assert nodes[pod["spec"]["nodeName"]]["hub.jupyter.org/node-purpose"] == "core"
