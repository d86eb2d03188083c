# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The nodes' addresses, found once in a run where nothing can change them in it.

Ansible puts the variables of a host together anew whenever somebody asks, and a filter is asked for each host and task: in a
site of hundreds of machines each would ask each. The answer is kept in the run's own temporary folder.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import ADDRESS_VARIABLES
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import (
    resolved_nodes,
    run_folder,
)

__all__ = ["addresses_once"]


def _raw(hosts: Sequence[str], hostvars: Any) -> dict[str, dict[str, Any]] | None:
    """Give the variables that addresses come from; None where one is a template, which may read what a run finds out."""
    found = {}
    for host in hosts:
        told = hostvars.raw_get(host)
        if not isinstance(told, Mapping):
            return None
        found[host] = {name: told[name] for name in ADDRESS_VARIABLES if name in told}
    templated = any(
        "{{" in str(text) or "{%" in str(text) for told in found.values() for text in told.values()
    )
    return None if templated else found


def addresses_once(hosts: Sequence[str], hostvars: Any, folder: Path | None = None) -> dict[str, str]:
    """Give the address of each host.

    Args:
        hosts: names.
        hostvars: Ansible's, or variables by name.
        folder: keeps the answers. The run's own unless given.

    Returns:
        {host: address} in the order of `hosts`. Raises what Ansible raises where a template cannot be computed.
    """
    if len(hosts) < 2 or not hasattr(hostvars, "raw_get"):
        return resolved_nodes({host: hostvars[host] for host in hosts})
    place = folder or run_folder()
    name = f"addresses-{sha256(json.dumps(list(map(str, hosts))).encode()).hexdigest()[:32]}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place / name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return resolved_nodes({host: hostvars[host] for host in hosts})
    with os.fdopen(descriptor, "r+") as file:
        with suppress(OSError):  # a file system without locks: somebody may ask twice
            fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        if text.startswith("{"):
            return {str(host): str(address) for host, address in json.loads(text).items()}
        # Of templates that is kept as well: nobody looks at all machines again only to find them.
        raw = None if text else _raw(hosts, hostvars)
        found = resolved_nodes(raw) if raw is not None else None
        if not text:
            file.write("templates" if found is None else json.dumps(found))
            file.flush()
    return resolved_nodes({host: hostvars[host] for host in hosts}) if found is None else found
