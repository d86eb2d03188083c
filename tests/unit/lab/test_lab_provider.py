# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The lab's provider of identities: what starts it, leads to it and tells it whom it knows has to fit together."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import yaml

LAB = Path(__file__).resolve().parents[3] / "lab"
PROVIDER = LAB / "provider"
TOLD = yaml.safe_load((LAB.parent / "inventories/lab/group_vars/all/lab.yml").read_text())
SITE = yaml.safe_load((LAB.parent / "inventories/lab/group_vars/all/site.yml").read_text())
TASKS = yaml.safe_load((LAB / "tasks" / "login.yml").read_text())
UNIT = (LAB / "mirror" / "ironbinder-lab-provider.service").read_text()
HOST = urlsplit(TOLD["lab_login_url"]).hostname


def the(pattern: str, text: str) -> str:
    """What the one group of the one match took."""
    [found] = re.findall(pattern, text)
    return str(found)


def test_it_runs_on_the_node_that_the_lab_fetches_already() -> None:
    wanted = json.loads((PROVIDER / "package.json").read_text())["engines"]["node"]
    images = yaml.safe_load((LAB / "images" / "images.yml").read_text())["images"]
    assert {entry["node"] for entry in images if "node" in entry} == {wanted}


def test_whatever_it_imports_is_locked() -> None:
    imported = re.findall(r'^import .* from "([^"]+)";$', (PROVIDER / "server.mjs").read_text(), re.M)
    lock = json.loads((PROVIDER / "package-lock.json").read_text())["packages"]
    ours = [name for name in imported if not name.startswith("node:")]
    assert len(ours) >= 2
    assert {f"node_modules/{name}" for name in ours} <= set(lock)
    pinned = json.loads((PROVIDER / "package.json").read_text())["dependencies"]
    assert all(lock[f"node_modules/{name}"]["version"] == version for name, version in pinned.items())


def test_nginx_leads_to_it_under_its_own_name() -> None:
    nginx = (LAB / "mirror" / "nginx.conf").read_text()
    [server] = [part for part in nginx.split("\nserver {") if f"server_name {HOST};" in part]
    port = the(r"proxy_pass http://127\.0\.0\.1:(\d+);", server)
    task, *_ = TASKS
    assert f"'port': {port}," in task["ansible.builtin.copy"]["content"]
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in server
    keys = (LAB / "tasks" / "keys.yml").read_text()
    assert f"'DNS:{HOST}'" in keys


def test_its_unit_starts_what_the_image_has_with_what_the_lab_tells() -> None:
    dockerfile = (LAB / "mirror" / "Dockerfile").read_text()
    folder = the(r"COPY provider (\S+)", dockerfile)
    argv = the(r"ExecStart=(.*)", UNIT).split()
    assert argv[:2] == [f"{folder}/node", f"{folder}/server.mjs"]
    task, *_ = TASKS
    seen = "/srv/lab/" + task["ansible.builtin.copy"]["dest"].partition("/srv/")[2]
    assert argv[2:] == [seen]
    # Nobody but root reads it there: it has the clients' secrets.
    assert task["ansible.builtin.copy"]["mode"] == "0600"
    assert f"StandardInput=file:{seen}" in UNIT
    assert "ironbinder-lab-provider.service" in the(r"(systemctl enable .*)", dockerfile)
    # It ends by itself when it is told something new.
    assert "Restart=always" in UNIT
    assert "StartLimitIntervalSec=0" in UNIT


def test_its_name_is_known_where_it_is_asked_for() -> None:
    """By this computer, and by the site's nodes and pods, where it is the mirror's."""
    assert HOST in TOLD["lab_names_here"]["172.30.77.41"]
    assert HOST in SITE["site_extra_hosts"]["172.30.77.41"]


def test_there_is_somebody_who_may_not() -> None:
    groups = {name: set(person["groups"]) for name, person in TOLD["lab_people"].items()}
    assert groups["alice"] & groups["carol"]
    assert not groups["bob"] & (groups["alice"] | groups["carol"])


def test_each_hub_that_asks_it_is_a_client_of_it() -> None:
    """A provider compares all of it letter by letter."""
    asking = {name: hub for name, hub in SITE["site_hubs"].items() if hub["auth"]["kind"] == "oidc"}
    assert {hub["auth"]["client_id"] for hub in asking.values()} == set(TOLD["lab_login_clients"])
    for hub in asking.values():
        assert hub["auth"]["issuer"] == TOLD["lab_login_url"]
        [uri] = TOLD["lab_login_clients"][hub["auth"]["client_id"]]["redirect_uris"]
        assert uri == f"{hub['public_url']}/jupyterhub/hub/oauth_callback"
        groups = {group for person in TOLD["lab_people"].values() for group in person["groups"]}
        assert set(hub["auth"]["allowed_groups"]) < groups
        assert set(hub["auth"]["admin_users"]) <= set(TOLD["lab_people"])


def test_each_name_of_the_site_has_a_certificate_and_an_address() -> None:
    urls = [SITE["site_public_url"], *(hub.get("public_url") for hub in SITE["site_hubs"].values())]
    hosts = {urlsplit(url).hostname for url in urls if url}
    certified = [name for names in TOLD["lab_proxy_certificates"].values() for name in names]
    assert hosts == {name.partition(":")[2] for name in certified}
    proxy = "172.30.77.31"
    assert hosts - {proxy} == set(TOLD["lab_names_here"][proxy]) == set(TOLD["lab_extra_names"][proxy])
    named = [SITE["site_proxy_tls_certificate_file"]]
    named += [hub["tls_certificate_file"] for hub in SITE["site_hubs"].values() if "public_url" in hub]
    assert {name.partition(".lab/")[2] for name in named} == {
        f"{file}.crt" for file in TOLD["lab_proxy_certificates"]
    }


def test_each_hub_has_an_address_and_the_fences_stranger_has_none_of_them() -> None:
    first, last = SITE["site_floating_pool"].split("-")
    addresses = range(int(IPv4Address(first)), int(IPv4Address(last)) + 1)
    assert len(addresses) == len(SITE["site_hubs"])
    fences = yaml.safe_load((LAB.parent / "inventories/lab/group_vars/all/fences.yml").read_text())
    others = fences["site_guard_other_hubs"]
    assert not set(others) & set(SITE["site_hubs"])
    assert not {int(IPv4Address(other["floating_ip"])) for other in others.values()} & set(addresses)
