# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Recipes of the Binder stack's images are pinned, and an image is built again exactly when its inputs change."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from lab.images import build
from lab.images.build import Builder

FOLDER = ROOT / "lab" / "images"


def builder(tmp_path: Path, **change: Any) -> Builder:
    recipes = tmp_path / "recipes"
    if not recipes.exists():
        shutil.copytree(FOLDER, recipes)
    if change:
        content = yaml.safe_load((recipes / "images.yml").read_text())
        content.update(change)
        (recipes / "images.yml").write_text(yaml.safe_dump(content))
    return build.Builder(tmp_path / "cache", recipes)


def taken(found: re.Match[str] | None) -> str:
    """What the first group took."""
    assert found is not None
    return found[1]


def keys(made: Builder) -> dict[str, str]:
    return {image.name: made.key(image) for image in made.images}


@pytest.mark.parametrize(
    ("requirement", "begin"),
    [
        ("jupyterhub==5.5.4", "jupyterhub-5.5.4-"),
        ("ruamel.yaml==0.19.1", "ruamel_yaml-0.19.1-"),
        ("Send2Trash==2.2.0", "send2trash-2.2.0-"),
        ("kubernetes-asyncio==36.1.0", "kubernetes_asyncio-36.1.0-"),
    ],
)
def test_wheel_of_a_requirement(requirement: str, begin: str) -> None:
    assert build.wheel_name(requirement) == begin


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/requirements.txt")), ids=lambda file: file.parent.name)
def test_every_requirement_is_pinned_once(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    names = [taken(re.fullmatch(r"([a-z0-9.-]+)==[0-9][0-9a-z.]*", line)) for line in lines]
    assert names == sorted(set(names))


def test_one_jupyterhub_everywhere() -> None:
    """The hub, the session's client and BinderHub's login code have to be of one version."""
    pins = {
        taken(re.search(r"^jupyterhub==(.*)$", file.read_text(), re.M))
        for file in FOLDER.glob("*/requirements.txt")
        if file.parent.name != "repo2docker"
    }
    names = [entry["name"] for entry in yaml.safe_load((FOLDER / "images.yml").read_text())["images"]]
    [version] = pins
    assert f"quay.io/jupyterhub/k8s-hub:{version}-1" in names
    assert f"docker.io/jupyter/minimal-notebook:hub-{version}" in names


@pytest.mark.parametrize(
    "file", sorted(FOLDER.parent.rglob("package-lock.json")), ids=lambda file: file.parent.name
)
def test_npm_packages_are_pinned_by_hash_and_by_no_server(file: Path) -> None:
    lock = json.loads(file.read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())


def test_dockerfiles_need_no_network() -> None:
    for file in FOLDER.glob("*/Dockerfile"):
        assert not re.search(r"apt-get|curl|wget|https?://|pip download", file.read_text()), file


def test_a_changed_file_rebuilds_its_image_only(tmp_path: Path) -> None:
    before = keys(builder(tmp_path))
    with (tmp_path / "recipes" / "k8s-hub" / "Dockerfile").open("a") as stream:
        stream.write("# changed\n")
    after = keys(builder(tmp_path))
    assert [name for name in before if before[name] != after[name]] == ["quay.io/jupyterhub/k8s-hub:5.5.4-1"]


def test_a_changed_base_rebuilds_what_stands_on_it(tmp_path: Path) -> None:
    bases = yaml.safe_load((FOLDER / "images.yml").read_text())["bases"]
    before = keys(builder(tmp_path))
    bases["ironbinder-lab/docker-client:trixie"]["packages"].append("less")
    after = keys(builder(tmp_path, bases=bases))
    assert [name for name in before if before[name] != after[name]] == [
        "quay.io/jupyterhub/repo2docker:2026.4.0"
    ]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ({"name": "x:1", "context": "x", "base": "y:1"}, "unknown base y:1"),
        ({"name": "x:1"}, "neither a base nor a context"),
    ],
)
def test_a_recipe_that_cannot_be_built_is_refused(tmp_path: Path, image: dict[str, str], said: str) -> None:
    with pytest.raises(build.ImageError, match=said):
        builder(tmp_path, images=[image])


def test_an_unknown_name_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(build.ImageError, match="no recipe for x:1"):
        builder(tmp_path).parts(["x:1"])


def needed_of(made: Builder, only: Sequence[str] = ()) -> list[str]:
    return [part.label.removeprefix("image ") for part in made.parts(only) if part.is_needed()]


def test_bases_are_built_for_images_that_need_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base whose images are all there may be lost; one of an image that is not there is built before it."""
    hub, base = "quay.io/jupyterhub/k8s-hub:5.5.4-1", "ironbinder-lab/python:bookworm"
    made = builder(tmp_path)
    everything = {*made.bases, *(image.name for image in made.images)}
    there = set(everything)
    monkeypatch.setattr(made, "is_built", lambda item: item.name in there)
    assert needed_of(made) == []
    there.discard(base)
    assert needed_of(made) == []
    there.discard(hub)
    assert needed_of(made) == [base, hub]
    there.clear()
    assert set(needed_of(made)) == everything
    assert needed_of(made, [hub]) == [base, hub]
