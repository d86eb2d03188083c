# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The table as it has to be, and how it becomes so again."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ironbinder_guard.config import Config
from ironbinder_guard.kernel import (
    BRIDGE_TABLE,
    TABLE,
    Nft,
    NftError,
    add_pods,
    fill_set,
    remove_pods,
)
from ironbinder_guard.known import (
    Known,
    network_in_use,
    plugin_since,
    read_known,
    stale,
    strangers,
    wanted_pods,
    write_known,
)
from ironbinder_guard.records import all_records, locked, read_json, remove_record, write_json
from ironbinder_guard.wanted import DAEMON_JSON, Names, docker_bridge, host_names, listed, wanted_sets

BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"


class Content(NamedTuple):
    """What the table has to hold."""

    pods: dict[str, str]
    sets: dict[str, list[str]]


class Guard:
    """The guard of this node. Every method that changes something takes the lock, but `_locked` ones."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.nft = Nft(config.nft)
        self.names = Names(f"{config.state_dir}/names.json")
        # What could not be written: a full /run is no reason to forget, or to load the table for ever.
        self.unwritten: Known | None = None
        self._loaded: dict[str, str] | None = None

    def known(self) -> Known:
        """Give what the API said last."""
        return self.unwritten or read_known(self.config.state_dir)

    def keep(self, known: Known) -> None:
        """Keep what the API said, in memory at least. Raises OSError where there it is only."""
        self.unwritten = known
        write_known(self.config.state_dir, known)
        self.unwritten = None

    def content(self, known: Known) -> Content:
        """Give what the table has to hold, from records, from what the API said, and from this machine."""
        records = all_records(self.config.state_dir)
        return Content(
            wanted_pods(self.config, known, records), wanted_sets(self.config, self.names, known.hub_api)
        )

    def load(self) -> None:
        """Replace the table in one transaction. Raises NftError."""
        with locked(self.config.state_dir):
            self.load_locked()

    def load_locked(self) -> None:
        """Replace the table in one transaction. Raises NftError."""
        text = self._text()
        told = self.content(self.known())
        lines = [f"{verb} table {name}" for name in (TABLE, BRIDGE_TABLE) for verb in ("add", "delete")]
        lines += [text, *add_pods(told.pods)]
        lines += [line for name, elements in told.sets.items() for line in fill_set(name, elements)]
        self.nft.change(lines)
        # What the kernel made of it, to know it again.
        self._loaded = {"text": _digest(text), "rules": _digest(self.nft.rules() or "")}
        with suppress(OSError):
            write_json(self._loaded_file, self._loaded)
            self._loaded = None

    def faults(self) -> list[str]:
        """Say how the table in the kernel differs from what it has to be. Raises NftError."""
        with locked(self.config.state_dir):
            broken = self.broken()
            if broken:
                return [broken]
            return [line for line, _ in self._differences(self.content(self.known()))]

    def reconcile(self) -> list[str]:
        """Put right what differs and forget pods that are gone. Give what was wrong.

        Raises:
            NftError: the kernel or nft refused.
        """
        with locked(self.config.state_dir):
            known = self.known()
            for record in stale(known, all_records(self.config.state_dir)):
                remove_record(self.config.state_dir, record.key)
            broken = self.broken()
            if broken:
                self.load_locked()
                return [broken]
            told = self._differences(self.content(known))
            if told:
                self.nft.change(line for _, lines in told for line in lines)
            return [line for line, _ in told]

    def complaints(self) -> list[str]:
        """Say what a person has to know besides: what the guard cannot put right itself."""
        found = strangers(self.config, self.known(), all_records(self.config.state_dir))
        filtered = _first_line(BRIDGE_FILTER)
        if filtered != "1":
            found.append(
                f"{BRIDGE_FILTER} is {filtered or 'missing'}: pods of this node reach each other past every rule; "
                "load br_netfilter and set it to 1"
            )
        found += [
            f"the name {name} has no address, so that nothing of it is open or closed"
            for name in host_names(self.config)
            if not self.names.known(name)
        ]
        bridge = docker_bridge()
        if bridge not in ("", "docker0", "none"):
            found.append(
                f"Docker's bridge is {bridge} ({DAEMON_JSON}), which no rule knows: steps of builds are not fenced; "
                "leave `bridge` away"
            )
        file = network_in_use(self.config.cni_config_dir)
        if file and plugin_since(self.config.cni_config_dir) == float("inf"):
            found.append(
                f"{file} does not name the network plugin ironbinder-guard: nobody tells whose pods are new"
            )
        return found

    def broken(self) -> str:
        """Say why the table has to be loaded anew, `` where it need not."""
        rules, loaded = self.nft.rules(), self._loaded or read_json(self._loaded_file) or {}
        if rules is None:
            return f"the table {TABLE} is missing"
        if loaded.get("text") != _digest(self._text()):
            return f"the table {TABLE} is older than {self.config.rules_file}"
        if loaded.get("rules") != _digest(rules):
            return f"the table {TABLE} was changed by somebody else"
        return ""

    def _differences(self, wanted: Content) -> list[tuple[str, list[str]]]:
        """Give each difference in words, with the lines of nft that put it right."""
        found: list[tuple[str, list[str]]] = []
        there = self.nft.pods()
        for address in there.keys() - wanted.pods.keys():
            found.append((f"address {address} belongs to no pod any more", remove_pods([address])))
        for address, told in wanted.pods.items():
            if there.get(address) != told:
                gone = remove_pods([address]) if address in there else []
                found.append((f"address {address} is not known", [*gone, *add_pods({address: told})]))
        for name, elements in wanted.sets.items():
            if listed(self.nft.elements("set", name)) != elements:
                found.append(
                    (f"set {name} does not hold {', '.join(elements) or 'nothing'}", fill_set(name, elements))
                )
        return found

    @property
    def _loaded_file(self) -> str:
        return f"{self.config.state_dir}/loaded.json"

    def _text(self) -> str:
        try:
            return Path(self.config.rules_file).read_text(encoding="utf-8")
        except OSError as error:
            raise NftError(f"{self.config.rules_file} cannot be read: {error.strerror}") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
