# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A site that has no way out but an HTTP proxy: BinderHub, a build pod and a RUN step fetch through it, and by no other way.

outside1's tinyproxy is the way. Packets of pods and builds for "the Internet" are dropped where they enter a node's stack, and
counted there. The repository is made for each run and lies beyond the proxy, so that nothing is built before.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_site import ROOT, Site

from playbooks import play

testinfra_hosts = ["ansible://head"]

LAB = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/lab.yml").read_text())
# By its address, as the inventory opens it: its name is what the controller knows it by.
INVENTORY = yaml.safe_load((ROOT / "inventories/lab/hosts.yml").read_text())
BEYOND = INVENTORY["all"]["children"]["machines"]["children"]["outside"]["hosts"]
INTERNET = LAB["lab_outside_address"]
[NAME] = LAB["lab_extra_names"][INTERNET]
PORT, GIT_PORT = 8888, 8000
TABLE = "ironbinder_test_direct"
# Before everything else that might drop or count: what a pod or a container sends to "the Internet" itself.
RULES = f"""
table ip {TABLE} {{
  chain direct {{
    type filter hook prerouting priority -450; policy accept;
    iifname {{ "cni0", "docker0" }} ip daddr {LAB["lab_outside_network"]} counter drop
  }}
}}
"""
BASE = (ROOT / "lab/repositories/hello/Dockerfile").read_text().partition("FROM ")[2].split()[0]
# The listener says who asked it: the proxy, at an address of its own, and nobody else.
DOCKERFILE = f"""FROM {BASE}
ARG NB_USER=jovyan
ARG NB_UID=1000
RUN echo @token@ \\
 && python3 -c "from urllib.request import urlopen as o; print(o('http://{NAME}/', timeout=10).read().decode())" > /tmp/said \\
 && grep --fixed-strings --line-regexp '{INTERNET} 80 tcp from {INTERNET}' /tmp/said
COPY --chown=1000 . /home/jovyan
"""
# What a process was started with, wherever its service comes from.
ENVIRONMENT = "tr '\\0' '\\n' < /proc/$(systemctl show --property=MainPID --value {})/environ"


@pytest.fixture
def machine(host: Any, request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Return a function that gives a machine by its name."""
    inventory = request.config.option.ansible_inventory
    return lambda name: host.get_host(f"ansible://{name}", ansible_inventory=inventory)


@pytest.fixture
def outside(machine: Callable[[str], Any], site: Site) -> Any:
    """Return what lies beyond the site."""
    [name] = site.hosts("outside")
    return machine(name)


@pytest.fixture
def proxy(site: Site) -> dict[str, str]:
    """Return what an inventory would say. tinyproxy asks for no account; ours is a canary that no log may show."""
    [name] = site.hosts("outside")
    return {"site_http_proxy": f"http://site:{secrets.token_hex(16)}@{BEYOND[name]['lab_address']}:{PORT}"}


Run = Callable[..., None]


@pytest.fixture
def run(site: Site, tmp_path: Path) -> Run:
    """Return a function that runs a playbook with these wishes, most talkative where there are any.

    It has to work, and to keep the proxy's account to itself.
    """

    def play_it(playbook: str, *arguments: str, wishes: dict[str, Any] | None = None) -> None:
        log = tmp_path / "log"
        more = ["-vvv", "-e", json.dumps(wishes)] if wishes else []
        code = play(site.inventory, ROOT / "playbooks" / playbook, *arguments, *more, log=log)
        said = log.read_text(errors="replace")
        if wishes:
            password = wishes["site_http_proxy"].rpartition("@")[0].rpartition(":")[2]
            assert [number for number, line in enumerate(said.splitlines(), 1) if password in line] == []
        assert code == 0, said[-4000:]

    return play_it


@pytest.fixture
def repository(outside: Any, tmp_path: Path) -> Iterator[str]:
    """Serve a repository that nobody has seen, beyond the proxy only; return its URL."""
    work, bare = tmp_path / "work", tmp_path / "proxied.git"
    work.mkdir()
    (work / "Dockerfile").write_text(DOCKERFILE.replace("@token@", secrets.token_hex(8)))
    author = {
        f"GIT_{who}_{what}": f"lab@{NAME}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    for argv in (
        ["git", "init", "--quiet", "--template=", "--initial-branch=main", str(work)],
        ["git", "-C", str(work), "add", "."],
        ["git", "-C", str(work), "commit", "--quiet", "--message=A build that asks the Internet"],
        ["git", "clone", "--quiet", "--bare", "--template=", str(work), str(bare)],
        # A server of plain files has to have the list of branches as a file.
        ["git", "-C", str(bare), "update-server-info"],
    ):
        subprocess.run(argv, check=True, env={**os.environ, **author})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(bare, bare.name)
    folder, unit = "/run/ironbinder-test-git", "ironbinder-test-git"
    text = base64.b64encode(packed.getvalue()).decode()
    outside.check_output(
        "mkdir -p %s && echo %s | base64 -d | tar -xzC %s --no-same-owner", folder, text, folder
    )
    outside.check_output(
        "systemd-run --quiet --collect --unit %s python3 -m http.server %s --bind %s --directory %s",
        unit,
        str(GIT_PORT),
        INTERNET,
        folder,
    )
    try:
        yield f"http://{NAME}:{GIT_PORT}/{bare.name}"
    finally:
        outside.run("systemctl stop %s; rm -rf %s", unit, folder)


@pytest.fixture
def dropped(host: Any, site: Site, machine: Callable[[str], Any]) -> Iterator[Callable[[], dict[str, int]]]:
    """Drop what pods and builds of any node send out themselves; return a function that counts it, by node."""
    nodes = {name: machine(name) for name in site.hosts("head", "workers")}

    def count() -> dict[str, int]:
        told = {name: node.check_output("nft list table ip %s", TABLE) for name, node in nodes.items()}
        return {name: int(re.findall(r"counter packets (\d+)", text)[0]) for name, text in told.items()}

    try:
        for node in nodes.values():
            node.check_output("echo %s | nft -f -", RULES)
        # Who goes out directly is seen: BinderHub's own pod, which will look up a repository there.
        inside = "nsenter --net --target $(pgrep --full --oldest binderhub_config.py)"
        assert host.run(f"{inside} timeout 2 bash -c '</dev/tcp/{INTERNET}/80'").rc != 0
        assert count()[host.backend.get_hostname()] > 0
        yield count
    finally:
        for node in nodes.values():
            node.run("nft delete table ip %s", TABLE)


@pytest.fixture
def launch(site: Site, repository: str) -> Callable[[], str]:
    """Return a function that launches the repository as the verifier does, and gives what went wrong."""
    hub = next(iter(site.hubs.values()))
    arguments = {
        "url": hub["binder_url"],
        "hub_url": hub["hub_url"],
        "provider": "git",
        "spec": f"{repository.replace(':', '%3A').replace('/', '%2F')}/main",
        "ca_files": site.contract["site_ca_files"],
        "timeout_seconds": 120,
    }
    program = [str(Path(sys.executable).with_name("ansible")), "localhost", "--connection=local"]
    program += ["--inventory=localhost,", f"--extra-vars=ansible_python_interpreter={sys.executable}"]
    module = ["--module-name=ironbinder.platform.binder_launch", f"--args={json.dumps(arguments)}"]

    def ask() -> str:
        done = subprocess.run([*program, *module], cwd=ROOT, capture_output=True, text=True, check=False)
        return (done.stdout[-4000:] + done.stderr[-1000:]) if done.returncode else ""

    return ask


@pytest.fixture
def bound(proxy: dict[str, str], run: Run) -> Run:
    """Return `run` with the proxy among its wishes; tests put back what it did."""

    def with_proxy(playbook: str, *arguments: str, **wishes: Any) -> None:
        run(playbook, *arguments, wishes=proxy | wishes)

    return with_proxy


@pytest.fixture
def proxied(bound: Run, run: Run) -> Iterator[None]:
    """Have BinderHub behind the proxy, and put it back."""
    try:
        bound("binderhub.yml")
        yield
    finally:
        run("binderhub.yml")


def test_builds_go_out_by_the_proxy_alone(
    dropped: Callable[[], dict[str, int]], proxied: None, launch: Callable[[], str], outside: Any
) -> None:
    seen, since = dropped(), outside.check_output("date +%s")
    assert launch() == ""
    assert dropped() == seen
    log = outside.check_output("journalctl --unit tinyproxy --output cat --no-pager --since @%s", since)
    asked = re.findall(r"Request .*?: [A-Z]+ http://(\S+?)/", log)
    # BinderHub and the build pod by git, and the RUN step.
    assert set(asked) == {f"{NAME}:{GIT_PORT}", NAME}
    assert len(re.findall(r"GET http://\S+/info/refs", log)) >= 2


@pytest.fixture
def worker(machine: Callable[[str], Any], site: Site) -> Any:
    """Return a node that builds."""
    return machine(site.hosts("workers")[0])


def told(worker: Any) -> dict[str, str]:
    """Return what Docker says of its proxy, what containerd was started with, and what apt does."""
    lines = worker.check_output(ENVIRONMENT.format("containerd")).splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    return {
        "docker": worker.check_output("docker info --format '{{.HTTPProxy}} {{.NoProxy}}'").strip(),
        "containerd": f"{found.get('http_proxy', '')} {found.get('no_proxy', '')}".strip(),
        "apt": worker.check_output("apt-config dump Acquire::http::Proxy"),
    }


@pytest.fixture
def chosen(worker: Any, run: Run, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Give the arguments that choose one worker, and put everything back afterwards."""
    if not request.config.getoption("--long"):
        pytest.skip("--long runs the stages nodes and cluster twice for this")
    arguments = ["--limit", worker.backend.get_hostname()]
    yield arguments
    run("nodes.yml", *arguments)
    run("cluster.yml")
    assert told(worker) == {"docker": "", "containerd": "", "apt": ""}
    assert not worker.file("/etc/ironbinder/docker-proxy.env").exists


def test_machines_are_told(
    site: Site, worker: Any, proxy: dict[str, str], bound: Run, chosen: list[str]
) -> None:
    url = proxy["site_http_proxy"]
    place, mirror = url.rpartition("@")[2], site.contract["site_docker_hub_mirrors"][0].rpartition("/")[2]
    address, _, port = place.partition(":")
    bound("nodes.yml", *chosen)
    now = told(worker)
    assert place in now["docker"] and "xxxxx" in now["docker"] and "10.96.0.1," in now["docker"]
    assert now["containerd"].startswith(f"{url} ") and mirror in now["containerd"]
    assert f'Acquire::http::Proxy "{url}";' in now["apt"]
    assert f'Acquire::http::Proxy::{mirror} "DIRECT";' in now["apt"]
    secret = worker.check_output("grep --recursive --files-with-matches %s /etc", url.split("@")[0]).split()
    assert len(secret) == 3
    assert {worker.file(path).mode for path in secret} == {0o600}
    # systemd tells everybody what is in its units.
    assert place not in worker.check_output("systemctl show docker containerd --property=Environment")
    worker.check_output("apt-get update")
    # What the inventory opens by hand is opened without it.
    allowed = site.contract["site_build_allowed_networks"]
    bound(
        "cluster.yml", site_build_allowed_networks=[entry for entry in allowed if entry["network"] != address]
    )
    assert f"ip daddr {address} tcp dport {port} accept" in worker.check_output("nft list ruleset")
