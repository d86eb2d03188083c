# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The certificates that kubeadm made for this head: renewed in time, and proved to be in use.

`kubeadm certs renew` writes files and nothing else. What runs reads some of them when it starts only, so each part of the control
plane is restarted: its process is told to end, and the kubelet starts it again, which takes it a few seconds. A part that was
started after the files were written is left alone, so that what a kill interrupted goes on where it was.

In use is what the ports show: those of the API and of etcd serve the very certificates of the files; every part says that it is
healthy; and the API takes the administrator's new certificate.

The kubelet renews its own client certificate, which no timer of ours has to do.
https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ironbinder_upkeep.machine import Process, UpkeepError, number, processes, read_json, run, why, write_json
from ironbinder_upkeep.parts import PARTS, Part

__all__ = ["Head", "renew"]

KUBERNETES = Path("/etc/kubernetes")
DAY_SECONDS = 86400
ASK_SECONDS = 10
# For each part. The kubelet waits up to 300 s before it starts one again that ended often, as they do with certificates that have
# ended, and the unit ends after an hour. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
RESTART_SECONDS = 420
STEP_SECONDS = 1


class Head:
    """This head.

    Args:
        folder: where kubeadm keeps what it makes.
        proc: processes.
        sleep: lets seconds pass.
    """

    def __init__(
        self,
        folder: Path = KUBERNETES,
        proc: Path = Path("/proc"),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self._proc = proc
        self._sleep = sleep
        # Whose certificate it is, is what is asked; in the meantime anybody may answer.
        self._anybody = ssl.create_default_context()
        self._anybody.check_hostname = False
        self._anybody.verify_mode = ssl.CERT_NONE

    def expiring(self, days: int) -> list[str]:
        """Ask kubeadm for the certificates that it could renew and that end within `days`. Raises UpkeepError."""
        told = json.loads(run(["kubeadm", "certs", "check-expiration", "--output=json"]))
        return [
            entry["name"]
            for entry in told["certificates"]
            if not entry.get("missing")
            and not entry.get("externallyManaged")
            and entry["residualTime"] < days * DAY_SECONDS
        ]

    def renew_all(self) -> None:
        """Have kubeadm write new ones for all. Raises UpkeepError."""
        run(["kubeadm", "certs", "renew", "all"])

    def parts(self) -> list[Part]:
        """Give the parts that this head runs: a cluster's etcd may run elsewhere."""
        with_etcd = (self.folder / "manifests/etcd.yaml").exists()
        return [part for part in PARTS if part.name != "etcd" or with_etcd]

    def process(self, part: Part) -> Optional[Process]:
        """Find the process of a part; None while it is down."""
        option, file = part.mark
        for process in processes(self._proc):
            if process.name == part.name and process.options.get(option) == str(self.folder / file):
                return process
        return None

    def written_at(self) -> float:
        """When kubeadm wrote the newest of the files that the parts read, in seconds since the epoch."""
        files = [
            *self.folder.glob("pki/*.crt"),
            *self.folder.glob("pki/etcd/*.crt"),
            *self.folder.glob("*.conf"),
        ]
        return max((path.stat().st_mtime for path in files if path.name != "kubelet.conf"), default=0.0)

    def is_older(self, process: Process) -> bool:
        """Whether a process was started before the files were written."""
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        # A tick is a hundredth of a second, and what was started in the same second may have read the old ones.
        return booted + process.started_ticks / os.sysconf("SC_CLK_TCK") < self.written_at() + 1

    def restart(self, part: Part) -> bool:
        """Restart a part that is older than its certificates, and wait for its health. Returns whether it was.

        Raises:
            UpkeepError: it does not come back in time.
        """
        before = self.process(part)
        old = before is not None and self.is_older(before)
        if before is not None and old:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(before.pid, signal.SIGTERM)
        lacking, ends = "it does not run", time.monotonic() + RESTART_SECONDS
        while time.monotonic() < ends:
            now = self.process(part)
            if now is not None and not (old and before is not None and now.pid == before.pid):
                lacking = self.unhealthy(part, now)
                if not lacking:
                    return old
            self._sleep(STEP_SECONDS)
        told = "told to end, as its certificates are new, and is not back"
        if not old:
            told = "not told to end, as no process of it is older than its certificates, and is not healthy"
        raise UpkeepError(
            f"{part.name} was {told} after {RESTART_SECONDS} s: {lacking}. "
            f"See /var/log/pods/kube-system_{part.name}-*/ and `journalctl --unit kubelet`"
        )

    def unhealthy(self, part: Part, process: Process) -> str:
        """Say why a part is not healthy; nothing where it is."""
        url = part.health.format(_port(process, *part.port))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._anybody)
        )
        try:
            with opener.open(url, timeout=ASK_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            # Where strangers are told nothing, that it answers has to do.
            return "" if error.code in (401, 403) else f"{url}: {error}"
        except (OSError, ValueError) as error:  # urllib's and ssl's errors are the former
            return f"{url}: {error}"

    def served(self, port: int, address: str = "127.0.0.1") -> bytes:
        """Give the certificate that a port of this machine serves, in DER. Raises OSError."""
        plain = socket.create_connection((address, port), timeout=ASK_SECONDS)
        with plain, self._anybody.wrap_socket(plain) as secured:
            return secured.getpeercert(binary_form=True) or b""

    def unused(self) -> Iterator[str]:
        """Say of each certificate that a port should serve that it serves another one."""
        for part in self.parts():
            process = self.process(part)
            if process is None:
                yield f"{part.name} does not run"
                continue
            for file, (option, port) in part.serves.items():
                # The first certificate of a file is its own.
                text = (self.folder / file).read_text()
                own = ssl.PEM_cert_to_DER_cert(text[: text.index("-----END CERTIFICATE-----") + 26])
                number = _port(process, option, port)
                try:
                    same = self.served(number, _address(process, option)) == own
                except OSError as error:
                    yield f"port {number} of {part.name} does not answer: {error}"
                else:
                    if not same:
                        yield f"port {number} of {part.name} does not serve {self.folder / file}"

    def use(self) -> list[str]:
        """Have everything that runs use the files, and prove it. Returns the parts that were restarted. Raises UpkeepError."""
        restarted, failed = [], []
        for part in self.parts():
            # One that stays away is no reason to leave the others with certificates that end.
            try:
                restarted += [part.name] if self.restart(part) else []
            except UpkeepError as error:
                failed.append(str(error))
        if failed:
            raise UpkeepError("; ".join(failed))
        lacking = list(self.unused())
        if lacking:
            raise UpkeepError(
                f"certificates were renewed and are not in use: {'; '.join(lacking)}. "
                "Restart what is named: move its file out of /etc/kubernetes/manifests for half a minute"
            )
        self._ask_as_administrator()
        return restarted

    def _ask_as_administrator(self) -> None:
        """Ask the API with the administrator's certificate, which is new as well.

        Raises:
            UpkeepError: it is not ready in time. Strangers are told that they may not ask before it is.
        """
        kubectl = ["kubectl", f"--kubeconfig={self.folder}/admin.conf", "--request-timeout=10s"]
        ends = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                run([*kubectl, "get", "--raw", "/readyz"])
                return
            except UpkeepError:
                if time.monotonic() >= ends:
                    raise
            self._sleep(STEP_SECONDS)


def _port(process: Process, option: str, default: int) -> int:
    """Read the port from an option, a number or URLs; the kubeadm's own where there is none."""
    tail = process.options.get(option, "").rstrip("/").rpartition(":")[2]
    return int(tail) if tail.isdigit() else default


def _address(process: Process, option: str) -> str:
    """Read the address that an option's first URL names; this machine's own otherwise."""
    first = process.options.get(option, "").partition(",")[0]
    named = first.partition("//")[2].rpartition(":")[0].strip("[]")
    return named if named and named not in ("0.0.0.0", "::") else "127.0.0.1"


def renew(head: Head, state: Path, days: int, *, now: bool = False) -> dict[str, Any]:
    """Renew what ends within `days`, or all of it now; have it used; and write down what came of it.

    Returns:
        due, the names of what ends soon; renewed, whether there are new ones; restarted, the parts of the control plane.

    Raises:
        UpkeepError: kubeadm refused, a part did not come back, or a port serves an old certificate.
    """
    known = read_json(state)
    killed = bool(known) and "ended" not in known
    # `in_use` is False from the moment of writing until the ports have shown the new ones.
    attempt = {
        "began": int(time.time()),
        "renewed_at": int(number(known, "renewed_at")),
        "in_use": known.get("in_use", True),
        "error": "",
    }
    try:
        due = head.expiring(days)
        # Certificates that live for less than that would be renewed every night.
        rested = not 0 <= attempt["began"] - attempt["renewed_at"] <= days * DAY_SECONDS // 3
        renewed = now or killed or bool(due and rested)
        if renewed:
            attempt["in_use"] = False
            write_json(state, attempt)
            head.renew_all()
            attempt["renewed_at"] = int(time.time())
        # Somebody may have renewed them by hand, and restarted nothing.
        restarted = [] if attempt["in_use"] and not any(head.unused()) else head.use()
        attempt["in_use"] = True
    except BaseException as error:
        attempt["error"] = why(error)
        raise
    finally:
        write_json(state, {**attempt, "ended": int(time.time())})
    return {"due": due, "renewed": renewed, "restarted": restarted}
