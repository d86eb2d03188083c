# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What kubelet, kube-proxy and pod networks leave in the kernel of a machine that is no node any more.

`kubeadm reset` says itself that it takes none of it away, and leaves everybody to flush all rules, which would take those of
Docker and of the machine's admin along. Here each chain is known by its name, and nothing else is touched.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import (
    NOT_THERE,
    TOOK_TOO_LONG,
    Ran,
)

__all__ = ["Feed", "KernelRemains", "RemainsError", "feed_command", "plan_chains"]

# Runs a program with a text on its standard input.
Feed = Callable[[Sequence[str], str], Ran]

# Of kubelet and kube-proxy; of the network plugin portmap; of Calico.
_PREFIXES = ("KUBE-", "CNI-", "cali-")
_COMMENT = '--comment "cali:'
_TARGET = re.compile(r" -[jg] (\S+)")
# iptables has two halves in the kernel, and kube-proxy's image chooses for itself.
_TOOLS = ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy")
# kube-proxy's, where it works by nftables.
_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))
# Interfaces of kube-proxy's IPVS and of Calico.
_LINKS = ("kube-ipvs0", "vxlan.calico")
_SECONDS = 60


class RemainsError(Exception):
    """What could not be taken away. The text says what, and what was said."""


def feed_command(argv: Sequence[str], text: str) -> Ran:
    """Run a program with a text on its standard input, see `run_command`."""
    try:
        done = subprocess.run(
            list(argv),
            input=text,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(TOOK_TOO_LONG, stderr=f"{argv[0]} was ended after {_SECONDS} s")
    except OSError as error:
        return Ran(NOT_THERE, stderr=f"{argv[0]}: {error.strerror}")
    return Ran(done.returncode, done.stdout, done.stderr)


def plan_chains(saved: str) -> tuple[list[str], str]:
    """Say which chains go, and how.

    Args:
        saved: what `iptables-save` prints.

    Returns:
        The chains as `table chain`, and the input for `iptables-restore --noflush` that removes them with each rule of
        others that leads there. Nothing where there are none. A table changes in one go, so no packet meets half of it.
    """
    found: list[str] = []
    words: list[str] = []
    table = ""
    chains: list[str] = []
    rules: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, rules = line[1:], [], []
        elif line.startswith(":") and line[1:].startswith(_PREFIXES):
            chains.append(line[1:].split(" ", 1)[0])
        elif line.startswith("-A ") and not line[3:].startswith(_PREFIXES):
            target = _TARGET.search(line)
            if _COMMENT in line or (target and target.group(1).startswith(_PREFIXES)):
                rules.append(f"-D{line[2:]}")
        elif line == "COMMIT" and (chains or rules):
            found += [f"{table} {chain}" for chain in chains]
            emptied = [f"-F {chain}" for chain in chains]
            words += [f"*{table}", *rules, *emptied, *(f"-X {chain}" for chain in chains), "COMMIT"]
    return found, "".join(f"{word}\n" for word in words)


class KernelRemains:
    """Chains, tables and interfaces of a cluster that this machine has left."""

    def __init__(self, feed: Feed = feed_command) -> None:
        """Take what runs programs."""
        self._feed = feed

    def remove(self, check_mode: bool = False) -> list[str]:
        """Take away what is there, or only name it, a line each.

        Raises:
            RemainsError: a program refused; what was removed before stays removed, and running this again goes on.
        """
        return [*self._chains(check_mode), *self._nft(check_mode), *self._links(check_mode)]

    def _chains(self, check_mode: bool) -> list[str]:
        lines = []
        for tool in _TOOLS:
            saved = self._feed([f"{tool}-save"], "")
            if saved.rc:
                # Not installed, or a kernel without IPv6 or without the older half: then there is none of it.
                continue
            found, words = plan_chains(saved.stdout)
            if not words:
                continue
            if not check_mode:
                self._must([f"{tool}-restore", "--noflush", "--wait", "30"], words)
            lines += [f"{tool} {name}" for name in found]
        return lines

    def _nft(self, check_mode: bool) -> list[str]:
        listed = self._feed(["nft", "list", "tables"], "").stdout.splitlines()
        found = [f"{family} {name}" for family, name in _TABLES if f"table {family} {name}" in listed]
        if found and not check_mode:
            self._must(["nft", "-f", "-"], "".join(f"delete table {name}\n" for name in found))
        return [f"nft table {name}" for name in found]

    def _links(self, check_mode: bool) -> list[str]:
        found = [name for name in _LINKS if not self._feed(["ip", "link", "show", "dev", name], "").rc]
        for name in found:
            if not check_mode:
                self._must(["ip", "link", "delete", "dev", name], "")
        return [f"interface {name}" for name in found]

    def _must(self, argv: Sequence[str], text: str) -> None:
        ran = self._feed(argv, text)
        if ran.rc:
            raise RemainsError(f"`{' '.join(argv)}` ended with {ran.rc}: {ran.said}")
