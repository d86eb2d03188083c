# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Answers as the real helm did: tests/unit/data/helm/recorded.json, made by tests/tools/record_helm.py.

A scenario is what was asked of helm in order. What changes nothing may be asked again, and in another
order; each change leads on to what was recorded after it. What was never recorded is an error.

As a program it is a helm: `helm_replay.py <arguments>` beside a file `replay.json`, {"scenario", "at"},
which it keeps up to date; it writes each command to the file `argv`, and the values files of an upgrade to
`given-<number>.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import Outcome

RECORDED = Path(__file__).parents[1] / "data" / "helm" / "recorded.json"
CHANGES = ("upgrade", "rollback", "uninstall")
FILES = ("--values", "--kubeconfig", "--ca-file")


class NotRecordedError(AssertionError):
    """Something was asked that helm was not asked when it was recorded."""


def normal(argv: Sequence[str]) -> list[str]:
    """Return the arguments after the program, without the folders of files, which differ in every run."""
    result = list(argv)[1:]
    for index, word in enumerate(result):
        if index and result[index - 1] in FILES:
            result[index] = Path(word).name
    return result


def scenarios() -> dict[str, list[dict[str, Any]]]:
    """Return all that was recorded: {scenario: [{argv, code, out, err}]}."""
    found: dict[str, list[dict[str, Any]]] = json.loads(RECORDED.read_text(encoding="utf-8"))["scenarios"]
    return found


def statuses(scenario: str) -> Iterator[dict[str, Any]]:
    """Give every answer of `helm status` in a scenario, as data."""
    for call in scenarios()[scenario]:
        if call["argv"][0] == "status" and call["code"] == 0:
            yield json.loads(call["out"])


class Replay:
    """A runner for `Helm`. `asked` has every command, `changes` the verbs of those that change something."""

    def __init__(self, scenario: str, at: int = 0) -> None:
        self.at = at
        self.asked: list[list[str]] = []
        self._calls: list[list[dict[str, Any]]] = [[]]
        for call in scenarios()[scenario]:
            if call["argv"][0] in CHANGES:
                self._calls.append([])
            self._calls[-1].append(call)

    @property
    def changes(self) -> list[str]:
        """What was changed, as [verb]."""
        return [argv[0] for argv in self.asked if argv[0] in CHANGES]

    def __call__(self, argv: Sequence[str], seconds: float) -> Outcome:
        """Answer as helm did."""
        assert seconds > 0, "helm is never run without a deadline"
        asked = normal(argv)
        self.asked.append(asked)
        if asked[0] in CHANGES:
            known = self._calls[self.at + 1][:1] if self.at + 1 < len(self._calls) else []
        else:
            known = self._calls[self.at]
        for call in known:
            if call["argv"] == asked:
                self.at += asked[0] in CHANGES
                return Outcome(call["code"], call["out"], call["err"])
        recorded = "\n".join(" ".join(call["argv"]) for call in known) or "nothing"
        raise NotRecordedError(f"helm {' '.join(asked)}\nwas never recorded here; recorded is:\n{recorded}")


def main() -> int:
    """Be a helm."""
    folder = Path(sys.argv[0]).parent
    state = folder / "replay.json"
    told = json.loads(state.read_text())
    replay = Replay(told["scenario"], told["at"])
    with (folder / "argv").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(sys.argv[1:]) + "\n")
    files = [Path(after) for word, after in zip(sys.argv, sys.argv[1:], strict=False) if word == "--values"]
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600, f"{file} can be read by others"
    if files:
        number = len(list(folder.glob("given-*.json")))
        given = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        (folder / f"given-{number}.json").write_text(json.dumps(given))
    answer = replay(sys.argv, 1)
    state.write_text(json.dumps({**told, "at": replay.at}))
    sys.stdout.write(answer.out)
    sys.stderr.write(answer.err)
    return answer.code


if __name__ == "__main__":
    sys.exit(main())
