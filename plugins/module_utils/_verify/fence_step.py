# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Targets tried from a machine itself, and from a RUN step of a build on its Docker."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import (
    Ran,
    Runner,
    run_command,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_manifest import program_text
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_pods import read_report
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_rules import Origin
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.fence_verdict import Report

__all__ = ["HOST_NETWORK", "build", "probe_from_both", "probe_from_build", "probe_from_here"]

HOST_NETWORK = "RUN --network=host"
_TAG = "ironbinder-fence-check"
_PULL_SECONDS = 300.0
_BUILD_SECONDS = 120.0
_HERE_SECONDS = 90.0
# What BuildKit says of a build that asks for more than it was granted, and the builder before it of a flag it lacks.
_REFUSED = re.compile(r"network\.host|unknown flag: *network|entitlement", re.IGNORECASE)
_NO_BUILDX = "buildx component is missing"


def probe_from_here(origin: Origin, argument: str, run: Runner = run_command, program: str = "") -> Report:
    """Run the program that tries the fences, or another, on this machine."""
    done = run([sys.executable, "-c", program or program_text(), argument], _HERE_SECONDS)
    return read_report(origin, done.stdout, f"python3 ended with {done.rc}: {done.said[-300:]}")


def build(
    image: str, steps: Sequence[str], tag: str, run: Runner, *, options: Sequence[str] = (), config: str = ""
) -> Ran:
    """Build a Dockerfile as BinderHub's builder does, by BuildKit; by the old builder where the client has no other.

    Args:
        image: what it starts from.
        steps: its other lines.
        tag: of what is built.
        run: runs commands.
        options: further ones of `docker build`.
        config: the client's configuration as JSON, with accounts of registries; "" for this machine's own.
    """
    with TemporaryDirectory(prefix="ironbinder-fence-") as folder:
        context = Path(folder, "context")
        context.mkdir()
        Path(context, "Dockerfile").write_text("\n".join([f"FROM {image}", *steps, ""]))
        client = ["docker"]
        if config:
            Path(folder, "config.json").write_text(config)
            client += ["--config", folder]
        common = [*client, "build", "--no-cache", "--force-rm", "--tag", tag, *options]
        done = run(["env", "DOCKER_BUILDKIT=1", *common, "--progress=plain", str(context)], _BUILD_SECONDS)
        if done.rc and _NO_BUILDX in done.stderr:
            done = run(["env", "DOCKER_BUILDKIT=0", *common, str(context)], _BUILD_SECONDS)
    return done


def probe_from_build(origin: Origin, image: str, argument: str, run: Runner = run_command) -> Report:
    """Run the program in a RUN step, and see whether a step may ask for the machine's own network.

    Args:
        origin: what the report is of.
        image: has python3.
        argument: for the program.
        run: runs commands.
    """
    program = json.dumps(["python3", "-c", program_text(), argument])
    done = build(image, [f"RUN {program}"], _TAG, run)
    trouble = f"docker build ended with {done.rc}: {done.said[-600:]}" if done.rc else ""
    report = read_report(origin, done.stdout + done.stderr, trouble)
    asked = build(image, ["RUN --network=host true"], _TAG, run) if not report.trouble else None
    run(["docker", "image", "rm", "--force", _TAG], _HERE_SECONDS)
    if asked is None:
        return report
    found = (
        ("refused", "") if asked.rc and _REFUSED.search(asked.said) else ("answered", "the daemon grants it")
    )
    if asked.rc and found[0] != "refused":
        return Report(
            origin,
            report.results,
            report.ipv6,
            f"a build with {HOST_NETWORK} failed otherwise: {asked.said[-300:]}",
        )
    return Report(origin, {**report.results, HOST_NETWORK: found}, report.ipv6)


def _fetch(image: str, run: Runner) -> str:
    """Have Docker pull the image where it is not there. Gives what is wrong, `` for nothing."""
    if not run(["docker", "image", "inspect", image], _HERE_SECONDS).rc:
        return ""
    done = run(["docker", "pull", "--quiet", image], _PULL_SECONDS)
    return f"docker pull {image} ended with {done.rc}: {done.said[-300:]}" if done.rc else ""


def probe_from_both(
    node: Origin, node_argument: str, image: str, build_argument: str, run: Runner = run_command
) -> list[Report]:
    """Do both at the same time: most of it is waiting. So what the node finds alive is so while the RUN step tries it."""
    build = Origin("run", "", node.node)
    fault = _fetch(image, run)
    if fault:
        return [probe_from_here(node, node_argument, run), Report(build, trouble=fault)]
    with ThreadPoolExecutor(2) as pool:
        here = pool.submit(probe_from_here, node, node_argument, run)
        step = pool.submit(probe_from_build, build, image, build_argument, run)
        return [here.result(), step.result()]
