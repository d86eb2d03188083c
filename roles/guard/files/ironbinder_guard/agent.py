# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The service on each node: sees to it that the table is what it has to be, whoever changes it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ironbinder_guard.api import (
    SERVICES_PATH,
    Api,
    ApiError,
    Watcher,
    list_of,
    pod_of,
    pods_path,
    service_address,
)
from ironbinder_guard.config import Config
from ironbinder_guard.kernel import NftError
from ironbinder_guard.known import Known, adopt, read_known, write_known
from ironbinder_guard.records import locked
from ironbinder_guard.table import Guard
from ironbinder_guard.wanted import host_names

# Without any event, everything is looked at this often, and names are asked for.
ROUND_SECONDS, NAMES_SECONDS, LACKING_SECONDS = 15.0, 60.0, 2.0
# Events come in swarms: a pod that starts makes five.
CALM_SECONDS = 0.1
# linux/netlink.h and linux/nfnetlink.h: the group that hears of every change to nftables.
NETLINK_NETFILTER, NFTABLES_GROUP = 12, 7
# linux/rtnetlink.h: the group that hears of every interface.
NETLINK_ROUTE, LINK_GROUP = 0, 1


def known_from(
    config: Config,
    pods: Iterable[dict[str, Any]],
    services: Iterable[dict[str, Any]],
    before: Known,
    *,
    starting: bool,
    seen_at: float,
) -> Known:
    """Reduce what the API said until `seen_at` to what the guard has to know."""
    found = sorted(pod for pod in map(pod_of, pods) if pod)
    hub_api = dict(map(service_address, services))
    return Known(
        found,
        adopt(config, found, before, starting=starting),
        {namespace: told for namespace, told in sorted(hub_api.items()) if namespace in config.hubs},
        seen_at,
    )


def ask_once(config: Config) -> None:
    """Learn what runs here before the table is loaded, so that nobody who runs is cut off. Raises ApiError."""
    api, asked_at = Api(config.kubeconfig), time.time()
    pods, services = (list_of(api, path)[0].values() for path in (pods_path(config.node_name), SERVICES_PATH))
    with locked(config.state_dir):
        before = read_known(config.state_dir)
        known = known_from(config, pods, services, before, starting=True, seen_at=asked_at)
        write_known(config.state_dir, known)


class KernelWatcher(threading.Thread):
    """Hears from the kernel when somebody touches the table, or makes a bridge: it is mended before it is noticed."""

    def __init__(self, family: int, groups: int, word: bytes, changed: Callable[[], None]) -> None:
        super().__init__(daemon=True, name=f"netlink {family}")
        self.word, self.changed = word, changed
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
        self.socket.bind((0, groups))

    def run(self) -> None:
        """Wait for messages that have the word in them, or for so many that some were lost."""
        while True:
            try:
                if self.word in self.socket.recv(1 << 16):
                    self.changed()
            except OSError:
                self.changed()


class NameWatcher(threading.Thread):
    """Asks for the host names that a site opens, apart from all else: a silent name server costs half a minute."""

    def __init__(self, guard: Guard, changed: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="names")
        self.guard, self.changed, self.fault = guard, changed, ""
        self.ended = threading.Event()

    def run(self) -> None:
        """Ask every minute, and every two seconds while a name has no address."""
        names = host_names(self.guard.config)
        while names and not self.ended.is_set():
            lacking = True
            # Also what nobody thought of: a thread that ended in silence would never ask again.
            try:
                self.guard.names.look_up(names)
                lacking, self.fault = not all(map(self.guard.names.known, names)), ""
            except Exception as error:
                self.fault = f"names are not asked for: {type(error).__name__}: {error}"
            self.changed()
            self.ended.wait(LACKING_SECONDS if lacking else NAMES_SECONDS)


class Agent:
    """Looks at everything whenever something happened, and every few seconds."""

    def __init__(self, config: Config, log: Callable[[str], None]) -> None:
        self.config, self.log = config, log
        self.guard = Guard(config)
        self.happened, self.ended = threading.Event(), threading.Event()
        api = Api(config.kubeconfig)
        self.pods = Watcher(api, pods_path(config.node_name), self.happened.set, log)
        self.services = Watcher(api, SERVICES_PATH, self.happened.set, log)
        self.names = NameWatcher(self.guard, self.happened.set)
        self.starting = True
        self.told: list[str] = []

    def run(self) -> None:
        """Go on until `ended` is set."""
        others = (
            KernelWatcher(
                NETLINK_NETFILTER, 1 << (NFTABLES_GROUP - 1), b"ironbinder_guard", self.happened.set
            ),
            KernelWatcher(NETLINK_ROUTE, LINK_GROUP, b"br-", self.happened.set),
        )
        for thread in (self.pods, self.services, self.names, *others):
            thread.start()
        while not self.ended.is_set():
            self.round()
            self.happened.wait(ROUND_SECONDS)
            self.ended.wait(CALM_SECONDS)
            self.happened.clear()

    def round(self) -> None:
        """Look at everything once. Never raises: the next round may go well."""
        told = [*self._tried("does not learn", self.learn), *self._tried("does not work", self.mend)]
        for line in told:
            if line not in self.told:
                self.log(line)
        self.told = told

    def _tried(self, fault: str, work: Callable[[], list[str]]) -> list[str]:
        """Do a part of the work: what keeps one from being done keeps no other from it."""
        try:
            return work()
        except (NftError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return [f"the guard {fault}: {error}"]

    def mend(self) -> list[str]:
        """Put right what differs, and give what only a person can."""
        for line in self.guard.reconcile():
            self.log(f"put right: {line}")
        return self.guard.complaints() + ([self.names.fault] if self.names.fault else [])

    def learn(self) -> list[str]:
        """Keep what the API said since, if it did. Without room for the file it is kept in memory."""
        # Times first: what is read after them is not older.
        seen_at = min(self.pods.seen_at, self.services.seen_at)
        pods, services = self.pods.objects(), self.services.objects()
        if pods is None or services is None:
            return []
        with locked(self.config.state_dir):
            before = self.guard.known()
            known = known_from(self.config, pods, services, before, starting=self.starting, seen_at=seen_at)
            if self.starting:
                self.log(f"the API names {len(known.pods)} pods of this node, and {len(known.hub_api)} hubs")
            self.starting = False
            if known != before or self.guard.unwritten:
                self.guard.keep(known)
        return []


def learn_before_loading(config: Config, log: Callable[[str], None]) -> None:
    """Ask the API once; that it does not answer is normal before the node has joined, and after a start of the machine."""
    try:
        ask_once(config)
    except ApiError as error:
        log(f"the API was not asked: {error}")
