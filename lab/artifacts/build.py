"""Build all that mirror1 serves and the machines need, from source, once: `build.py --cache-dir DIR --go GO`.

Every result is kept in the cache under a hash of its inputs, so an interrupted run goes on where it was,
and a changed pin builds one component again. The cache is safe to delete.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import debs
import images
from locked import alone
from plan import Plan, machine_images
from progress import Part, Progress, Speed, clock_text, needed
from steps import BuildError, Step, part_of, run

from lab.images.build import Builder

# Weights of what `lab/up.yml` does afterwards: a machine is started; they all answer.
MACHINE_SECONDS = 2.0
ANSWER_SECONDS = 8.0
PUSH_SECONDS = 5.0


def preparations(cache: Path) -> list[Part]:
    """What this computer itself needs: its packages, and a Docker engine."""
    packages = yaml.safe_load((HERE / "packages.yml").read_text())["computer"]
    ask = ["dpkg-query", "--show", "--showformat=${db:Status-Status}\\n", *packages]
    log = cache / "logs" / "computer.log"

    def lacks_packages() -> bool:
        result = subprocess.run(ask, capture_output=True, text=True, check=False)
        return result.stdout.split() != ["installed"] * len(packages)

    def install() -> str:
        run([ROOT / "tests" / "tools" / "apt_install", *packages], log)
        return ""

    def start_engine() -> str:
        run(["ansible-playbook", ROOT / "lab" / "docker.yml"], log, cwd=ROOT)
        return ""

    return [
        Part("packages of this computer", 15, lacks_packages, install),
        Part("Docker engine", 20, lambda: not has_engine(), start_engine),
    ]


def has_engine() -> bool:
    """Whether a Docker engine answers."""
    try:
        return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def go_rest(plan: Plan) -> Part:
    """Go's own caches, which are ten times the size of what they made."""
    folders = [plan.cache / "go" / "build", plan.cache / "go" / "mod"]

    def is_needed() -> bool:
        return any(folder.exists() for folder in folders) or any(
            not step.is_built(plan.cache) for step in plan.go.values()
        )

    def remove() -> str:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        return ""

    return Part("go caches removed", 3, is_needed, remove)


def registry(plan: Plan, names: list[str], making: list[Part]) -> Part:
    """The store of mirror1's registry: images that are made anew have to be pushed, and those that it lacks."""
    store = plan.cache / "mirror" / "registry"
    stamps = store.parent / "pushed.json"
    try:
        pushed = dict(json.loads(stamps.read_text())) if store.is_dir() else {}
    except (OSError, ValueError, TypeError):
        # Never written, or cut by a kill: everything is pushed again, which costs little where it is there.
        pushed = {}
    fresh = sum(part.label.startswith("image ") for part in making)

    def is_needed() -> bool:
        if fresh or any(name not in pushed for name in names):
            return True
        show = ["docker", "image", "inspect", "--format", "{{.Id}}", *names]
        ids = subprocess.run(show, capture_output=True, text=True, check=False).stdout.split()
        return ids != [pushed[name] for name in names]

    def fill() -> str:
        if not pushed:
            stamps.unlink(missing_ok=True)
        images.fill_registry(names, store, "ironbinder-lab/mirror", plan.log("registry"))
        return ""

    lacking = sum(name not in pushed for name in names)
    weight = PUSH_SECONDS * min(max(fresh, lacking, 1), len(names))
    return Part(f"registry with {len(names)} images", weight, is_needed, fill)


def the_rest(plan: Plan, builder: Builder) -> list[Part]:
    """Everything that has to be made when this computer is prepared, in order."""
    containers = {**machine_images(plan), **plan.image_steps()}
    if has_engine():
        forget_lost_images(containers, plan.cache)
    steps = plan.built_steps
    files: list[Step] = [*containers.values(), plan.www()]
    parts = [
        *needed(part_of(step, plan.cache) for step in steps),
        *needed([go_rest(plan)]),
        *needed(part_of(step, plan.cache) for step in files),
        *(needed(builder.parts()) if has_engine() else builder.parts()),
    ]
    return [*parts, *needed([registry(plan, image_names(plan, builder), parts)])]


def image_names(plan: Plan, builder: Builder) -> list[str]:
    """Name all images that mirror1's registry serves."""
    return [*plan.image_steps(), *(image.name for image in builder.images)]


def signing_fingerprint(cache: Path, *, make: bool) -> str:
    """Give the fingerprint of the key that signs the repositories. What it signs is unknown as long as there is none."""
    keys = cache / "keys"
    return debs.signing_key(keys) if make or (keys.is_dir() and shutil.which("gpg")) else "none yet"


def check_room(plan: Plan) -> None:
    """Refuse to begin what the disk cannot hold: Go's own caches need most, and only while they are used."""
    steps = plan.built_steps
    missing = [step for step in steps if not step.is_built(plan.cache)]
    needed_gb = 15 if len(missing) == len(steps) else 8 if missing else 2
    free = shutil.disk_usage(plan.cache).free / 1e9
    if free < needed_gb:
        raise BuildError(
            f"{plan.cache} has {free:.1f} GB left, the build needs {needed_gb} GB for a while: free some, or set "
            "IRONBINDER_CACHE to a folder on a larger disk"
        )


def link_commands(cache: Path, commands: dict[str, Path]) -> None:
    """Give the built clients a place that does not change with their version."""
    (cache / "bin").mkdir(exist_ok=True)
    for name, target in commands.items():
        fresh = cache / "bin" / f".{name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(cache / "bin" / name)


def forget_lost_images(steps: dict[str, Step], cache: Path) -> None:
    """Docker's store may have been emptied since: an image that it lacks counts as not built."""
    for name, step in steps.items():
        stamp = step.path(cache) / "id"
        if stamp.is_file():
            show = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
            found = subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()
            if found != stamp.read_text():
                shutil.rmtree(step.path(cache))


def build(cache: Path, go: Path, progress: Progress, *, long: bool = False) -> tuple[Plan, list[str]]:
    """Make everything that is missing; give the plan and the names of the images. `long` as in `Plan`.

    Raises:
        BuildError: a part failed, or the disk is too small.
    """
    builder = Builder(cache / "binder-images")
    first = needed(preparations(cache))
    plan = Plan(cache, go, signing_fingerprint(cache, make=not first), long=long)
    check_room(plan)
    rest = the_rest(plan, builder)
    progress.expect([*first, *rest])
    if not progress.ahead:
        print(f"lab: everything that is built is in {cache}", flush=True)
        return plan, image_names(plan, builder)
    print(f"lab: {progress.total} parts, about {clock_text(progress.left)}", flush=True)
    if first:
        progress.work(first)
        plan = Plan(cache, go, signing_fingerprint(cache, make=True), long=long)
        rest = the_rest(plan, builder)
        progress.expect(rest)
    builder.tidy()
    try:
        progress.work(rest)
    finally:
        builder.tidy()
    # What an earlier recipe made has lost its name; only the lab's own are looked at.
    images.docker_output("image", "prune", "--force", "--filter", f"label={images.LABEL}")
    return plan, image_names(plan, builder)


def main() -> int:
    """Build what is missing, and write where everything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache-dir", type=Path, required=True, help="where results are kept")
    parser.add_argument("--go", type=Path, required=True, help="the go command")
    parser.add_argument("--output", type=Path, help="file that receives the places of the results, as JSON")
    parser.add_argument("--machines", type=int, default=0, help="how many machines are started afterwards")
    parser.add_argument(
        "--progress", type=Path, help="file that tells those who start them how far the work is"
    )
    parser.add_argument("--long", action="store_true", help="also what only the long forms of tests need")
    options = parser.parse_args()
    cache = options.cache_dir.resolve()
    begun = time.time()
    later = [*[MACHINE_SECONDS] * options.machines, ANSWER_SECONDS] if options.machines else []
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with alone(cache, "lab"):
            progress = Progress(Speed(cache / "speed.json"), later=later)
            plan, names = build(cache, options.go, progress, long=options.long)
    except BuildError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    helm = plan.go["helm"].path(cache) / "helm"
    kubectl = plan.go["kubernetes"].path(cache) / "kubectl"
    link_commands(cache, {"helm": helm, "kubectl": kubectl})
    places = {
        "files": str(plan.www().path(cache)),
        "registry": str(cache / "mirror" / "registry"),
        "helm": str(helm),
        "kubectl": str(kubectl),
        "images": names,
    }
    if options.output:
        options.output.write_text(json.dumps(places, indent=1) + "\n")
    if options.progress:
        weights = [round(weight * progress.speed.factor, 1) for weight in later]
        told = {"begun": begun, "done": progress.done, "total": progress.total, "seconds": weights}
        options.progress.write_text(json.dumps({"lab_progress": told}) + "\n")
    print(
        f"lab: artefacts ready after {clock_text(progress.elapsed)}, about {clock_text(progress.left)} left",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
