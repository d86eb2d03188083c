# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The lab's packages are what upstream's are to apt and dpkg."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "lab" / "artifacts"))

import debs
import golang

ARTIFACTS = ROOT / "lab/artifacts"
COMPONENTS = yaml.safe_load((ARTIFACTS / "components.yml").read_text())
BUILT = yaml.safe_load((ARTIFACTS / "packages.yml").read_text())["built"]

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg")


def made(name: str, tmp_path: Path) -> Path:
    """Make a package of empty files in the version that the lab builds."""
    recipe = BUILT[name]
    for source in recipe["files"]:
        (tmp_path / "src" / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / source).touch()
    out = tmp_path / "out"
    out.mkdir()
    version = golang.release_version(ARTIFACTS, COMPONENTS, recipe["component"])
    debs.build_deb(name, recipe, version=version, sources=[tmp_path / "src"], out=out, log=tmp_path / "log")
    (package,) = out.iterdir()
    return package


def field(package: Path, name: str) -> str:
    """Give a field of a package's control file."""
    argv = ["dpkg-deb", "--field", str(package), name]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_containerd_takes_the_place_of_the_distributions(tmp_path: Path) -> None:
    """Without versions: what asks for one, as the distribution's docker.io does, cannot stay beside it."""
    package = made("containerd.io", tmp_path)
    assert {field(package, name) for name in ("Provides", "Conflicts", "Replaces")} == {"containerd, runc"}
    assert "usr/bin/runc" in BUILT["containerd.io"]["files"].values()


def test_docker_is_released_by_one_number(tmp_path: Path) -> None:
    """Epoch and number are those of daemon and client alike, and the file's name has no epoch."""
    package = made("docker-ce", tmp_path)
    number = golang.release_version(ARTIFACTS, COMPONENTS, "docker-cli")
    assert field(package, "Version") == f"5:{number}-1~debian.12~bookworm"
    assert package.name == f"docker-ce_{number}-1~debian.12~bookworm_amd64.deb"
    assert field(package, "Conflicts") == "docker.io"
    assert field(package, "Depends").startswith("containerd.io (>= 2.1.5), docker-ce-cli,")
    folder = tmp_path / "unpacked"
    debs.unpack(package, folder)
    assert {
        name
        for name in ("usr/bin/dockerd", "usr/libexec/docker/docker-init")
        if os.access(folder / name, os.X_OK)
    } == {
        "usr/bin/dockerd",
        "usr/libexec/docker/docker-init",
    }
    assert not os.access(folder / "usr/lib/systemd/system/docker.socket", os.X_OK)
    assert (folder / "etc/docker").is_dir()


@pytest.mark.parametrize("name", [name for name, recipe in BUILT.items() if recipe.get("units")])
def test_scripts_start_the_units_and_can_be_read_by_a_shell(name: str, tmp_path: Path) -> None:
    """As upstream's do, before there is any configuration of the site's."""
    package = made(name, tmp_path)
    folder = tmp_path / "control"
    subprocess.run(["dpkg-deb", "--control", str(package), str(folder)], check=True)
    for script in ("postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", str(folder / script)], check=True)
    assert f"deb-systemd-invoke $action {' '.join(BUILT[name]['units'])}" in (folder / "postinst").read_text()
    # Where systemd does not run, as in a chroot, nothing is started and nothing fails.
    ran = subprocess.run(
        ["sh", str(folder / "postrm"), "upgrade"],
        env={"PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ("require github.com/x/y v1.2.3 // indirect", "1.2.3"),
        ("\tgithub.com/x/y v29.8.1+incompatible // indirect", "29.8.1"),
        ("require github.com/x/y/v2 v2.0.0", None),
    ],
)
def test_versions_of_modules(lines: str, version: Any, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(f"module m\n\n{lines}\n")
    if version:
        assert golang.component_version(tmp_path, "github.com/x/y") == version
    else:
        with pytest.raises(golang.BuildError, match="go get"):
            golang.component_version(tmp_path, "github.com/x/y")


def test_a_client_of_another_release_builds_the_daemon_again(tmp_path: Path) -> None:
    """The daemon is linked with the client's number; other components have nothing to do with it."""
    shutil.copytree(ARTIFACTS, tmp_path / "artifacts")
    folder = tmp_path / "artifacts"
    before = golang.go_steps(Path("/bin/echo"), folder, COMPONENTS, tmp_path)
    file = folder / "docker-cli/go.mod"
    number = golang.component_version(folder / "docker-cli", COMPONENTS["docker-cli"]["module"])
    file.write_text(file.read_text().replace(f"docker/cli v{number}", "docker/cli v99.0.0"))
    after = golang.go_steps(Path("/bin/echo"), folder, COMPONENTS, tmp_path)
    assert {name for name in before if before[name].key != after[name].key} == {"dockerd", "docker-cli"}
