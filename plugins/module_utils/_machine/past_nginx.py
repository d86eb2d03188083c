# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Sites that an NGINX has before Ironbinder puts its own beside them. Reads only."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_packages import DpkgStatus
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineFiles

__all__ = ["CONFFILES_OF", "is_packaged", "nginx_facts"]

# Debian's packages, and nginx.org's, which has no sites-enabled.
PACKAGES = ("nginx", "nginx-common", "nginx-core", "nginx-light", "nginx-full", "nginx-extras")
CONFFILES_OF = ("nginx-common",)
DEFAULT_SITE = "etc/nginx/sites-enabled/default"
PACKAGED_SITE = "etc/nginx/sites-available/default"
# The folder that it shows, and all that the package puts there.
PAGES, PACKAGED_PAGES = "var/www/html", {"index.nginx-debian.html"}
OURS = "ironbinder.conf"
# What NGINX includes on these systems: all of conf.d that ends so, and everything in sites-enabled.
FOLDERS = (("etc/nginx/conf.d", ".conf"), ("etc/nginx/sites-enabled", ""))
_COMMENT = re.compile(r"(?m)(^|\s)#.*$")
_LISTEN = re.compile(r"(?:^|[\s{;])listen\s+([^;{}]+);")
_NAME = re.compile(r"(?:^|[\s{;])server_name\s+([^;{}]+);")
# All addresses of the machine, with the port.
_EVERYWHERE = re.compile(r"(?:(?:\*|0\.0\.0\.0|\[::\]):)?(\d+)")
_SOMEWHERE = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::(\d+))?")
_LOOPBACK = ("127.", "[::1]", "localhost")


def is_packaged(files: MachineFiles, dpkg: DpkgStatus) -> bool:
    """Tell whether the default site is the one that the package brought, and shows nothing but the package's page."""
    link, packaged = files.root / DEFAULT_SITE, files.root / PACKAGED_SITE
    try:
        same = os.path.realpath(link) == os.path.realpath(packaged)
        digest = hashlib.md5(packaged.read_bytes(), usedforsecurity=False).hexdigest() if same else ""
    except OSError:
        return False
    try:
        pages = {entry.name for entry in (files.root / PAGES).iterdir()}
    except OSError:
        pages = set()
    return bool(digest) and dpkg.conffiles.get(f"/{PACKAGED_SITE}") == digest and pages <= PACKAGED_PAGES


def nginx_facts(files: MachineFiles, dpkg: DpkgStatus) -> dict[str, Any]:
    """Tell of an NGINX's sites.

    Returns:
        `version`, `` where there is none; `default`, the site of that name: ``, `packaged` or `changed`; `sites`, all others but
        Ironbinder's, each {file, listens: [{port, address, default}], names}. `address` is empty for all of the machine's.
    """
    versions = dpkg.of(*PACKAGES)
    default = ""
    if os.path.lexists(files.root / DEFAULT_SITE):
        default = "packaged" if is_packaged(files, dpkg) else "changed"
    return {
        "version": versions.get("nginx") or next(iter(versions.values()), ""),
        "default": default,
        "sites": list(_sites(files)),
    }


def _sites(files: MachineFiles) -> Iterator[dict[str, Any]]:
    for folder, ending in FOLDERS:
        try:
            names = sorted(entry.name for entry in (files.root / folder).iterdir())
        except OSError:
            continue
        for name in names:
            if name == OURS or f"{folder}/{name}" == DEFAULT_SITE or not name.endswith(ending):
                continue
            text = _COMMENT.sub(" ", files.text(f"{folder}/{name}"))
            listens = [entry for words in _LISTEN.findall(text) for entry in _listen(words.split())]
            if listens:
                hosts = [host.strip("\"'") for words in _NAME.findall(text) for host in words.split()]
                yield {"file": f"/{folder}/{name}", "listens": listens, "names": hosts}


def _listen(words: list[str]) -> Iterator[dict[str, Any]]:
    """Read `listen`, https://nginx.org/en/docs/http/ngx_http_core_module.html#listen."""
    place, default = words[0], bool({"default", "default_server"} & set(words[1:]))
    everywhere = _EVERYWHERE.fullmatch(place)
    if everywhere:
        yield {"port": int(everywhere[1]), "address": "", "default": default}
    elif place in ("*", "0.0.0.0", "[::]"):
        yield {"port": 80, "address": "", "default": default}
    elif not place.startswith(("unix:", *_LOOPBACK)):
        somewhere = _SOMEWHERE.fullmatch(place)
        if somewhere:
            yield {"port": int(somewhere[2] or 80), "address": somewhere[1], "default": default}
