# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Nodes that are reached by name: each name becomes an address once in a run, on the controller.

Ansible works in many short-lived processes, and a name server that shares load gives another address each
time. The answers are therefore kept in the run's own temporary folder, which goes with the run.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Host,
    as_mapping,
    as_text,
    parse_ip,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import own_address

__all__ = ["Answer", "add_resolved", "addresses_of", "resolve_names"]

Ask = Callable[[str], Sequence[str]]

# Names are asked for at the same time: a silent name server costs its time once.
MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Answer:
    """What a name leads to: an IPv4 address, or why there is none."""

    address: str = ""
    error: str = ""


def addresses_of(name: str) -> list[str]:
    """Give the addresses of a name, by DNS and the controller's /etc/hosts. Raises OSError or ValueError."""
    told = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in told))


def run_folder() -> Path:
    """The folder of this run, the same in all its processes; Ansible removes it at the end."""
    from ansible import constants  # noqa: PLC0415 importing it makes the folder

    return Path(constants.DEFAULT_LOCAL_TMP) / "ironbinder-names"


def _answer(name: str, ask: Ask) -> Answer:
    try:
        told = [address for address in map(parse_ip, ask(name)) if address is not None]
    except (OSError, ValueError) as error:
        return Answer(error=str(getattr(error, "strerror", None) or error) or type(error).__name__)
    # The lowest, because name servers change the order, and a node must not move with it.
    usable = sorted(address for address in told if isinstance(address, IPv4Address))
    if usable:
        return Answer(str(usable[0]))
    return Answer(error=f"it has IPv6 addresses only, such as {told[0]}" if told else "it has no address")


def _read(file: Any) -> Answer | None:
    try:
        known = as_mapping(json.loads(file.read()))
    except ValueError:
        return None
    answer = Answer(as_text(known.get("address")), as_text(known.get("error")))
    return answer if answer.address or answer.error else None


def _once(name: str, ask: Ask, folder: Path) -> Answer:
    """Look into the folder first; whoever comes second waits for the first one's answer."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / sha256(name.encode()).hexdigest()[:32], os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return _answer(name, ask)
    with os.fdopen(descriptor, "r+") as file:
        with suppress(OSError):  # a file system without locks: somebody may ask twice
            fcntl.flock(file, fcntl.LOCK_EX)
        known = _read(file)
        if known:
            return known
        answer = _answer(name, ask)
        with suppress(OSError):
            file.seek(0)
            file.truncate()
            file.write(json.dumps(asdict(answer)))
            file.flush()
        return answer


def resolve_names(
    texts: Iterable[str], ask: Ask | None = None, folder: Path | None = None
) -> dict[str, Answer]:
    """Find the address of each name, once in a run.

    Args:
        texts: names; addresses and empty texts among them are passed over.
        ask: gives the addresses of a name; raises OSError or ValueError. `addresses_of` unless given.
        folder: keeps the answers. The run's own unless given.

    Returns:
        {name: answer}. Never raises.
    """
    names = [text for text in dict.fromkeys(texts) if text and parse_ip(text) is None]
    if not names:
        return {}
    place, asked = folder or run_folder(), ask or addresses_of
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(names))) as pool:
        return dict(zip(names, pool.map(lambda name: _once(name, asked, place), names)))


def add_resolved(
    hosts: Mapping[str, dict[str, Any]],
    groups: Mapping[str, Sequence[str]],
    find: Callable[[Iterable[str]], Mapping[str, Answer]] = resolve_names,
) -> None:
    """Add `resolved`, {address} or {error}, to each node of a collected inventory that is reached by name."""
    names = {}
    for name in dict.fromkeys([*groups.get("head", ()), *groups.get("workers", ())]):
        variables = as_mapping(hosts[name].get("variables")) if name in hosts else {}
        # A site_node_address has to be an address: node-address-is-a-name.
        if name in hosts and not own_address(variables):
            names[name] = Host(name, variables=variables).address
    answers = find(names.values())
    for name, text in names.items():
        if text in answers:
            told = asdict(answers[text])
            hosts[name]["resolved"] = {key: value for key, value in told.items() if value}
