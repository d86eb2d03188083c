# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the roles reverse_proxy and registry refuse, in the words of their own variables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HUB = {"binder_base_url": "/b/", "hub_base_url": "/h/", "node_port": 30585, "floating_ip": "192.0.2.101"}
PROXY: dict[str, Any] = {
    "role": "reverse_proxy",
    "reverse_proxy_public_url": "http://hub.example.org",
    "reverse_proxy_hubs": {"binder": HUB},
    "reverse_proxy_node_addresses": ["192.0.2.11"],
}
HTTPS = {**PROXY, "reverse_proxy_public_url": "https://hub.example.org"}
REGISTRY: dict[str, Any] = {
    "role": "registry",
    "registry_username": "binder",
    "registry_password": "canary",
    "registry_tls_certificate_file": "one.crt",
    "registry_tls_key_file": "one.key",
}
PULLING = {**REGISTRY, "registry_pull_username": "binder-pull", "registry_pull_password": "canary"}
# A case, and what its refusal says; nothing where it is none.
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "proxy": (PROXY, ""),
    "proxy_ipv6": ({**PROXY, "reverse_proxy_public_url": "http://[2001:db8::31]:8080/"}, ""),
    "proxy_path": (
        {**PROXY, "reverse_proxy_public_url": "http://hub.example.org/binder"},
        r"reverse_proxy_public_url as http\(s\)://host\[:port\] \(it is 'http://hub.example.org/binder'\)",
    ),
    "proxy_port": (
        {**PROXY, "reverse_proxy_hubs": {"binder": {**HUB, "node_port": 0}}},
        "reverse_proxy_hubs a name",
    ),
    "proxy_metrics": (
        {**PROXY, "reverse_proxy_metrics_allowed": ["192.0.2.9", "192.0.2.0/24", "2001:db8::/32"]},
        "",
    ),
    "proxy_metrics_name": (
        {**PROXY, "reverse_proxy_metrics_allowed": ["192.0.2.9", "monitor1"]},
        "reverse_proxy_metrics_allowed holds monitor1: write addresses or ranges",
    ),
    "proxy_tls": (
        {**HTTPS, "reverse_proxy_tls_certificate_file": "one.crt", "reverse_proxy_tls_key_file": "one.key"},
        "",
    ),
    "proxy_tls_none": (HTTPS, r"reverse_proxy_tls_certificate_file \(''\) .* one of them is empty"),
    "proxy_tls_other": (
        {**HTTPS, "reverse_proxy_tls_certificate_file": "one.crt", "reverse_proxy_tls_key_file": "other.key"},
        r"reverse_proxy_tls_key_file \('other.key'\) .* \(for hub.example.org\) belongs to another key",
    ),
    "proxy_names": (
        {
            **PROXY,
            "reverse_proxy_hubs": {"binder": HUB, "private": {**HUB, "public_url": "http://p.example.org"}},
        },
        "",
    ),
    "proxy_names_one": (
        {**PROXY, "reverse_proxy_hubs": {"binder": HUB, "private": HUB}},
        "paths of its own",
    ),
    "proxy_names_scheme": (
        {
            **PROXY,
            "reverse_proxy_hubs": {"binder": HUB, "private": {**HUB, "public_url": "https://p.example.org"}},
        },
        "has scheme and port of reverse_proxy_public_url",
    ),
    "proxy_names_key": (
        {
            **HTTPS,
            "reverse_proxy_tls_certificate_file": "one.crt",
            "reverse_proxy_tls_key_file": "one.key",
            "reverse_proxy_hubs": {
                "binder": HUB,
                "private": {
                    **HUB,
                    "public_url": "https://p.example.org",
                    "tls_certificate_file": "one.crt",
                    "tls_key_file": "",
                },
            },
        },
        "needs tls_certificate_file and tls_key_file, both: look at private",
    ),
    "registry": (REGISTRY, ""),
    "registry_two": (PULLING, ""),
    "registry_pull_no_password": (
        {**PULLING, "registry_pull_password": ""},
        r"registry_pull_password \(it is empty\)",
    ),
    "registry_pull_alone": (
        {**PULLING, "registry_username": "", "registry_password": ""},
        "with a registry_username that is another one",
    ),
    "registry_pull_same": ({**PULLING, "registry_pull_username": "Binder"}, "that is another one"),
    "registry_pull_odd": ({**PULLING, "registry_pull_username": 'a"b'}, "letters, digits"),
    "registry_plain": ({"role": "registry", "registry_plain_http_enabled": True}, ""),
    "registry_plain_unasked": ({"role": "registry"}, "or registry_plain_http_enabled as a decision"),
    "registry_no_password": ({**REGISTRY, "registry_password": ""}, r"registry_password \(it is empty\)"),
    "registry_no_key": ({**REGISTRY, "registry_tls_key_file": ""}, r"registry_tls_key_file \(''\)"),
    "registry_port": ({**REGISTRY, "registry_port": 65536}, "registry_port from 1 to 65535 .it is '65536'"),
    "registry_folder": (
        {**REGISTRY, "registry_storage_dir": "images"},
        "registry_storage_dir as an absolute path",
    ),
    "registry_late": (
        {**REGISTRY, "registry_tls_certificate_file": "late.crt"},
        r"registry_tls_certificate_file \('late.crt'\) .* was valid until .* renew it",
    ),
}
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "block": [
                    {
                        "ansible.builtin.include_role": {
                            "name": "ironbinder.platform.{{ role }}",
                            "tasks_from": "validate.yml",
                        }
                    },
                    {"ansible.builtin.set_fact": {"said": ""}},
                ],
                "rescue": [{"ansible.builtin.set_fact": {"said": "{{ ansible_failed_result.msg }}"}}],
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ said }}",
                    "dest": "{{ playbook_dir }}/{{ inventory_hostname }}.txt",
                    "mode": "0600",
                }
            },
        ],
    }
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Have every case validated in one run of Ansible, one host a case; return what each was told."""
    folder = tmp_path_factory.mktemp("validation")
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=a",
    ]
    names = ["-addext", "subjectAltName=DNS:hub.example.org"]
    for name in ("one", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
        subprocess.run([*make, *names, "-days", "1", *files], cwd=folder, check=True, capture_output=True)
    # The same key, on a certificate that ends as it begins.
    late = ["openssl", "x509", "-in", "one.crt", "-signkey", "one.key", "-days", "0", "-out", "late.crt"]
    subprocess.run(late, cwd=folder, check=True, capture_output=True)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**case, **local} for name, (case, _) in CASES.items()}
    (folder / "play.yml").write_text(json.dumps(PLAY))
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    run = subprocess.run(
        [program, "-i", "hosts.json", "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: (folder / f"{name}.txt").read_text() for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_told_what_is_wrong(name: str, said: dict[str, str]) -> None:
    told = " ".join(said[name].split())
    wanted = CASES[name][1]
    assert re.search(wanted, told) if wanted else told == ""
    assert "site_" not in told
    assert "canary" not in told
