# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The sample repositories as the mirror serves them, and the lab's corpus, which launches each of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.corpus import entry_fault

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "lab" / "artifacts"), str(ROOT)]

from mirror import add_repositories

SOURCE = ROOT / "lab" / "repositories"
CORPUS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "inventories/lab/group_vars/all/corpus.yml").read_text()
)["site_verify_corpus"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every repository, bare."""
    folder = tmp_path_factory.mktemp("git")
    add_repositories(folder, SOURCE, folder / "log")
    return folder


def git(*arguments: str | Path) -> str:
    """What git says."""
    # Names as they are, and submodules from files, which git otherwise refuses.
    options = ["-c", "core.quotePath=false", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *options, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def test_each_folder_is_a_repository(served: Path) -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    assert {path.stem for path in served.glob("*.git")} == folders
    for name in folders:
        assert git("--git-dir", served / f"{name}.git", "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_another_branch_has_what_main_has_not(served: Path) -> None:
    for name, branch in (("slashes", "feature/one/two"), ("umlauts", "übung")):
        tree = ["--git-dir", str(served / f"{name}.git"), "ls-tree", "--name-only"]
        assert git(*tree, "main") == ""
        assert "Dockerfile" in git(*tree, branch).splitlines()
    assert "Übung 1.md" in git(*tree, branch).splitlines()


def test_a_submodule_comes_with_its_repository(served: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", "--recurse-submodules", served / "outer.git", tmp_path / "outer")
    assert (tmp_path / "outer/library/greeting.txt").read_text() == "Hello from a submodule\n"


def test_commits_are_the_same_everywhere(served: Path, tmp_path: Path) -> None:
    """Or every lab would build them anew."""
    add_repositories(tmp_path / "git", SOURCE, tmp_path / "log")
    for path in sorted(served.glob("*.git")):
        assert git("ls-remote", path) == git("ls-remote", tmp_path / "git" / path.name)


def test_the_corpus_has_every_repository_and_no_other(served: Path) -> None:
    launched = set()
    for entry in CORPUS:
        assert entry_fault(entry, ["binder"]) is None, entry
        if "skip" in entry:
            # Named with its reason.
            launched |= set(re.findall(r"(\S+)\.git", entry["skip"]))
            continue
        url, ref = entry["spec"].split("/", 1)
        name = unquote(url).rpartition("/")[2].removesuffix(".git")
        found = git("ls-remote", served / f"{name}.git", unquote(ref))
        assert bool(found) == (entry.get("cause") != "repository"), entry["name"]
        launched.add(name)
    for folder in SOURCE.glob("*/.gitmodules"):
        launched |= set(re.findall(r"path = (\S+)", folder.read_text()))
    assert launched == {path.name for path in SOURCE.iterdir() if path.is_dir()}
