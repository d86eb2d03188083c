# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A person's kernel, seen from outside through every proxy: does it start, compute, and have what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.expected import (
    Expected,
    packages_cell,
    packages_said,
    sum_cell,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_causes import kernel_error
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_door import KernelDoor, said
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.kernel_talk import (
    Answer,
    execute_request,
    info_request,
    shortly,
)

__all__ = ["KernelProof"]

# Of a traceback.
TRACE_LINES = 20
UNWELL = "run a cell by hand in the session, and read the log of its pod, where the kernel writes"


class KernelProof:
    """Starts the kernel behind `door`, asks it for what is `expected`, and ends it.

    `facts` is what is known of it, as RETURN of `binder_launch` has it.
    """

    def __init__(self, door: KernelDoor, expected: Expected, clock: Clock) -> None:
        self._door = door
        self._expected = expected
        self._clock = clock
        self._python = False
        self.facts: dict[str, Any] = {}

    def measure(self, into: dict[str, Any], since: float, log: Sequence[str]) -> None:
        """Run, write phase `kernel` and what is known of it into the facts of a launch, and end the kernel.

        Args:
            into: the facts.
            since: when the launch began, by the clock.
            log: what an error shows that has no traceback of its own.

        Raises:
            VerifyError: see `run`.
        """
        started = self._clock.now()
        try:
            self.run()
        except VerifyError as error:
            self._note(into, since, started)
            self._door.close()  # what is wrong with its end is not what is wrong
            error.log = error.log or list(log)
            raise
        self._note(into, since, started)
        trouble = self._door.close()
        if trouble:
            into["warnings"].append(f"the kernel was not seen to end ({trouble}); it ends with its server")

    def _note(self, into: dict[str, Any], since: float, started: float) -> None:
        seconds = round(self._clock.now() - started, 3)
        into.update(kernel=self.facts, kernel_seconds=seconds)
        into["phases"]["kernel"] = seconds
        into["timeline"].append(
            {"name": "kernel", "start_seconds": round(started - since, 3), "seconds": seconds}
        )

    def run(self) -> None:
        """Start a kernel, let it compute, and look for what is expected.

        Raises:
            VerifyError: it is of no use, or something is missing; each kind is in CAUSES.
        """
        name, language = self._door.choose(self._expected.kernel)
        self._python = language.lower() == "python"
        self.facts.update(name=name, language=language, computed=False)
        if self._expected.packages and not self._python:
            observed = f"kernel {name} speaks {language or 'no language that it tells'}"
            raise kernel_error(["kernel_language"], self._door.url, observed)
        self._door.start(name)
        self._compute()
        self._look()
        if self._expected.code:
            self._check_output(self._run(self._expected.code, "expect_output", "expect_output"))

    def _compute(self) -> None:
        """Let the kernel compute what nothing else on the way could; one of another language only has to answer."""
        if not self._python:
            answer = self._door.talk(info_request(self._door.session), "kernel_output")
            if answer.error:
                observed = f"asked who it is, kernel {self.facts['name']} says {answer.error[:300]}"
                raise kernel_error(["kernel_error"], self._door.where, observed, UNWELL)
            return
        cell, right = sum_cell()
        answer = self._run(cell)
        if answer.output.strip() != right:
            observed = f"{cell} gives {shortly(answer.output)} in place of {right}"
            raise kernel_error(["kernel_output"], self._door.where, observed)
        self.facts["computed"] = True

    def _run(self, cell: str, raises: str = "kernel_error", floods: str = "kernel_output") -> Answer:
        """Run a cell; of what kind an error is depends on whose cell it is."""
        answer = self._door.talk(execute_request(cell, self._door.session), floods)
        if answer.error:
            error = kernel_error([raises], self._door.where, f"the cell raises {answer.error[:300]}")
            error.log = answer.trace[-TRACE_LINES:]
            raise error
        return answer

    def _look(self) -> None:
        """Look for files and packages, and name all that are missing at once."""
        faults = [("expect_file", f"file {path}: {why}") for path, why in self._missing_files()]
        faults += [("expect_package", f"package {name}: {why}") for name, why in self._missing_packages()]
        self.facts["missing"] = [told for _kind, told in faults]
        if faults:
            raise kernel_error(
                [kind for kind, _told in faults], self._door.url, "; ".join(self.facts["missing"])
            )

    def _missing_files(self) -> Iterator[tuple[str, str]]:
        """Give each file that the notebook's own list of files does not have, and what it says.

        Raises:
            VerifyError: the list says neither that a file is there nor that it is not.
        """
        for path in self._expected.files:
            reply = self._door.ask("GET", f"api/contents/{quote(path)}?content=0", "contents_api")
            if reply.status not in (200, 404):
                raise kernel_error(["contents_api"], self._door.url, f"file {path}: {said(reply)}")
            if reply.status == 404:
                hidden = any(part.startswith(".") for part in path.split("/"))
                yield path, said(reply) + ", as of every hidden file" * hidden

    def _missing_packages(self) -> Iterator[tuple[str, str]]:
        """Give each package that the kernel's own Python lacks, and how it shows."""
        if not self._expected.packages:
            return
        cell, mark = packages_cell(self._expected.packages)
        answers = packages_said(self._run(cell).output, mark)
        for name in self._expected.packages:
            fault = answers.get(name, "the kernel does not say whether it has it")
            if fault:
                yield name, fault

    def _check_output(self, answer: Answer) -> None:
        wanted = self._expected.output
        # What Python displays is a figure or the like; its values are messages of their own.
        output = answer.output if self._python else answer.output_displayed
        if wanted is not None and output.strip() != str(wanted).strip():
            observed = f"it gives {shortly(output)}, expected is {shortly(str(wanted))}"
            raise kernel_error(["expect_output"], self._door.where, observed)
