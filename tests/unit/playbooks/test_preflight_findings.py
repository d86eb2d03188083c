# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Names, addresses and hubs' values as preflight finds them in a real run on this machine."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from web_server import WebServer

ROOT = Path(__file__).parents[3]
CHART = ROOT / "lab" / "chart"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
SECRET = "c4n4ry-0f-4-unit-test"
SITE = {
    "site_name": "test",
    "site_public_url": "http://127.0.0.1",
    "site_floating_pool": "192.0.2.101",
    "site_registry_host": "127.0.0.1:1",
    "site_registry_prefix": "binder/test-",
    "artifact_source": "mirror",
    "artifact_mirror_url": "http://127.0.0.1:1",
    "site_binderhub_chart_version": VERSION,
}
LOCAL = {"ansible_connection": "local"}


def play(playbook: Path, site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook with this interpreter's Ansible."""
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(site),
            str(playbook),
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def make_site(folder: Path, workers: dict[str, Any], values: dict[str, Any]) -> Path:
    """Write a small inventory."""
    groups = {
        "head": {"head1": {**LOCAL, "ansible_host": "192.0.2.11"}},
        "workers": workers,
        "proxy": {"proxy1": LOCAL},
    }
    (folder / "group_vars" / "all").mkdir(parents=True)
    children = {group: {"hosts": members} for group, members in groups.items()}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": children}}))
    (folder / "group_vars" / "all" / "site.yml").write_text(yaml.safe_dump({**SITE, **values}))
    return folder


def preflight(site: Path, *arguments: str) -> tuple[set[tuple[str, str, str]], str]:
    """Rule, variable and host of each finding, and everything that was said."""
    report = site / "findings.json"
    done = play(ROOT / "playbooks/preflight.yml", site, "-e", f"preflight_report_file={report}", *arguments)
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    findings = json.loads(report.read_text())["findings"]
    return {
        (entry["id"], entry["variable"], entry["host"]) for entry in findings
    }, output + report.read_text()


def test_names_and_addresses(tmp_path: Path) -> None:
    """What stages 2 and 3 would stumble over is in the report."""
    site = make_site(
        tmp_path / "site",
        {
            "Worker_1": {**LOCAL, "ansible_host": "no-such-name.invalid"},
            "worker2": {**LOCAL, "ansible_host": "localhost"},
            "worker3": {**LOCAL, "ansible_host": "192.0.2.23", "site_node_address": "localhost"},
        },
        {"site_binderhub_chart_repository": str(CHART)},
    )
    found, _ = preflight(site)
    assert {
        ("node-name-malformed", "inventory_hostname", "Worker_1"),
        ("node-address-unresolved", "ansible_host", "Worker_1"),
        # The name was resolved: only an address is unusable.
        ("node-address-unusable", "site_node_address", "worker2"),
        ("node-address-is-a-name", "site_node_address", "worker3"),
        ("node-address-not-its-own", "site_node_address", "head1"),
    } <= found
    assert not [entry for entry in found if entry[0] == "hub-values-unchecked"]


def test_all_in_one_run_agree(tmp_path: Path) -> None:
    """The address of a node, the addresses of all, and the API's are one."""
    site = make_site(tmp_path / "site", {"worker1": {**LOCAL, "ansible_host": "localhost"}}, {})
    playbook = tmp_path / "show.yml"
    message = "told={{ [site_node_address, site_node_addresses.worker1] + site_cluster_hosts.keys() | list }}"
    task = {"ansible.builtin.assert": {"that": "false", "fail_msg": message}, "ignore_errors": True}
    run = {"hosts": "worker1", "gather_facts": False, "roles": ["ironbinder.platform.site"], "tasks": [task]}
    playbook.write_text(yaml.safe_dump([run]))
    done = play(playbook, site)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"[0-9.]+", done.stdout.partition("told=")[2].partition("]")[0])
    assert told == ["127.0.0.1", "127.0.0.1", "192.0.2.11", "127.0.0.1"]


@pytest.fixture(name="repository")
def helm_repository(tmp_path: Path) -> Iterator[str]:
    """A Helm repository with the lab's chart."""
    folder = tmp_path / "charts"
    folder.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(CHART, "binderhub")
    (folder / "any-name.tgz").write_bytes(buffer.getvalue())
    entry = {"version": VERSION, "urls": ["any-name.tgz"]}
    (folder / "index.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "entries": {"binderhub": [entry]}})
    )
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("source", ["folder", "repository"])
def test_values_of_hubs(tmp_path: Path, repository: str, source: str) -> None:
    """Misspelt and mistyped values, and a line that ends a section, are found, and no value is shown."""
    hub = {
        "values": {
            "jupyterhub": {"singelusr": {"memory": SECRET}, "hub": {"networkPolicy": 5}, "proxy": None},
            "config": {"GitHubRepoProvider": {"access_token": SECRET}},
        },
        "secret_values": {"registry": {"passwd": SECRET}},
    }
    site = make_site(
        tmp_path / "site",
        {},
        {
            "site_hubs": {"binder": hub},
            "site_binderhub_chart_repository": str(CHART) if source == "folder" else repository,
        },
    )
    found, output = preflight(site, "-vvv")
    assert {entry for entry in found if entry[0].startswith("hub-value")} == {
        ("hub-value-refused", "site_hubs.binder.values.jupyterhub.singelusr", ""),
        ("hub-value-refused", "site_hubs.binder.values.jupyterhub.hub.networkPolicy", ""),
        ("hub-value-refused", "site_hubs.binder.secret_values.registry.passwd", ""),
        ("hub-value-drops-section", "site_hubs.binder.values.jupyterhub.proxy", ""),
    }
    misplaced = "site_hubs.binder.values.config.GitHubRepoProvider.access_token"
    assert ("git-token-misplaced", misplaced, "") in found
    assert "did you mean jupyterhub.singleuser?" in output
    assert SECRET not in output


def test_a_mirror_without_images_is_one_finding(tmp_path: Path) -> None:
    """It serves the chart, and not one image: that is told once, with the first of them."""
    with WebServer() as mirror:
        values = {"artifact_mirror_url": mirror.url, "site_binderhub_chart_repository": str(CHART)}
        found, output = preflight(make_site(tmp_path / "site", {}, values))
        asked = {entry.target for entry in mirror.asked if entry.method == "HEAD"}
    assert [entry for entry in found if entry[0] == "image-absent"] == [
        ("image-absent", "artifact_mirror_url", "")
    ]
    assert "registry.k8s.io/kube-apiserver:v" in output
    assert any(target.startswith("/v2/quay.io/jupyterhub/k8s-hub/manifests/") for target in asked)
    assert any(target.startswith("/v2/docker.io/library/hello-world/manifests/") for target in asked)
