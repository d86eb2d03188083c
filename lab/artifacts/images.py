"""Small images from the built binaries, and the store of mirror1's registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from rootfs import make_rootfs
from steps import BuildError, run

__all__ = ["build_image", "docker_output", "fill_registry", "registry"]

LABEL = "ironbinder.lab"


def docker_output(*argv: str) -> str:
    """Run a docker command and return what it prints; BuildError with its own words when it fails."""
    result = subprocess.run(["docker", *argv], capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"docker {argv[0]} failed: {result.stderr.strip()}")
    return result.stdout.strip()


def build_image(
    name: str, recipe: Mapping[str, Any], *, binaries: Path, out: Path, log: Path, release: str
) -> None:
    """Build the image `name` in the local Docker and leave its id in <out>/id.

    Without `packages` the image holds nothing but the binaries, /tmp and a passwd, as distroless images do.
    """
    with tempfile.TemporaryDirectory(prefix="ironbinder-image-") as folder:
        context = Path(folder)
        root = context / "root"
        for source, target in recipe.get("files", {}).items():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(binaries / source, root / target)
        for source, target in recipe.get("compile", {}).items():
            root.mkdir(exist_ok=True)
            run(["gcc", "-Os", "-Wall", "-static", "-s", "-o", root / target, binaries / source], log)
        lines = ["FROM scratch"]
        if recipe.get("packages"):
            make_rootfs(context, log, release=release, include=recipe["packages"])
            lines.append("ADD rootfs.tar /")
        else:
            (root / "etc").mkdir(exist_ok=True)
            (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/\nnobody:x:65534:65534:nobody:/:/\n")
            (root / "tmp").mkdir(mode=0o1777)
        lines.append("COPY root /")
        lines.append("ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        if recipe.get("user"):
            lines.append(f"USER {recipe['user']}")
        if recipe.get("entrypoint"):
            lines.append(f"ENTRYPOINT {json.dumps(recipe['entrypoint'])}")
        (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        run(["docker", "build", "--quiet", "--label", LABEL, "--tag", name, context], log)
    (out / "id").write_text(docker_output("image", "inspect", "--format", "{{.Id}}", name))


@contextmanager
def registry(store: Path, image: str) -> Any:
    """Run a registry on loopback over the folder `store` and give its host:port; it is gone afterwards."""
    store.mkdir(parents=True, exist_ok=True)
    name = "ironbinder-registry-fill"
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    docker_output(
        "run", "--detach", "--name", name, "--label", LABEL, "--publish", "127.0.0.1::5000",
        "--volume", f"{store}:/var/lib/docker-registry", "--entrypoint", "docker-registry", image,
        "serve", "/etc/docker/registry/fill.yml",
    )  # fmt: skip
    try:
        host = docker_output("port", name, "5000/tcp").splitlines()[0]
        _wait_for(f"http://{host}/v2/", seconds=30)
        yield host
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _wait_for(url: str, seconds: float) -> None:
    """Ask until the registry answers; BuildError with what it said last."""
    end, last = time.monotonic() + seconds, ""
    opener = build_opener(ProxyHandler({}))  # loopback is never behind the machine's proxy
    while time.monotonic() < end:
        try:
            with opener.open(url, timeout=2):
                return
        except OSError as error:
            last = str(error)
            time.sleep(0.1)
    raise BuildError(f"{url} did not answer within {seconds:.0f} s: {last}")


def fill_registry(names: Sequence[str], store: Path, image: str, log: Path) -> None:
    """Push each image to the store under its upstream name, those already there excepted."""
    stamps = store.parent / "pushed.json"
    pushed = json.loads(stamps.read_text()) if stamps.is_file() and store.is_dir() else {}
    ids = {name: docker_output("image", "inspect", "--format", "{{.Id}}", name) for name in names}
    waiting = [name for name in names if pushed.get(name) != ids[name]]
    if not waiting:
        return
    with registry(store, image) as host:
        for name in waiting:
            local = f"{host}/{name}"
            docker_output("tag", name, local)
            try:
                run(["docker", "push", "--quiet", local], log)
            finally:
                docker_output("rmi", local)
            pushed[name] = ids[name]
            stamps.write_text(json.dumps(pushed, indent=1))
