# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The configuration that role reverse_proxy writes, rendered by Ansible and run by a real NGINX."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from free_ports import free_port
from nginx_machine import NGINX

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/infra"))

from web import Client

ROLE = ROOT / "roles/reverse_proxy"
STAND_IN = ROOT / "molecule/proxy/files/stand_in.py"

HUBS: dict[str, dict[str, Any]] = {
    "binder": {
        "binder_base_url": "/binderhub/",
        "hub_base_url": "/jupyterhub/",
        "node_port": 30585,
        "floating_ip": "127.0.0.1",
    },
    "private": {
        "binder_base_url": "/private/binderhub/",
        "hub_base_url": "/private/jupyterhub/",
        "node_port": 30586,
        "floating_ip": "127.0.0.2",
    },
}
PLAIN: dict[str, Any] = {
    "reverse_proxy_public_url": "http://127.0.0.1",
    "reverse_proxy_hubs": HUBS,
    "reverse_proxy_node_addresses": ["127.0.0.1", "127.0.0.2"],
}
CASES: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "port": {**PLAIN, "reverse_proxy_public_url": "http://hub.example.org:8080/"},
    "tls": {
        **PLAIN,
        "reverse_proxy_public_url": "https://hub.example.org",
        "reverse_proxy_hsts_seconds": 300,
        "reverse_proxy_trusted_proxies": ["127.0.0.1"],
    },
    "root": {
        **PLAIN,
        "reverse_proxy_hubs": {"binder": {**HUBS["binder"], "binder_base_url": "/"}},
        "reverse_proxy_node_addresses": ["2001:db8::1", "127.0.0.1"],
        "reverse_proxy_extra_directives": ["location = /robots.txt { return 404; }"],
    },
    "ipv6": PLAIN,
    "metrics": {**PLAIN, "reverse_proxy_metrics_allowed": ["127.0.0.0/8", "2001:db8::/32"]},
    # 127.0.0.1 asks in every test; here it counts as a proxy in front, and its own word as the client's.
    "metrics behind a proxy": {
        **PLAIN,
        "reverse_proxy_metrics_allowed": ["203.0.113.0/24"],
        "reverse_proxy_trusted_proxies": ["127.0.0.1"],
    },
    "metrics at the root": {
        **PLAIN,
        "reverse_proxy_hubs": {
            "binder": {**HUBS["binder"], "binder_base_url": "/", "hub_base_url": "/h.b/"},
            "metrics": {**HUBS["private"], "binder_base_url": "/metrics/b/", "hub_base_url": "/metrics/h/"},
        },
    },
}
# Hubs under names of their own: one with a certificate of its own, one with the site's, and one more at the second name.
OWN = {"tls_certificate_file": "own.crt", "tls_key_file": "own.key"}
HOSTS: dict[str, dict[str, Any]] = {
    "binder": {**HUBS["binder"], "public_url": "{scheme}://hub.example.org"},
    "private": {
        **HUBS["private"],
        "binder_base_url": "/binderhub/",
        "hub_base_url": "/jupyterhub/",
        "public_url": "{scheme}://private.example.org/",
        **OWN,
    },
    "third": {**HUBS["private"], "node_port": 30587, "public_url": "{scheme}://Private.example.org"},
}


def hosts(scheme: str, names: tuple[str, ...] = ("binder", "private", "third")) -> dict[str, Any]:
    """Give the variables of a proxy with several names."""
    hubs = {
        name: {**HOSTS[name], "public_url": HOSTS[name]["public_url"].format(scheme=scheme)} for name in names
    }
    return {
        **PLAIN,
        "reverse_proxy_public_url": f"{scheme}://hub.example.org",
        "reverse_proxy_hubs": hubs,
        "reverse_proxy_extra_directives": ["location = /robots.txt { return 404; }"],
    }


CASES |= {
    "hosts": hosts("http"),
    "hosts tls": {**hosts("https"), "reverse_proxy_hsts_seconds": 300},
    "another host only": hosts("https", ("private",)),
}
# Ways to write paths of metrics that NGINX takes for the same one, or somebody behind it might.
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.set_fact": {"all_ipv6_addresses": ["2001:db8::2"], "cacheable": True},
                "when": "inventory_hostname == 'ipv6'",
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ lookup('ansible.builtin.template', template) }}",
                    "dest": "{{ folder }}/{{ inventory_hostname }}.conf",
                    "mode": "0600",
                },
            },
        ],
    }
]


def render(folder: Path, certificate: Path) -> dict[str, str]:
    """Render every case in one run of Ansible, one host a case."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    tls = {"reverse_proxy_tls_certificate_file": str(certificate)}
    hosts = {name: {**case, **local, **tls} for name, case in CASES.items()}
    (folder / "group_vars").mkdir()
    shutil.copy(ROLE / "defaults/main.yml", folder / "group_vars/all.yml")
    (folder / "play.yml").write_text(json.dumps(PLAY))
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    extra = {"folder": str(folder), "template": str(ROLE / "templates/ironbinder.conf.j2")}
    run = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            "hosts.json",
            "-e",
            json.dumps(extra),
            "play.yml",
        ],
        cwd=folder,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")},
        timeout=600,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: (folder / f"{name}.conf").read_text() for name in CASES}


class Machine:
    """One NGINX in a folder of its own, on ports of its own, with stand-ins behind it."""

    def __init__(self, folder: Path, text: str, certificate: Path, own: Path | None = None) -> None:
        self.folder = folder
        self.ports = {old: free_port() for old in (80, 443, 8080)}
        self.upstreams = {old: free_port() for old in ("30585", "30586", "30587", "80")}
        text = text.replace("/var/log/nginx", str(folder)).replace(
            "/etc/nginx/ironbinder.pem", str(certificate)
        )
        text = text.replace("/etc/nginx/ironbinder.private.example.org.pem", str(own or certificate))
        text = re.sub(r"(listen \S*?)(\d+)(?=[ ;])", lambda m: m[1] + str(self.ports[int(m[2])]), text)
        text = re.sub(r"(?<=\.\d):(30585|30586|30587|80)\b", lambda m: f":{self.upstreams[m[1]]}", text)
        main = (
            f"user root; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{\n"
            f"access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; gzip on; gzip_types *;"
            f"\n{text}}}\n"
        )
        self.main = folder / "nginx.conf"
        self.main.write_text(main)

    def test(self) -> str:
        """Return what `nginx -t` complains about."""
        assert NGINX is not None
        run = subprocess.run(
            [NGINX, "-t", "-q", "-c", self.main], capture_output=True, text=True, check=False
        )
        return run.stderr if run.returncode else ""

    def answer(
        self, target: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, bytes]:
        """Ask for a target exactly as it is written; return the status, and what came back."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[80], timeout=60)
        try:
            connection.putrequest(method, target)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def client(self, port: int = 80) -> Client:
        """Return a client whose every URL leads here."""
        return Client(address=f"127.0.0.1:{self.ports[port]}", timeout=60)
