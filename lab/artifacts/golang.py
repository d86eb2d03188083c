"""Binaries from Go modules, as pinned by the go.mod beside each component."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steps import BuildError, Step, hash_of, run

__all__ = ["component_version", "go_steps", "release_version"]

# They write their version without the "v".
_BARE_VERSIONS = ("github.com/containerd/", "github.com/moby/", "github.com/docker/cli/")


def component_version(folder: Path, module: str) -> str:
    """Return the version of `module` that the go.mod in `folder` requires, without its "v".

    What Go adds to the version of a module that has no go.mod of its own, "+incompatible", is left out.
    """
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} v(\S+)", (folder / "go.mod").read_text(), re.M)
    if not match:
        raise BuildError(f"{folder / 'go.mod'} does not require {module}: add it with `go get`")
    return match.group(1).removesuffix("+incompatible")


def release_version(folder: Path, components: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Return the version that upstream releases component `name` as. `folder` has a folder for each component."""
    shown = components[name].get("released_as", name)
    return component_version(folder / shown, components[shown]["module"])


def _linker_flags(version: str, symbols: list[str], values: Mapping[str, str]) -> str:
    """Give the binaries their version, as upstream's own build does."""
    flags = ["-s", "-w", *(f"-X {symbol}={value}" for symbol, value in values.items())]
    for symbol in symbols:
        value = version if symbol.startswith(_BARE_VERSIONS) else f"v{version}"
        flags.append(f"-X {symbol}={value}")
        if symbol.endswith(".gitVersion"):
            major, minor = version.split(".")[:2]
            package = symbol.removesuffix(".gitVersion")
            flags += [f"-X {package}.gitMajor={major}", f"-X {package}.gitMinor={minor}"]
            flags.append(f"-X {package}.gitTreeState=clean")
    return " ".join(flags)


def _environment(cache: Path, *, cgo: bool = False) -> dict[str, str]:
    """Keep Go's own caches in ours, static binaries unless they need C, and the machine's proxy settings as they are."""
    return {
        **os.environ,
        "GOCACHE": str(cache / "go" / "build"),
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false -mod=readonly -modcacherw",
        "CGO_ENABLED": str(int(cgo)),
    }


def _build(go: Path, folder: Path, entry: Mapping[str, Any], cache: Path, out: Path, *, version: str) -> None:
    module, env = entry["module"], _environment(cache, cgo=entry.get("cgo", False))
    log = cache / "logs" / f"go-{folder.name}.log"
    log.unlink(missing_ok=True)
    flags = _linker_flags(version, entry.get("version_symbols", []), entry.get("symbols", {}))
    argv: list[str | Path] = [go, "build", "-trimpath", "-ldflags", flags]
    if entry.get("tags"):
        argv += ["-tags", ",".join(entry["tags"])]
    if entry.get("compiler_flags"):
        argv += ["-gcflags", entry["compiler_flags"]]
    run([*argv, "-o", f"{out}/", "tool"], log, cwd=folder, env=env)
    for old, new in entry.get("rename", {}).items():
        (out / old).rename(out / new)
    if entry.get("files"):
        listing = subprocess.run(
            [go, "list", "-m", "-json", module], cwd=folder, env=env, check=True, capture_output=True
        )
        source = Path(json.loads(listing.stdout)["Dir"])
        for name in entry["files"]:
            shutil.copyfile(source / name, out / Path(name).name)


def go_steps(
    go: Path, folder: Path, components: Mapping[str, Mapping[str, Any]], cache: Path
) -> dict[str, Step]:
    """Return one step for each component, by name."""
    toolchain = subprocess.run([go, "version"], check=True, capture_output=True, text=True).stdout
    steps = {}
    for name, entry in components.items():
        own = folder / name
        version = release_version(folder, components, name)
        # Another component's go.mod decides on the version that goes into these binaries.
        foreign = [version] if "released_as" in entry else []
        key = hash_of(toolchain, json.dumps(entry, sort_keys=True), own / "go.mod", own / "go.sum", *foreign)

        def build(
            out: Path, own: Path = own, entry: Mapping[str, Any] = entry, version: str = version
        ) -> None:
            _build(go, own, entry, cache, out, version=version)

        steps[name] = Step("go", name, key, entry["seconds"], build)
    return steps
