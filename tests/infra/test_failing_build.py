# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A repository that cannot be built: the hub and our verifier both have to say so, and say it as it happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from live_site import ROOT, Site
from web import Client


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return provider and spec of a repository whose build fails."""
    spec = request.config.getoption("--failing-spec")
    if not spec:
        pytest.skip("--failing-spec names no repository whose build fails")
    provider, _, rest = str(spec).partition("/")
    return provider, rest


def test_the_log_of_a_failing_build_arrives_as_it_happens(
    site: Site, client: Client, failing: tuple[str, str]
) -> None:
    hub = next(iter(site.hubs.values()))
    events = []
    # A hub that keeps the stream open after the end sends keepalives, so the first failure is the end here.
    for seconds, data in client.events(f"{hub['binder_url']}build/{failing[0]}/{failing[1]}"):
        events.append((seconds, str(data.get("phase", "")).lower()))
        if events[-1][1] in ("failed", "failure", "ready"):
            break
    phases = [phase for _, phase in events]
    assert phases[-1] in ("failed", "failure"), f"the build went through {phases}"
    # Behind a buffer everything arrives at the end, at once.
    assert events[-1][0] - events[0][0] > 0.5, f"{len(events)} events arrived together: {events}"


def test_the_verifier_is_not_fooled(site: Site, failing: tuple[str, str]) -> None:
    hub = next(iter(site.hubs.values()))
    arguments = {
        "url": hub["binder_url"],
        "hub_url": hub["hub_url"],
        "provider": failing[0],
        "spec": failing[1],
        "ca_files": site.contract["site_ca_files"],
        "timeout_seconds": site.contract["site_verify_timeout_seconds"],
    }
    program = [
        str(Path(sys.executable).with_name("ansible")),
        "localhost",
        "--connection=local",
        "--inventory=localhost,",
        f"--extra-vars=ansible_python_interpreter={sys.executable}",
    ]
    module = ["--module-name=ironbinder.platform.binder_launch", f"--args={json.dumps(arguments)}"]
    run = subprocess.run(
        [*program, *module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stdout + run.stderr
    assert re.search(r"\bkind\b\W+build\b", run.stdout), run.stdout
