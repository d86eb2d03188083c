# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""One site of a machine's NGINX: tested together with all others before it takes its place, and then run."""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Runner
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._base.waiting import wait_until
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.nginx_changes import (
    Change,
    Owner,
    file_change,
    move,
    removal,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_nginx import (
    CONFFILES_OF,
    is_packaged,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.past_packages import read_dpkg
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.proc import MachineFiles
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Transport

__all__ = ["Machine", "NginxError", "NginxSite", "Site"]

# Where the text tells which configuration it is.
GENERATION = "@generation@"
# Folders whose files NGINX reads one by one. The candidate is tested in folders that hold the same.
FOLDERS = ("conf.d", "sites-enabled")
COMMAND_SECONDS = 60.0
ANSWER_SECONDS = 5.0
# For a moment old and new processes answer, whichever is first.
ANSWERS_IN_A_ROW = 2
# What NGINX ends its attempts with, after the line that says which port it is.
LAST_WORDS = "still could not bind()"


class NginxError(RuntimeError):
    """A site that cannot be put in place. The text says what NGINX said, and what to do."""


@dataclass(frozen=True)
class Site:
    """What is wanted.

    `text` is the file in conf.d, with `@generation@` where it tells which configuration it is. `pem` is the
    certificate with its key, empty for none; `more_pems` are those of further names, by name. `logs` are names of
    files. `replaces` names files in sites-enabled. `generation_url` is where the running NGINX answers with the
    generation. `adopt` says whether what is replaced may be somebody's work.
    """

    name: str
    text: str
    generation_url: str
    pem: str = ""
    logs: Sequence[str] = ()
    replaces: Sequence[str] = ()
    adopt: bool = False
    more_pems: Mapping[str, str] = field(default_factory=dict)


def _default_is_packaged() -> bool:
    files = MachineFiles(Path("/"))
    return is_packaged(files, read_dpkg(files, CONFFILES_OF))


@dataclass(frozen=True)
class Machine:
    """Where NGINX is on this machine, and who has its files."""

    log_owner: Owner
    owner: Owner = (0, 0)
    config_dir: Path = Path("/etc/nginx")
    log_dir: Path = Path("/var/log/nginx")
    program: str = "/usr/sbin/nginx"
    # In memory, so that a key which is only tested comes near no disk.
    run_dir: Path = Path("/run")
    # Ends with 0 where NGINX runs.
    ask_running: Sequence[str] = ("systemctl", "is-active", "--quiet", "nginx")
    reload: Sequence[str] = ("systemctl", "reload", "nginx")
    # Whether the site that is called default is as the package brought it.
    default_is_packaged: Callable[[], bool] = _default_is_packaged


class NginxSite:
    """Compares a site with a machine, and brings it about."""

    def __init__(self, site: Site, machine: Machine, run: Runner, http: Transport, clock: Clock) -> None:
        self._site, self._machine = site, machine
        self._run, self._http, self._clock = run, http, clock
        # A rotated certificate has the same path, so what it holds is part of the configuration.
        held = "\0".join([site.text, site.pem, *(part for pair in site.more_pems.items() for part in pair)])
        self.generation = hashlib.sha256(held.encode()).hexdigest()[:16]
        self._text = site.text.replace(GENERATION, self.generation)
        self._file = machine.config_dir / "conf.d" / f"{site.name}.conf"
        self._pem = machine.config_dir / f"{site.name}.pem"
        further = {
            machine.config_dir / f"{site.name}.{name}.pem": pem for name, pem in site.more_pems.items()
        }
        self._pems = {**({self._pem: site.pem} if site.pem else {}), **further}

    @property
    def installed(self) -> bool:
        """Whether there is an NGINX at all."""
        return os.access(self._machine.program, os.X_OK) and self._machine.config_dir.is_dir()

    def changes(self) -> list[Change]:
        """List every file that is not as it has to be, in the order in which to put that right.

        A stop between any two leaves an NGINX that can start: nothing is named that is not there yet, and
        what nobody names any more goes last.

        Raises:
            NginxError: a folder stands where a file is expected.
            OSError: a file cannot be read.
        """
        found = [
            file_change(self._machine.log_dir / name, None, 0o640, self._machine.log_owner)
            for name in self._site.logs
        ]
        found += [
            self._replaced(self._machine.config_dir / "sites-enabled" / name) for name in self._site.replaces
        ]
        found += [
            file_change(path, pem, 0o600, self._machine.owner, hidden=True)
            for path, pem in self._pems.items()
        ]
        found.append(file_change(self._file, self._text, 0o644, self._machine.owner))
        known = [self._pem, *sorted(self._machine.config_dir.glob(f"{self._site.name}.*.pem"))]
        found += [removal(path) for path in known if path not in self._pems]
        return [change for change in found if change is not None]

    def put_in_place(self, changes: Sequence[Change]) -> None:
        """Test the site, together with all others of the machine, and make the changes.

        Raises:
            NginxError: NGINX refuses the configuration. The files are as they were then, new logs aside.
            OSError: a file cannot be written.
        """
        logs = [change for change in changes if change.path.parent == self._machine.log_dir]
        # Before the test: NGINX makes missing logs itself, readable by everyone.
        for change in logs:
            change.make()
        if changes[len(logs) :]:
            self._test()
        for change in changes[len(logs) :]:
            change.make()

    def reloads(self, changes: Sequence[Change]) -> bool:
        """Whether NGINX has to read its configuration again after these changes: it does not for logs."""
        return any(change.path.parent != self._machine.log_dir for change in changes)

    def runs(self) -> bool:
        """Whether the NGINX that runs has this configuration. One that does not answer has not."""
        try:
            reply = self._http.request("GET", self._site.generation_url, {}, ANSWER_SECONDS)
        except HttpFailure:
            return False
        return reply.status == 200 and reply.text == self.generation

    @property
    def active(self) -> bool:
        """Whether an NGINX runs, with whatever configuration."""
        return self._run(self._machine.ask_running, COMMAND_SECONDS).rc == 0

    def make_run(self, timeout_seconds: float) -> None:
        """Have the running NGINX read its configuration again, and wait until it answers with this one.

        Raises:
            NginxError: it cannot be told to, or goes on with the configuration before.
        """
        told = self._run(self._machine.reload, COMMAND_SECONDS)
        if told.rc != 0:
            raise NginxError(f"NGINX does not reload: {told.said}; see `journalctl --unit nginx`")
        in_a_row = 0

        def look(_: float) -> bool:
            nonlocal in_a_row
            in_a_row = in_a_row + 1 if self.runs() else 0
            return in_a_row >= ANSWERS_IN_A_ROW

        # A reload that cannot bind a port ends with success, and the old configuration goes on.
        waited = wait_until(look, bool, clock=self._clock, timeout_seconds=timeout_seconds, step_seconds=0.2)
        if not waited.done:
            raise NginxError(
                f"NGINX was told to reload, and after {timeout_seconds:.0f} s {self._site.generation_url} does not "
                f"answer with the new configuration. {self._complaint()}"
            )

    def _complaint(self) -> str:
        log = self._machine.log_dir / "error.log"
        try:
            text = log.read_text(errors="replace")
            lines = [line for line in text.splitlines() if "[emerg]" in line and LAST_WORDS not in line]
        except OSError:
            lines = []
        if not lines:
            return f"{log} holds no reason: look at `journalctl --unit nginx`"
        return f"The last reason in {log}: {lines[-1]}"

    def _test(self) -> None:
        run_dir = self._machine.run_dir
        place = str(run_dir) if run_dir.is_dir() and os.access(run_dir, os.W_OK | os.X_OK) else None
        with tempfile.TemporaryDirectory(prefix="ironbinder-nginx-", dir=place) as name:
            stage, config_dir = Path(name), self._machine.config_dir
            # NGINX resolves relative names beside the main file, so everything has to be found there.
            for entry in config_dir.iterdir():
                if entry.name not in (*FOLDERS, "nginx.conf"):
                    (stage / entry.name).symlink_to(entry)
            replaced = {self._file, *(config_dir / "sites-enabled" / name for name in self._site.replaces)}
            for folder in FOLDERS:
                (stage / folder).mkdir()
                present = (config_dir / folder).iterdir() if (config_dir / folder).is_dir() else ()
                for entry in present:
                    if entry not in replaced:
                        (stage / folder / entry.name).symlink_to(entry)
            candidate, text = stage / "conf.d" / self._file.name, self._text
            staged = {path: stage / f"candidate-{path.name}" for path in self._pems}
            for path, pem in staged.items():
                text = text.replace(f"{path};", f"{pem};")
                write_atomically(pem, self._pems[path])
            write_atomically(candidate, text)
            main = (config_dir / "nginx.conf").read_bytes()
            for folder in FOLDERS:
                main = main.replace(f"{config_dir}/{folder}/".encode(), f"{stage}/{folder}/".encode())
            write_atomically(stage / "nginx.conf", main)
            # -T shows each file that was read, so that a candidate which nobody includes does not pass.
            argv = [self._machine.program, "-T", "-q", "-c", str(stage / "nginx.conf")]
            tested = self._run(argv, COMMAND_SECONDS)
            if tested.rc != 0:
                said = tested.said.replace(f"{stage}/candidate-", f"{config_dir}/").replace(
                    str(stage), str(config_dir)
                )
                raise NginxError(
                    f"NGINX refuses the configuration, and the one before stays in place: {said}. "
                    "Files of other sites were tested with it: the line names the file to correct"
                )
            if f"# configuration file {candidate}:" not in tested.stdout:
                raise NginxError(
                    f"{config_dir}/nginx.conf does not include {config_dir}/conf.d/*.conf: "
                    "put that line back into its http block"
                )

    def _replaced(self, path: Path) -> Optional[Change]:
        """Take a site out of NGINX. A link is removed; a file may be the only copy, and goes where NGINX reads nothing."""
        if not os.path.lexists(path):
            return None
        if not self._site.adopt and not (path.name == "default" and self._machine.default_is_packaged()):
            raise NginxError(
                f"{path} is a site that somebody made, or /var/www/html has pages: nothing was changed. Say that it may be "
                "replaced (adopt; for a site, site_adopt_nginx: true), or give it another name, and names and ports of its own"
            )
        if path.is_symlink():
            return Change(path, f"link to {path.readlink()}\n", "", path.unlink)
        if not path.is_file():
            raise NginxError(
                f"{path} is a folder or no ordinary file, and NGINX cannot read it: move it away"
            )
        folder, data = self._machine.config_dir / "sites-available", path.read_bytes()
        for count in itertools.count():
            kept = folder / f"{path.name}.before-ironbinder{f'.{count}' if count else ''}"
            # The same content was kept by a run that was stopped.
            if not os.path.lexists(kept) or (kept.is_file() and kept.read_bytes() == data):
                break
        return Change(path, "file\n", f"moved to {kept}\n", lambda: move(path, kept), kept)
