"""What mirror1 serves and the machines need: every step of it, from the recipes beside this file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import debs
import images
import mirror
import yaml
from golang import go_steps, release_version
from rootfs import make_rootfs
from steps import Step, hash_of, run

from lab.images.build import Builder

__all__ = ["Plan", "machine_images"]

HERE = Path(__file__).resolve().parent
LAB = HERE.parent


class Plan:
    """Names every step; each method adds those of one kind."""

    def __init__(self, cache: Path, go: Path, fingerprint: str, *, long: bool = False) -> None:
        """Read the recipes beside this file.

        Args:
            cache: where results are kept.
            go: the go command.
            fingerprint: of the key that signs the repositories.
            long: also what only the long forms of tests need, the minor version of Kubernetes before.
        """
        self.cache = cache
        self.fingerprint = fingerprint
        components = yaml.safe_load((HERE / "components.yml").read_text())
        self.components = {name: entry for name, entry in components.items() if long or not entry.get("long")}
        self.packages = yaml.safe_load((HERE / "packages.yml").read_text())
        recipes = yaml.safe_load((HERE / "images.yml").read_text())
        self.recipes = [recipe for recipe in recipes if recipe["component"] in self.components]
        self.versions = {name: release_version(HERE, self.components, name) for name in self.components}
        self.go = go_steps(go, HERE, self.components, cache)
        special = {kind: self.packages[kind] for kind in ("mirror", "outside")}
        self.machine = self._machine(
            "machine", self.packages["release"], self.packages["distribution"], special
        )
        # Machines of other systems, by the release's code name.
        self.systems = {
            release: self._machine(release, release, wanted, {})
            for release, wanted in self.packages["systems"].items()
        }
        self.debs = self._debs("built", self.packages["built"])
        # A step of its own, so that what everybody builds does not depend on it.
        before = {
            name: {**self.packages["built"][name], "component": "kubernetes_before"}
            for name in self.packages["before"]
        }
        self.debs_before = self._debs("before", before) if "kubernetes_before" in self.components else None

    @property
    def built_steps(self) -> list[Step]:
        """What comes before images and files: binaries, root file systems, packages."""
        before = [self.debs_before] if self.debs_before else []
        return [*self.go.values(), self.machine, *self.systems.values(), self.debs, *before]

    def log(self, name: str) -> Path:
        """Return the log file of a step."""
        return self.cache / "logs" / f"{name}.log"

    def _machine(
        self, name: str, release: str, distribution: list[str], special: dict[str, list[str]]
    ) -> Step:
        """The machines' root file system, and the distribution's packages that it does not hold yet.

        `special` names packages that one kind of machine alone has, by that kind.
        """
        wanted = [*distribution, *(package for packages in special.values() for package in packages)]

        def build(out: Path) -> None:
            include = self.packages["machine"]
            make_rootfs(out, self.log(name), release=release, include=include, download=sorted(set(wanted)))
            # mirror1 and outside1 have only what they run: the closure of their own lists.
            for kind, packages in special.items():
                (out / f"{kind}-debs").mkdir()
                for deb in _closure(out / "debs", packages):
                    os.link(deb, out / f"{kind}-debs" / deb.name)

        key = hash_of(release, json.dumps([self.packages["machine"], wanted, special]), HERE / "rootfs.py")
        return Step("rootfs", name, key, 24, build)

    def _debs(self, step: str, built: dict[str, Any]) -> Step:
        def build(out: Path) -> None:
            other = out / ".distribution"
            for name, recipe in built.items():
                for package in recipe.get("taken_from", []):
                    debs.unpack(next(self.machine.path(self.cache).glob(f"debs/{package}_*.deb")), other)
                component = recipe["component"]
                own = [component, *recipe.get("with", [])]
                sources = [*(self.go[part].path(self.cache) for part in own), other, HERE]
                version = self.versions[component]
                debs.build_deb(name, recipe, version=version, sources=sources, out=out, log=self.log("debs"))
            shutil.rmtree(other, ignore_errors=True)

        components = [
            part for recipe in built.values() for part in (recipe["component"], *recipe.get("with", []))
        ]
        needed = [self.go[part].key for part in components]
        key = hash_of(json.dumps(built), *needed, self.machine.key, HERE / "debian", HERE / "debs.py")
        return Step("debs", step, key, 9, build)

    def image_steps(self) -> dict[str, Step]:
        """One step for each image of Kubernetes and MetalLB, by image name."""
        steps = {}
        for recipe in self.recipes:
            name = recipe["name"].format(**self.versions)
            component = self.go[recipe["component"]]

            def build(
                out: Path, name: str = name, recipe: dict[str, Any] = recipe, component: Step = component
            ) -> None:
                short = name.rsplit("/", 1)[-1].split(":", maxsplit=1)[0]
                images.build_image(
                    name,
                    recipe,
                    binaries=component.path(self.cache),
                    out=out,
                    log=self.log(f"image-{short}"),
                    release=self.packages["release"],
                )

            key = hash_of(json.dumps(recipe), name, component.key, HERE / "images.py")
            seconds = 16 if recipe.get("packages") else 1
            # Two versions of one image are no older and newer result of one step.
            late = "_before" if self.components[recipe["component"]].get("long") else ""
            steps[name] = Step("image", name.split(":")[0].replace("/", "_") + late, key, seconds, build)
        return steps

    def www(self) -> Step:
        """Everything mirror1 serves as files."""
        keys = self.cache / "keys"
        chart, repositories = LAB / "chart", LAB / "repositories"

        def minor_of(component: str) -> str:
            return ".".join(self.versions[component].split(".")[:2])

        def build(out: Path) -> None:
            log = self.log("www")
            built = self.debs.path(self.cache)
            packages = {
                group: [next(built.glob(f"{name}_*.deb")) for name in names]
                for group, names in self.packages["repositories"].items()
            }
            machines = {self.packages["release"]: self.machine, **self.systems}
            distributions = {
                release: sorted((step.path(self.cache) / "debs").glob("*.deb"))
                for release, step in machines.items()
            }
            minor = minor_of("kubernetes")
            www = out / "www"
            mirror.add_apt(www, packages, keys=keys, minor=minor, distributions=distributions, log=log)
            if self.debs_before:
                older = sorted(self.debs_before.path(self.cache).glob("*.deb"))
                mirror.add_kubernetes(
                    www,
                    [*older, next(built.glob("kubernetes-cni_*.deb"))],
                    keys=keys,
                    minor=minor_of("kubernetes_before"),
                    log=log,
                )
            helm = self.go["helm"].path(self.cache) / "helm"
            mirror.add_helm(www, helm, self.versions["helm"])
            mirror.add_chart(www, chart, helm, log)
            manifest = (
                f"raw.githubusercontent.com/metallb/metallb/v{self.versions['metallb']}/config/manifests"
            )
            name = "metallb-native.yaml"
            mirror.link_file(self.go["metallb"].path(self.cache) / name, www / manifest / name)
            mirror.add_repositories(out / "git", repositories, log)

        inputs = [self.debs.key, self.machine.key, self.go["helm"].key, self.go["metallb"].key]
        inputs += [self.fingerprint, *(step.key for step in self.systems.values())]
        inputs += [self.debs_before.key] if self.debs_before else []
        key = hash_of(*inputs, chart, repositories, HERE / "mirror.py", HERE / "debs.py")
        # By another name, as one takes the place of what has its own: a lab of the other kind may be running from it.
        return Step("mirror", "files-before" if self.debs_before else "files", key, 2, build)


def _closure(folder: Path, wanted: list[str]) -> list[Path]:
    """Return the packages of `folder` that the packages `wanted` need, themselves included."""
    fields = ["Package", "Pre-Depends", "Depends", "Recommends"]
    table = {}
    for deb in folder.glob("*.deb"):
        show = [
            "dpkg-deb",
            "--showformat=" + "\\n".join(f"${{{name}}}" for name in fields),
            "--show",
            str(deb),
        ]
        rows = subprocess.run(show, check=True, capture_output=True, text=True).stdout.split("\n")
        needs = [
            word.split()[0].split(":")[0]
            for word in ",".join(rows[1:3]).replace("|", ",").split(",")
            if word.strip()
        ]
        table[rows[0]] = (deb, needs)
    todo, found = list(wanted), {}
    while todo:
        name = todo.pop()
        if name in table and name not in found:
            found[name] = table[name][0]
            todo += table[name][1]
    return sorted(found.values())


def machine_images(plan: Plan) -> dict[str, Step]:
    """The images that lab machines run: bare machines, the mirror, and what lies beyond the site."""
    machine, keys = plan.machine, plan.cache / "keys"
    from_node = ["--build-arg", "NODE_IMAGE=ironbinder-lab/node"]

    def key_of(system: Step) -> str:
        return hash_of(system.key, LAB / "node", plan.fingerprint)

    node_key = key_of(machine)

    def build_node(out: Path, system: Step, tag: str, arguments: Sequence[str] = ()) -> None:
        context, log = out / "context", plan.log(tag.rsplit("/", 1)[1])
        shutil.copytree(LAB / "node", context)
        os.link(system.path(plan.cache) / "rootfs.tar", context / "rootfs.tar")
        env = {**os.environ, "GNUPGHOME": str(keys)}
        run(["gpg", "--batch", "--armor", "--output", context / "archive.asc", "--export"], log, env=env)
        _docker_build(context, tag, out, log, [*arguments])

    def build_mirror(out: Path) -> None:
        context = out / "context"
        shutil.copytree(LAB / "mirror", context)
        shutil.copytree(machine.path(plan.cache) / "mirror-debs", context / "debs", copy_function=os.link)
        provider = out / "provider"
        shutil.copytree(LAB / "provider", provider)
        version = json.loads((provider / "package.json").read_text())["engines"]["node"]
        Builder(plan.cache / "binder-images").add_node(version, provider, plan.log("mirror"))
        shutil.rmtree(out / "node")
        provider.rename(context / "provider")
        _docker_build(context, "ironbinder-lab/mirror", out, plan.log("mirror"), from_node)

    def build_outside(out: Path) -> None:
        context = out / "context"
        shutil.copytree(LAB / "outside", context)
        shutil.copytree(machine.path(plan.cache) / "outside-debs", context / "debs", copy_function=os.link)
        _docker_build(context, "ironbinder-lab/outside", out, plan.log("outside"), from_node)

    def node(name: str, system: Step, arguments: Sequence[str] = ()) -> dict[str, Step]:
        tag = f"ironbinder-lab/{name}"
        build = partial(build_node, system=system, tag=tag, arguments=arguments)
        return {tag: Step("image", name, key_of(system), 5, build)}

    others: dict[str, Step] = {}
    for release, system in plan.systems.items():
        others |= node(f"node-{release}", system, ["--build-arg", f"SYSTEM={release}"])
    return {
        **node("node", machine),
        **others,
        "ironbinder-lab/mirror": Step(
            "image", "mirror", hash_of(node_key, LAB / "mirror", LAB / "provider"), 12, build_mirror
        ),
        "ironbinder-lab/outside": Step(
            "image", "outside", hash_of(node_key, LAB / "outside"), 2, build_outside
        ),
    }


def _docker_build(context: Path, tag: str, out: Path, log: Path, arguments: list[str] | None = None) -> None:
    # The classic builder: BuildKit's client part is no package of its own on Debian 12.
    env = {**os.environ, "DOCKER_BUILDKIT": "0"}
    label = ["--label", images.LABEL, "--network", "none"]
    run(["docker", "build", *label, *(arguments or []), "--tag", tag, context], log, env=env)
    (out / "id").write_text(images.docker_output("image", "inspect", "--format", "{{.Id}}", tag))
    shutil.rmtree(context)
