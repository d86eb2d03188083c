# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The table in the kernel, by way of the program nft."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Optional

TABLE = "inet ironbinder_guard"
BRIDGE_TABLE = "bridge ironbinder_guard"
# A table for 500 pods takes a tenth of a second.
NFT_SECONDS = 10.0
# Comes with what the kubelet needs.
CONNTRACK, CONNTRACK_SECONDS = "/usr/sbin/conntrack", 2.0


class NftError(Exception):
    """nft, or another program, refused something. Its text is the program's own."""


class Program:
    """Runs a program. Without `subprocess`, which takes longer to import than nft takes to run."""

    def __init__(self, program: str, seconds: float = NFT_SECONDS) -> None:
        self.program, self.seconds = program, seconds

    def run(self, *arguments: str, text: str = "") -> str:
        """Run it with `text` as its input and give what it prints. Raises NftError."""
        files = [os.memfd_create(name) for name in ("in", "out", "error")]
        try:
            os.write(files[0], text.encode())
            os.lseek(files[0], 0, os.SEEK_SET)
            actions = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)]
            argv = [self.program, *arguments]
            try:
                child = os.posix_spawn(self.program, argv, {"LC_ALL": "C"}, file_actions=actions)
            except OSError as error:
                package = os.path.basename(self.program).replace("nft", "nftables")  # noqa: PTH119 see config.py
                raise NftError(
                    f"{self.program} cannot be run ({error}): install the package {package}"
                ) from error
            status = self._ended(child)
            output, fault = (_content(file) for file in files[1:])
            if status:
                raise NftError(" ".join(fault.split()) or f"{' '.join(argv)} ended with {status}")
            return output
        finally:
            for file in files:
                os.close(file)

    def _ended(self, child: int) -> int:
        """Give the status of a child that ended, or make an end of it."""
        # Neither a kernel before 5.3 nor each Python has such descriptors: there it is waited for.
        with suppress(OSError, AttributeError):
            descriptor = os.pidfd_open(child)
            try:
                waiting = select.poll()
                waiting.register(descriptor, select.POLLIN)
                if not waiting.poll(self.seconds * 1000):
                    os.kill(child, signal.SIGKILL)
            finally:
                os.close(descriptor)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise NftError(f"{self.program} did not end within {self.seconds:.0f} s, or was killed")
        return status


class Nft(Program):
    """The program nft."""

    def change(self, lines: Iterable[str]) -> None:
        """Bring about all of it or nothing. Raises NftError."""
        self.run("-f", "-", text="\n".join(lines) + "\n")

    def rules(self) -> Optional[str]:
        """Give both tables without counters and elements, None where one is missing or cannot be read."""
        try:
            return "".join(
                self.run("-s", "-t", "list", "table", *name.split()) for name in (TABLE, BRIDGE_TABLE)
            )
        except NftError:
            return None

    def elements(self, kind: str, name: str) -> list[Any]:
        """Give the elements of a `set` or `map` as nft's JSON has them. Raises NftError."""
        told = json.loads(self.run("-j", "list", kind, *TABLE.split(), name))
        return next((entry[kind].get("elem", []) for entry in told["nftables"] if kind in entry), [])

    def pods(self) -> dict[str, str]:
        """Give the verdict of each address. Raises NftError."""
        return {address: _verdict(told) for address, told in self.elements("map", "pods")}


def _content(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    parts = []
    while part := os.read(file, 1 << 20):
        parts.append(part)
    return b"".join(parts).decode(errors="replace")


def _verdict(told: Mapping[str, Any]) -> str:
    """{"goto": {"target": "build"}} is `goto build`, {"accept": null} is `accept`."""
    return " ".join(
        [word if target is None else f"{word} {target['target']}" for word, target in told.items()]
    )


def add_pods(pods: Mapping[str, str]) -> list[str]:
    """Lines that add addresses with their verdicts."""
    return [f"add element {TABLE} pods {{ {address} : {told} }}" for address, told in pods.items()]


def remove_pods(addresses: Iterable[str]) -> list[str]:
    """Lines that remove addresses, which have to be there."""
    return [f"delete element {TABLE} pods {{ {address} }}" for address in addresses]


def fill_set(name: str, elements: Sequence[str]) -> list[str]:
    """Lines that give a set these elements and no other."""
    told = [f"add element {TABLE} {name} {{ {', '.join(elements)} }}"] if elements else []
    return [f"flush set {TABLE} {name}", *told]


def set_pod(nft: Nft, address: str, told: str) -> None:
    """Give one address its verdict, whatever it had before. Raises NftError."""
    try:
        nft.change(add_pods({address: told}))
    except NftError as error:
        if "File exists" not in str(error):
            raise
        nft.change([*remove_pods([address]), *add_pods({address: told})])


def forget_flows(address: str) -> None:
    """End the connections of an address, which let through whoever has it next. Those of UDP live on for minutes.

    That there are none is what conntrack calls an error, and a node without conntrack starts pods all the same.
    """
    for whose in ("--orig-src", "--reply-src"):
        with suppress(NftError):
            Program(CONNTRACK, CONNTRACK_SECONDS).run("--delete", whose, address)
