"""Whose lab is on this computer, and what may be done with it.

Containers, volumes and the network bear the id of the checkout that made them, and its path. The id is in the checkout's own
inventories/lab/.lab. What an older Ironbinder made has no id: it belongs to the checkout whose key its machines let in.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically

__all__ = ["Lab", "Us", "is_yes", "labs_of", "look", "may_remove", "read_us", "refusals", "run_docker"]

LABEL = "ironbinder.lab"
OWNER = f"{LABEL}.owner"
CHECKOUT = f"{LABEL}.checkout"
# Docker makes volumes that a container names without any label; an older lab's are known by the whole of their name.
VOLUME = re.compile(r"ironbinder-([a-z0-9]+)-(?:docker|containerd|kubelet|etcd|disk|files)")
_VOLUME_KINDS = ("docker", "containerd", "kubelet", "etcd", "disk")

Docker = Callable[..., str]


@dataclass(frozen=True)
class Us:
    """This checkout: its id, its path, and the public key that its machines let in."""

    owner: str
    checkout: str
    key: str

    @property
    def labels(self) -> list[str]:
        """Options of `docker volume create` that name us."""
        return ["--label", f"{OWNER}={self.owner}", "--label", f"{CHECKOUT}={self.checkout}"]


@dataclass
class Lab:
    """Everything on this computer that one checkout made; `owner` is "" for what was made before there were ids."""

    owner: str
    checkout: str = ""
    keys: set[str] = field(default_factory=set)
    running: list[str] = field(default_factory=list)
    containers: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)

    def is_ours(self, us: Us) -> bool:
        """Whether this checkout made it: by its id, its path, or the key that its machines let in."""
        return self.owner == us.owner or self.checkout == us.checkout or us.key in self.keys - {""}

    @property
    def name(self) -> str:
        """Where it is from, as far as is known."""
        return self.checkout or "another checkout, which does not say where it is"


def labs_of(
    containers: Iterable[Mapping[str, Any]],
    volumes: Iterable[Mapping[str, Any]],
    networks: Iterable[Mapping[str, Any]],
) -> list[Lab]:
    """Sort what `docker inspect` says of containers, volumes and networks by who made it; what is not the lab's is left out."""
    labs: dict[str, Lab] = {}

    def lab(labels: Mapping[str, str]) -> Lab:
        found = labs.setdefault(labels.get(OWNER, ""), Lab(labels.get(OWNER, "")))
        found.checkout = labels.get(CHECKOUT, "") or found.checkout
        return found

    users: dict[str, Lab] = {}
    for container in containers:
        labels = container["Config"]["Labels"] or {}
        # The registry that a build fills for a moment bears the label without a machine's name.
        if not labels.get(LABEL):
            continue
        found = lab(labels)
        name = container["Name"].lstrip("/")
        found.containers.append(name)
        if container["State"]["Running"]:
            found.running.append(name)
        for entry in container["Config"]["Env"] or []:
            if entry.startswith("LAB_AUTHORIZED_KEY="):
                found.keys.add(_key(entry.partition("=")[2]))
        for mount in container.get("Mounts") or []:
            users[mount.get("Name") or ""] = found
            # mirror1 sees its checkout's state, also in a lab without ids.
            if mount.get("Destination") == "/srv/lab" and not found.checkout:
                found.checkout = mount["Source"].removesuffix("/inventories/lab/.lab/srv")
    for volume in volumes:
        labels = volume.get("Labels") or {}
        if OWNER in labels or VOLUME.fullmatch(volume["Name"]):
            # Without a label it belongs to whoever uses it.
            owner = lab(labels) if OWNER in labels else users.get(volume["Name"]) or lab({})
            owner.volumes.append(volume["Name"])
    for network in networks:
        labels = network.get("Labels") or {}
        if LABEL in labels:
            lab(labels).networks.append(network["Name"])
    return list(labs.values())


def _key(line: str) -> str:
    """Give a public key without its comment."""
    return " ".join(line.split()[:2])


def refusals(labs: Sequence[Lab], us: Us, take_over: bool) -> list[str]:
    """Say why this checkout must not make its machines now: another one's run, and nobody said that they may go."""
    return [
        f"the lab of {lab.name} runs on this computer ({', '.join(sorted(lab.running))}): run `make down` there, or "
        "`make lab TAKE_OVER=yes` here, which removes its machines with everything on them"
        for lab in labs
        if lab.running and not lab.is_ours(us) and not take_over
    ]


def may_remove(labs: Sequence[Lab], us: Us, take_over: bool, *, ours: bool) -> list[Lab]:
    """Choose what goes: others' labs that do not run, or all of them where that was said; and, to end our own, that too."""
    return [lab for lab in labs if (ours if lab.is_ours(us) else take_over or not lab.running)]


def remove(labs: Iterable[Lab], docker: Docker) -> list[str]:
    """Remove labs whole: containers, then volumes and networks. Return a line for each."""
    lines = []
    for lab in labs:
        if lab.containers:
            docker("rm", "--force", "--volumes", *lab.containers)
        if lab.volumes:
            docker("volume", "rm", "--force", *lab.volumes)
        if lab.networks:
            docker("network", "rm", *lab.networks)
        count = f"{len(lab.containers)} machines, {len(lab.volumes)} volumes, {len(lab.networks)} networks"
        lines.append(f"removed the lab of {lab.name}: {count}")
    return lines


def fresh_volumes(machine: str, us: Us, docker: Docker) -> None:
    """Give a machine that is to be made new volumes: etcd's data without /etc/kubernetes are worth nothing and stop kubeadm."""
    container = f"ironbinder-{machine}"
    docker("rm", "--force", "--volumes", container)
    names = [f"{container}-{kind}" for kind in _VOLUME_KINDS]
    docker("volume", "rm", "--force", *names)
    for name in names:
        docker("volume", "create", *us.labels, name)


def is_yes(text: str) -> bool:
    """Read TAKE_OVER as people write it."""
    return text.lower() in ("yes", "true", "1")


def read_us(state: Path, checkout: Path) -> Us:
    """Read who we are; the id is made once and kept."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(state / "owner", secrets.token_hex(6) + "\n", mode=0o644, replace=False)
    try:
        key = _key((state / "ssh" / "id_ed25519.pub").read_text())
    except FileNotFoundError:
        key = ""
    return Us((state / "owner").read_text().strip(), str(checkout), key)


def run_docker(*argv: str) -> str:
    """Run a docker command; what fails ends this program with docker's own words."""
    result = subprocess.run(["docker", *argv], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"lab: `docker {' '.join(argv[:2])}` failed: {result.stderr.strip()}")
    return result.stdout


def has_engine() -> bool:
    """Whether there is a Docker engine to ask; where there is none, there is no lab."""
    try:
        return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def look(docker: Docker) -> list[Lab]:
    """Ask Docker for everything that is, or may be, a lab's."""

    def inspect(kind: str, *listing: str) -> list[dict[str, Any]]:
        ids = docker(*listing).split()
        found: list[dict[str, Any]] = json.loads(docker(kind, "inspect", *ids)) if ids else []
        return found

    return labs_of(
        inspect("container", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"),
        inspect("volume", "volume", "ls", "--quiet"),
        inspect("network", "network", "ls", "--quiet", "--filter", f"label={LABEL}"),
    )


def main() -> int:
    """Do one thing with the labs of this computer; print what was done, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "verb",
        choices=["refuse", "clear", "fresh", "down"],
        help="refuse: 1 where another checkout's lab runs; clear: remove what others left; "
        "fresh: new volumes for MACHINE; down: remove ours, and what others left",
    )
    parser.add_argument("machine", nargs="?", default="", help="for `fresh`")
    parser.add_argument("--state-dir", type=Path, required=True, help="inventories/lab/.lab of this checkout")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument(
        "--take-over", default="", help="`yes` allows to remove another checkout's running lab"
    )
    options = parser.parse_args()
    take_over = is_yes(options.take_over)
    if not has_engine():
        return 0
    us = read_us(options.state_dir, options.checkout)
    if options.verb == "fresh":
        fresh_volumes(options.machine, us, run_docker)
        print(f"new volumes for {options.machine}")
        return 0
    labs = look(run_docker)
    problems = refusals(labs, us, take_over)
    if options.verb == "down":
        lines = remove(may_remove(labs, us, take_over, ours=True), run_docker)
        print("\n".join([*lines, *(f"left alone: {problem}" for problem in problems)]))
        return 0
    if problems:
        print("\n".join(f"lab: {problem}" for problem in problems))
        return 1
    if options.verb == "clear":
        print("\n".join(remove(may_remove(labs, us, take_over, ours=False), run_docker)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
