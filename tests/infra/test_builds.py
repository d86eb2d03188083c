# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Builds of a node stay within their bounds: what they may take, by the kernel, and what they leave, by Docker.

The base image is made of the node's own programs, so that nothing has to be pulled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_site import ROOT, Site

from playbooks import start

testinfra_hosts = ["ansible://head", "ansible://workers"]

SLICE = "ironbinder-builds.slice"
BASE = "ironbinder-test/base"
LABEL = "ironbinder.test"
FOLDER = "/var/tmp/ironbinder-test-base"
PRUNE = "/usr/local/libexec/ironbinder/docker-prune"
# What a build makes is found again by its label.
BUILD = f"DOCKER_BUILDKIT=1 docker build --no-cache --quiet --label {LABEL}=yes"
# Both versions of control groups; one of the two is there.
GROUP = f"ironbinder.slice/{SLICE}"
LIMITS = f"/sys/fs/cgroup/{GROUP}/memory.max /sys/fs/cgroup/memory/{GROUP}/memory.limit_in_bytes"
# Disks up to this size are filled, by twelfths: one of them leads past 70 % and not to what the kubelet does at 80.
SMALL_DISK_BYTES = 20 << 30
PIECES = 12
LAUNCH_SECONDS = 300
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


@pytest.fixture(autouse=True)
def building(host: Any, site: Site) -> None:
    """Skip nodes on which nothing is built."""
    if "user" not in site.variables(host.backend.host)["site_node_purposes"]:
        pytest.skip("this node does not build")


@pytest.fixture
def base(host: Any) -> Iterator[str]:
    """Make an image of a shell and three programs of this machine, and remove it afterwards."""
    script = (
        "files='/bin/sh /usr/bin/dd /usr/bin/sleep /usr/bin/fallocate'; "
        "libraries=$(ldd $files | grep -o '/lib[^ )]*' | sort -u); "
        f"mkdir -p {FOLDER} && "
        f"tar --create --dereference --file={FOLDER}/base.tar $files $libraries 2>/dev/null; "
        f"docker import --change 'ENV PATH=/usr/bin:/bin' {FOLDER}/base.tar {BASE}"
    )
    host.check_output("sh -c %s", script)
    yield BASE
    host.run("rm --recursive --force %s", FOLDER)
    host.run(
        f"docker image rm --force {BASE} $(docker images --quiet --no-trunc --filter label={LABEL} | sort -u)"
    )


def build(step: str, wait: bool = True) -> str:
    """Return a command that builds an image of one RUN step with BuildKit, as repo2docker does."""
    run = f"printf 'FROM {BASE}\\nRUN {step}\\n' | {BUILD} -"
    return run if wait else f"({run}) < /dev/null > /dev/null 2>&1 &"


def cached(number: int, leave: str = "dd if=/dev/urandom of=/{} bs=1M count=20 status=none") -> str:
    """Return a command whose build leaves 20 MB in the cache alone: what is in an image, too, does not count as cache.

    Nor does a step on an image that Docker holds, so this begins with nothing.
    """
    steps = [
        "FROM scratch AS big",
        "ADD base.tar /",
        f"RUN {leave.format(number)}; echo > /done",
        "FROM scratch",
        "COPY --from=big /done /done",
    ]
    lines = "\\n".join(steps)
    return f"printf '{lines}\\n' | {BUILD} --file - {FOLDER}"


def kernel_limit(host: Any) -> int:
    """Return the memory in bytes to which the kernel holds builds."""
    return int(host.run(f"cat {LIMITS} 2>/dev/null").stdout.split()[0])


def cache_bytes(host: Any) -> float:
    """Return the size of Docker's build cache, as it tells it, without layers that an image has, too.

    Those are bound by no number of ours, as removing them from the cache frees nothing.
    """
    told = host.check_output("docker system df --format '{{.Type}}\t{{.Reclaimable}}'")
    size = re.search(r"Build Cache\t([\d.]+)([kMG]?B)", told)
    assert size, told
    return float(size[1]) * UNITS[size[2]]


def lacking(host: Any, least: float) -> Callable[[], str]:
    """Return what says whether that much can be pruned: Docker holds a build's cache for a moment after its end."""

    def look() -> str:
        found = cache_bytes(host)
        return "" if found > least else f"{found:.0f} bytes of cache, and {least:.0f} were left by builds"

    return look


def running_containers(host: Any) -> set[str]:
    """Return the process ids of all containers of pods."""
    return {
        line.split()[1] for line in host.check_output("ctr --namespace k8s.io tasks list").splitlines()[1:]
    }


@pytest.fixture
def interrupting(request: pytest.FixtureRequest) -> None:
    """Skip where builds of people may not be disturbed."""
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: builds are killed and begin from nothing")


def test_the_kernel_bounds_builds(host: Any) -> None:
    told = int(host.check_output("systemctl show --property=MemoryMax --value %s", SLICE))
    assert told == kernel_limit(host)
    for setting in ("CPUQuotaPerSecUSec", "TasksMax"):
        assert host.check_output(f"systemctl show --property={setting} --value %s", SLICE) != "infinity"


def test_docker_uses_the_slice(host: Any) -> None:
    # With the driver `systemd` BuildKit's steps run elsewhere.
    assert host.check_output("docker info --format '{{.CgroupDriver}}'") == "cgroupfs"
    required = host.check_output("systemctl show --property=Requires --value docker").split()
    assert SLICE in required


def test_a_build_step_runs_inside_of_the_slice(host: Any, base: str, eventually: Callable[..., Any]) -> None:
    step = "sleep 97.25"
    host.check_output("sh -c %s", build(step, wait=False))

    def missing() -> str:
        return "" if host.run("pgrep --full --exact %s", step).stdout else "the step has not begun"

    try:
        assert eventually(missing, seconds=60, pause=0.5) == ""
        process = host.check_output("pgrep --full --exact %s", step).split()[0]
        groups = dict(
            line.split(":", 2)[1:] for line in host.check_output(f"cat /proc/{process}/cgroup").splitlines()
        )
        bounding = {
            name: path
            for name, path in groups.items()
            if not name or set(name.split(",")) & {"memory", "cpu", "pids"}
        }
        # On a hybrid tree the nameless one bounds nothing.
        bounding = {name: path for name, path in bounding.items() if name or len(groups) == 1}
        assert bounding
        assert [name for name, path in bounding.items() if not path.startswith(f"/{GROUP}/")] == []
    finally:
        host.run("pkill --full --exact %s", step)


def test_a_step_that_eats_memory_is_killed_and_no_pod_is(host: Any, base: str, interrupting: None) -> None:
    limit = kernel_limit(host)
    before = running_containers(host)
    try:
        # Within a small bound this takes a second; the bound itself is the kernel's business.
        host.check_output("systemctl set-property --runtime %s MemoryMax=128M", SLICE)
        assert kernel_limit(host) == 128 << 20
        eaten = host.run("sh -c %s", build("x=0123456789abcdef; while :; do x=$x$x; done"))
        assert eaten.rc != 0
        assert re.search("137|[Kk]illed|memory", eaten.stderr), eaten.stderr
    finally:
        # systemd 257 leaves a group as it is where a reload only takes a drop-in away.
        host.run("systemctl set-property --runtime %s MemoryMax=%s", SLICE, str(limit))
        host.run("rm --recursive --force /run/systemd/system.control/%s.d", SLICE)
        host.run("systemctl daemon-reload")
    assert kernel_limit(host) == limit
    assert before - running_containers(host) == set()
    assert host.check_output("python3 -c %s", ASK_KUBE_PROXY) == "200"


# A pod that answers on every node.
ASK_KUBE_PROXY = (
    "from urllib.request import urlopen as o; print(o('http://127.0.0.1:10256/healthz', timeout=5).status)"
)


def test_docker_is_pruned_again_and_again(host: Any) -> None:
    timer = host.service("ironbinder-docker-prune.timer")
    assert timer.is_running
    assert timer.is_enabled
    host.run_expect([0], "systemctl start ironbinder-docker-prune.service")


def test_pruning_keeps_the_cache_within_its_bound(
    host: Any, base: str, interrupting: None, eventually: Callable[..., Any]
) -> None:
    # First what an image has, which is pruned first, and frees nothing.
    shared = build("dd if=/dev/urandom of=/shared bs=1M count=50 status=none")
    for command in (shared, *map(cached, range(3))):
        made = host.run("sh -c %s", command)
        assert made.rc == 0, made.stderr
    assert eventually(lacking(host, 60e6), seconds=60, pause=0.5) == ""
    pruned = host.run_expect([0], f"{PRUNE} --cache-bytes=30000000 --image-hours=168 --above-percent=100")
    assert 0 < cache_bytes(host) <= 30e6, pruned.stdout


def test_a_full_disk_empties_the_cache_and_spares_what_no_build_made(
    host: Any, base: str, interrupting: None, eventually: Callable[..., Any]
) -> None:
    before = cache_bytes(host)
    made = host.run("sh -c %s", cached(4))
    assert made.rc == 0, made.stderr
    assert eventually(lacking(host, before + 20e6), seconds=60, pause=0.5) == ""
    # Every disk is fuller than nothing at all.
    host.run_expect([0], f"{PRUNE} --cache-bytes=30000000 --image-hours=168 --above-percent=0")
    assert cache_bytes(host) == 0
    assert host.run("docker image inspect %s", BASE).rc == 0


def used_percent(host: Any) -> int:
    """Return how full the file system of builds, images and pods is, as its tools and the kubelet count."""
    return int(host.check_output("df --output=pcent /var/lib/docker").split()[-1].rstrip("%"))


@pytest.mark.usefixtures("base", "interrupting")
def test_builds_fill_a_disk_and_launches_go_on(host: Any, site: Site, tmp_path: Path) -> None:
    """On one node with a small disk of its own, as the lab's workers have."""
    size = int(host.check_output("df --output=size --block-size=1 /var/lib/docker").split()[-1])
    if size > SMALL_DISK_BYTES or host.backend.get_hostname() != site.hosts("workers")[-1]:
        pytest.skip("one small disk is enough to fill, and a large one too much")
    bound = int(site.contract["site_docker_prune_above_percent"])
    before = running_containers(host)
    for number in range(PIECES):
        if used_percent(host) > bound:
            break
        made = host.run("sh -c %s", cached(number, f"fallocate --length {size // PIECES} /{{}}"))
        assert made.rc == 0, made.stderr
    assert used_percent(host) > bound
    launch = start(
        site.inventory,
        ROOT / "playbooks/verify.yml",
        *("-e", "{site_fence_check_enabled: false, site_trust_check_enabled: false}"),
        log=tmp_path / "log",
    )
    # The timer does so every few minutes.
    host.run_expect([0], "systemctl start ironbinder-docker-prune.service")
    assert launch.wait(LAUNCH_SECONDS) == 0, (tmp_path / "log").read_text(errors="replace")[-4000:]
    assert used_percent(host) <= bound
    assert before - running_containers(host) == set()
