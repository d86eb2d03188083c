# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The certificates that role reverse_proxy hands to NGINX, one for each name that has its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from proxy_machine import ROLE, hosts
from role_runs import ansible


def certificates(folder: Path, **variables: Any) -> dict[str, Any]:
    """Compute them as the role does, of files that hold their own names."""
    for name in ("site.crt", "site.key", "own.crt", "own.key"):
        (folder / name).write_text(f"{name}\nits last line\n")
    hubs = {
        name: {
            **hub,
            **{key: str(folder / hub[key]) for key in ("tls_certificate_file", "tls_key_file") if key in hub},
        }
        for name, hub in variables["reverse_proxy_hubs"].items()
    }
    told = {
        "site": "{{ __reverse_proxy_certificate_and_key }}",
        "more": "{{ __reverse_proxy_more_certificates }}",
    }
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars/main.yml")],
        "vars": {
            **variables,
            "reverse_proxy_hubs": hubs,
            "reverse_proxy_tls_certificate_file": str(folder / "site.crt"),
            "reverse_proxy_tls_key_file": str(folder / "site.key"),
            "ansible_python_interpreter": sys.executable,
            "told": told,
        },
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "content": "{{ told | to_json }}",
                    "dest": str(folder / "told"),
                    "mode": "0600",
                }
            }
        ],
    }
    done = ansible(folder, [play])
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads((folder / "told").read_text()))


def pair(name: str) -> str:
    return f"{name}.crt\nits last line\n{name}.key\nits last line\n"


def test_each_name_has_its_own(tmp_path: Path) -> None:
    told = certificates(tmp_path, **hosts("https"))
    assert told == {"site": pair("site"), "more": {"private.example.org": pair("own")}}


def test_names_that_nobody_comes_to_need_none(tmp_path: Path) -> None:
    told = certificates(tmp_path, **hosts("https", ("private",)))
    assert told == {"site": "", "more": {"private.example.org": pair("own")}}


def test_plain_http_has_none(tmp_path: Path) -> None:
    assert certificates(tmp_path, **hosts("http")) == {"site": "", "more": {}}
