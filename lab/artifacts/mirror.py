"""What mirror1 serves: apt repositories, archives, charts and Git repositories, in one folder each."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import debs
import yaml
from steps import run

__all__ = ["add_apt", "add_chart", "add_helm", "add_kubernetes", "add_repositories", "link_file"]

# Commits made here must be the same on every machine, or every `make lab` would build the samples again.
_GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Ironbinder lab",
    "GIT_AUTHOR_EMAIL": "lab@ironbinder.example",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00+00:00",
    "GIT_COMMITTER_NAME": "Ironbinder lab",
    "GIT_COMMITTER_EMAIL": "lab@ironbinder.example",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00+00:00",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


def link_file(source: Path, target: Path) -> None:
    """Put `source` at `target` without a second copy on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def add_apt(
    www: Path,
    packages: Mapping[str, Sequence[Path]],
    *,
    keys: Path,
    minor: str,
    distributions: Mapping[str, Sequence[Path]],
    log: Path,
) -> None:
    """Serve each group of packages where upstream does.

    Args:
        www: root; every upstream host is a folder of it.
        packages: {"kubernetes": [...], "docker": [...]}, files.
        keys: GnuPG folder that signs.
        minor: Kubernetes' minor version, "1.36": upstream has a repository for each.
        distributions: files of each of the distribution's releases, by its code name. Docker's are the same for all.
        log: receives gpg's output.
    """
    add_kubernetes(www, packages["kubernetes"], keys=keys, minor=minor, log=log)
    docker = www / "download.docker.com/linux/debian"
    for release, files in distributions.items():
        debs.index_suite(
            docker, packages["docker"], suite=release, component="stable", keys=keys, key_name="gpg", log=log
        )
        debs.index_suite(
            www / "debian", files, suite=release, component="main", keys=keys, key_name="archive.asc", log=log
        )


def add_kubernetes(www: Path, packages: Sequence[Path], *, keys: Path, minor: str, log: Path) -> None:
    """Serve Kubernetes' packages of one minor version, see `add_apt`."""
    debs.index_flat(www / f"pkgs.k8s.io/core:/stable:/v{minor}/deb", packages, keys, log)


def add_helm(www: Path, binary: Path, version: str) -> None:
    """Serve Helm's archive and its checksum as get.helm.sh does."""
    archive = www / "get.helm.sh" / f"helm-v{version}-linux-amd64.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(binary, "linux-amd64/helm")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(archive.name + ".sha256sum").write_text(f"{digest}  {archive.name}\n")


def add_chart(www: Path, chart: Path, helm: Path, log: Path) -> None:
    """Package the chart and serve it as a Helm repository."""
    folder = www / "jupyterhub.github.io" / "helm-chart"
    folder.mkdir(parents=True)
    run([helm, "package", chart, "--destination", folder], log)
    run([helm, "repo", "index", folder], log)


def add_repositories(git: Path, source: Path, log: Path) -> None:
    """Make a bare Git repository of every folder in `source`, with its files on main.

    Where `branches.yml` beside the folders names another branch they are on that one, and main is empty. A folder's own
    `.gitmodules` names submodules, which are other folders of `source`.
    """
    env = {**os.environ, **_GIT_ENVIRONMENT}
    branches = yaml.safe_load((source / "branches.yml").read_text(encoding="utf-8"))
    folders = [path for path in source.iterdir() if path.is_dir()]
    # What is a submodule of another comes first: the other has its commit.
    for folder in sorted(folders, key=lambda path: ((path / ".gitmodules").exists(), path.name)):
        with tempfile.TemporaryDirectory(prefix="ironbinder-git-") as name:
            tree = Path(name) / folder.name
            shutil.copytree(folder, tree)
            run(["git", "init", "--quiet", "--initial-branch=main"], log, cwd=tree, env=env)
            commit = ["git", "commit", "--quiet", "--allow-empty", "--message"]
            if folder.name in branches:
                run([*commit, "Nothing yet"], log, cwd=tree, env=env)
                run(["git", "switch", "--quiet", "--create", branches[folder.name]], log, cwd=tree, env=env)
            run(["git", "add", "--all"], log, cwd=tree, env=env)
            for entry in _submodules(tree, git):
                run(["git", "update-index", "--add", "--cacheinfo", entry], log, cwd=tree, env=env)
            run([*commit, "Sample repository"], log, cwd=tree, env=env)
            # A clone has for HEAD what its origin has.
            run(["git", "symbolic-ref", "HEAD", "refs/heads/main"], log, cwd=tree, env=env)
            bare = git / f"{folder.name}.git"
            run(["git", "clone", "--quiet", "--bare", tree, bare], log, env=env)
            subprocess.run(["git", "remote", "remove", "origin"], cwd=bare, env=env, check=True)
            run(["git", "update-server-info"], log, cwd=bare, env=env)


def _submodules(tree: Path, git: Path) -> Iterator[str]:
    """Give what a commit says of each submodule: mode, commit and path."""
    file = tree / ".gitmodules"
    told = file.read_text(encoding="utf-8") if file.exists() else ""
    for path, name in re.findall(r"path = (\S+)\n\s*url = \.\./(\S+)", told):
        argv = ["git", "rev-parse", "main"]
        head = subprocess.run(argv, cwd=git / name, check=True, capture_output=True, text=True)
        yield f"160000,{head.stdout.strip()},{path}"
