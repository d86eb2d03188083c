"""Measure Ironbinder in the lab, beside an earlier commit and a hand-written shell floor.

`make bench`, `make bench ROUNDS=3`, `make bench BASE=<commit>`, `make bench COLD=1`. Every round makes new machines for
each side, in another order. Machines differ by a factor of two, so seconds alone say little: the controller's CPU time
and the number of tasks stand beside them, and what counts are ratios within a round. The figures go to
docs/performance.md and docs/performance.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import page
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "inventories" / "lab"
STATE = LAB / ".lab"
HERE = Path(__file__).resolve().parent
# What issue and design ask for; the table says whether it is met.
LIMITS = {
    "second_cpu_ratio": 0.6,
    "second_wall_ratio": 0.7,
    "floor_ratio": 1.3,
    "disk": 15.0,
    "memory": 6.0,
    "cold": 960.0,
}


class Run(NamedTuple):
    """A run of ansible-playbook: seconds, the controller's CPU seconds, what it printed."""

    seconds: float
    cpu: float
    output: str


def cpu_seconds() -> float:
    """CPU time of all children that have ended: ansible-playbook, its workers, ssh, modules on the controller."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def play(*arguments: str, checkout: Path = ROOT) -> Run:
    """Run ansible-playbook in a checkout; what fails ends the measurement."""
    begun, used = time.monotonic(), cpu_seconds()
    environment = {**os.environ, "ANSIBLE_CONFIG": str(checkout / "ansible.cfg")}
    run = subprocess.run(
        ["ansible-playbook", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.exit(f"ansible-playbook {' '.join(arguments)} failed:\n{run.stdout[-4000:]}{run.stderr[-1000:]}")
    return Run(time.monotonic() - begun, cpu_seconds() - used, run.stdout)


def earlier(commit: str, folder: Path) -> Path:
    """Check an earlier commit out beside this one, with the keys and addresses of the running lab."""
    subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", str(folder), commit], cwd=ROOT, check=True
    )
    inventory = folder / LAB.relative_to(ROOT)
    (inventory / ".lab").symlink_to(STATE)
    secrets = (LAB / "group_vars/all/secrets.yml").read_text()
    contract = yaml.safe_load((folder / "roles/site/meta/argument_specs.yml").read_text())["argument_specs"]
    # It refuses a secret that it does not know.
    entries = re.findall(r"^(\w+):.*\n(?:[ \-].*\n)*", secrets, re.M)
    for name in entries:
        if name not in contract["contract"]["options"]:
            secrets = re.sub(rf"^{name}:.*\n(?:[ \-].*\n)*", "", secrets, flags=re.M)
    file = inventory / "group_vars/all/secrets.yml"
    file.touch(mode=0o600)
    file.write_text(secrets)
    return folder


def machines() -> float:
    """Make new machines; return the seconds it took."""
    play("lab/down.yml")
    seconds = sum(play("-i", str(LAB), name).seconds for name in ("lab/docker.yml", "lab/up.yml"))
    let_root_in()
    return seconds


def let_root_in() -> None:
    """Have the machines let root in by the lab's key, as the shell floor and labs of earlier commits log in."""
    key = (STATE / "ssh" / "id_ed25519.pub").read_bytes()
    script = "umask 077; mkdir -p /root/.ssh; cat > /root/.ssh/authorized_keys"
    for name in lab_containers():
        subprocess.run(["docker", "exec", "--interactive", name, "sh", "-c", script], input=key, check=True)


def lab_containers() -> list[str]:
    """Return the ids of the lab's machines that run."""
    argv = ["docker", "ps", "--quiet", "--filter", "label=ironbinder.lab"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()


def stages(output: str) -> dict[str, float]:
    """Read each stage's seconds from the run's last lines."""
    found = re.findall(r"^stage \d+/\d+ (\w+)\s+([\d.]+) s$", output, re.M)
    return {name: float(seconds) for name, seconds in found}


def executed(output: str, host: str = r"\S+") -> int:
    """Return how many tasks a run executed on a host, or on all of them together."""
    counts = re.findall(rf"^{host}\s+: ok=(\d+)", output, re.M)
    if not counts:
        raise ValueError(f"the run's recap has no {host}")
    return sum(map(int, counts))


def memory_gb() -> float:
    """Return what the lab's containers use, page cache excluded."""
    names = lab_containers()
    shown = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", *names],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    units = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}
    used = re.findall(r"^([\d.]+)(KiB|MiB|GiB|B) /", shown, re.M)
    return sum(float(amount) * units[unit] for amount, unit in used) / 1e9


def disk_gb(cache: Path) -> dict[str, float]:
    """Return the size of Docker's data with the lab running, and of the cache."""
    root = subprocess.run(
        ["docker", "info", "--format", "{{.DockerRootDir}}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    sizes = {}
    for name, folder in (("docker", root), ("cache", str(cache))):
        shown = subprocess.run(
            ["du", "-sx", "--block-size=1", folder], check=False, capture_output=True, text=True
        )
        sizes[name] = int(shown.stdout.split()[0]) / 1e9
    return sizes


def floor(config: Path, places: dict[str, str]) -> float:
    """Run the shell floor on new machines; return its seconds."""
    begun = time.monotonic()
    key = str(STATE / "ssh" / "id_ed25519")
    argv = [str(HERE / "floor.sh"), str(config), key, places["helm"], places["kubectl"]]
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"the floor failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return time.monotonic() - begun


def cold(go: str) -> float:
    """Build every artefact into an empty cache; return the seconds."""
    with tempfile.TemporaryDirectory(prefix="ironbinder-cold-", dir=Path.home()) as folder:
        begun = time.monotonic()
        argv = [sys.executable, "lab/artifacts/build.py", "--cache-dir", folder, "--go", go]
        subprocess.run(argv, cwd=ROOT, check=True)
        return time.monotonic() - begun


def chart(sides: dict[str, dict[str, float]], path: Path) -> None:
    """Draw stacked bars, one a side, as SVG."""
    colours = ["#8395a7", "#54a0ff", "#2e86de", "#5f27cd", "#10ac84", "#ff9f43", "#ee5253"]
    longest = max(sum(parts.values()) for parts in sides.values())
    scale, height = 640 / longest, 46
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 {len(sides) * height + 60}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    names: dict[str, str] = {}
    for row, (side, parts) in enumerate(sides.items()):
        left, top = 160.0, 12 + row * height
        lines.append(f'<text x="150" y="{top + 19}" text-anchor="end">{side}</text>')
        for name, seconds in parts.items():
            colour = names.setdefault(name, colours[len(names) % len(colours)])
            width = seconds * scale
            lines.append(
                f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="28" fill="{colour}">'
                f"<title>{name} {seconds:.1f} s</title></rect>"
            )
            left += width
        lines.append(f'<text x="{left + 6:.1f}" y="{top + 19}">{sum(parts.values()):.0f} s</text>')
    left = 160
    for name, colour in names.items():
        top = len(sides) * height + 24
        lines.append(f'<rect x="{left}" y="{top}" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{left + 16}" y="{top + 11}">{name}</text>')
        left += 34 + 8 * len(name)
    path.write_text("\n".join([*lines, "</svg>"]) + "\n")


def measure(checkout: Path) -> dict[str, Any]:
    """Make new machines, and run a checkout's site.yml on them twice."""
    made = machines()
    # The mirror serves the chart of this commit, whoever asks.
    chart_version = yaml.safe_load((ROOT / "lab/chart/Chart.yaml").read_text())["version"]
    run = (
        "-i",
        str(checkout / LAB.relative_to(ROOT)),
        "-e",
        f"site_binderhub_chart_version={chart_version}",
        "site.yml",
    )
    first = play(*run, checkout=checkout)
    second = play(*run, checkout=checkout)
    return {
        "machines": made,
        "site": first.seconds,
        "site_cpu": first.cpu,
        "stages": stages(first.output),
        "second": second.seconds,
        "second_cpu": second.cpu,
        "second_stages": stages(second.output),
        "worker_tasks": executed(second.output, "worker1"),
        "all_tasks": executed(second.output),
    }


def work_seconds(side: dict[str, Any]) -> float:
    """Seconds of the stages that the floor has too."""
    return float(sum(took for name, took in side["stages"].items() if name not in ("preflight", "verify")))


def one_round(number: int, base: Path, folder: Path, places: dict[str, str], cache: Path) -> dict[str, Any]:
    """Measure all sides once, in an order that changes from round to round."""
    sides: dict[str, Any] = {}
    config = folder / f"round-{number}"
    for side in ("old", "new") if number % 2 else ("new", "old"):
        sides[side] = measure(base if side == "old" else ROOT)
        print(f"  {side}: {shown(sides[side])}", flush=True)
        if side == "new":
            sides["memory"] = memory_gb()
            sides["disk"] = sum(disk_gb(cache).values())
            key, kubeconfig = str(STATE / "ssh" / "id_ed25519"), str(LAB / ".kube" / "config")
            argv = [
                str(HERE / "capture.sh"),
                str(config),
                key,
                places["helm"],
                places["kubectl"],
                kubeconfig,
            ]
            subprocess.run(argv, check=True)
    machines()
    sides["floor"] = floor(config, places)
    new, old = sides["new"], sides["old"]
    sides["floor_ratio"] = work_seconds(new) / sides["floor"]
    sides["old_floor_ratio"] = work_seconds(old) / sides["floor"]
    sides["second_cpu_ratio"] = new["second_cpu"] / old["second_cpu"]
    sides["second_wall_ratio"] = new["second"] / old["second"]
    sides["site_ratio"] = new["site"] / old["site"]
    print(f"  floor {sides['floor']:.1f} s; ratios: {shown(sides)}", flush=True)
    return sides


def shown(entry: dict[str, Any]) -> str:
    """One line of an entry's figures."""
    return ", ".join(
        f"{name} {value:.2f}" for name, value in entry.items() if isinstance(value, (int, float))
    )


def report(rounds: list[dict[str, Any]], base: str, cold_seconds: float | None) -> str:
    """Write the page: medians, every round, and what was asked for."""

    def middle(*way: str) -> float:
        values = []
        for entry in rounds:
            value: Any = entry
            for key in way:
                value = value[key]
            values.append(float(value))
        return median(values)

    def row(what: str, value: float, unit: str, limit: str) -> str:
        met = "yes" if value <= LIMITS[limit] else "no"
        return f"| {what} | {value:.{2 if unit == 'x' else 1}f} {unit} | {LIMITS[limit]:g} {unit} | {met} |"

    def both(what: str, key: str, form: str = ".1f") -> str:
        return f"| {what} | {middle('old', key):{form}} | {middle('new', key):{form}} |"

    rows = [
        row(
            f"second run, controller's CPU, against {base}",
            middle("second_cpu_ratio"),
            "x",
            "second_cpu_ratio",
        ),
        row(f"second run, wall time, against {base}", middle("second_wall_ratio"), "x", "second_wall_ratio"),
        row(
            "`site.yml` without preflight and verify, against the floor",
            middle("floor_ratio"),
            "x",
            "floor_ratio",
        ),
        row("disk: Docker's data with the lab running, and the cache", middle("disk"), "GB", "disk"),
        row("memory of the machines", middle("memory"), "GB", "memory"),
    ]
    if cold_seconds is not None:
        rows.append(row("artefacts, cold", cold_seconds, "s", "cold"))
    each = [
        f"| {number} | {entry['old']['second']:.1f} / {entry['new']['second']:.1f} | "
        f"{entry['old']['second_cpu']:.1f} / {entry['new']['second_cpu']:.1f} | "
        f"{entry['old']['site']:.1f} / {entry['new']['site']:.1f} | {entry['floor']:.1f} | "
        f"{entry['second_cpu_ratio']:.2f} | {entry['second_wall_ratio']:.2f} | "
        f"{entry['old_floor_ratio']:.2f} / {entry['floor_ratio']:.2f} |"
        for number, entry in enumerate(rounds, 1)
    ]
    return "\n".join(
        [
            "# Performance",
            "",
            f"Measured by `make bench` on {os.cpu_count()} cores, {platform.system()} {platform.machine()}; medians of "
            f"{len(rounds)} round{'s' if len(rounds) > 1 else ''}, each on new machines for each side, in changing order.",
            f"Beside this commit ran {base}, in the same rounds: seconds of two computers cannot be compared, ratios can.",
            "",
            "![Seconds of each stage: first run, second run and floor](performance.svg)",
            "",
            "| what | measured | asked for | met |",
            "|---|---|---|---|",
            *rows,
            "",
            f"| | {base} | now |",
            "|---|---|---|",
            both("second run, s", "second"),
            both("second run, CPU of the controller, s", "second_cpu"),
            both("tasks executed on a worker in the second run", "worker_tasks", ".0f"),
            both("tasks executed on all hosts in the second run", "all_tasks", ".0f"),
            both("first run, s", "site"),
            both("first run, CPU of the controller, s", "site_cpu"),
            both("machines, s", "machines"),
            "",
            "The floor is [tests/bench/floor.sh](../tests/bench/floor.sh): packages, kubeadm init and join, pod network,",
            "MetalLB, Helm and NGINX by hand, with every configuration file ready, without a check or a proof.",
            "",
            "| round | second run s, old / now | its CPU s | site.yml s | floor s | CPU ratio | wall ratio | to the floor |",
            "|---|---|---|---|---|---|---|---|",
            *each,
            "",
        ]
    )


def write(rounds: list[dict[str, Any]], base: str, cold_seconds: float | None) -> str:
    """Write the page and its picture; return the page."""
    text = report(rounds, base, cold_seconds)
    # Guard and growth have sections of their own there, by guard.py and growth.py.
    page.PAGE.write_text(page.carried(text))
    last = rounds[-1]
    sides = {
        "now": last["new"]["stages"],
        base: last["old"]["stages"],
        "now, again": last["new"]["second_stages"],
        f"{base}, again": last["old"]["second_stages"],
        "floor": {"floor": last["floor"]},
    }
    chart(sides, ROOT / "docs" / "performance.svg")
    return text


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", default="559f172", help="the commit to compare with")
    parser.add_argument("--cold", action="store_true", help="also build every artefact into an empty cache")
    options = parser.parse_args()
    cache = Path(os.environ["IRONBINDER_CACHE"])
    places = json.loads((STATE / "artifacts.json").read_text())
    rounds = []
    with tempfile.TemporaryDirectory(prefix="ironbinder-bench-") as name:
        folder = Path(name)
        base = earlier(options.base, folder / "base")
        try:
            for number in range(1, options.rounds + 1):
                print(f"round {number}/{options.rounds}", flush=True)
                rounds.append(one_round(number, base, folder, places, cache))
                # What was measured stays, whatever happens in the next round.
                write(rounds, options.base, None)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(base)], cwd=ROOT, check=True)
    play("lab/down.yml")
    cold_seconds = None
    if options.cold:
        play("lab/docker.yml")
        cold_seconds = cold(shutil.which("go") or "go")
    print(write(rounds, options.base, cold_seconds))


if __name__ == "__main__":
    main()
