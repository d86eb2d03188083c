# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a session has to have, and the cells of Python that ask its kernel."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._base.json_text import read_json

__all__ = ["Expected", "packages_cell", "packages_said", "sum_cell"]

# Its last line begins with a word of our own: what a package prints when it is imported is not for us.
_PACKAGES = """
import importlib as _importlib, importlib.metadata as _metadata, json as _json
def _ironbinder(name):
    try:
        _importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            return f"is there and cannot be imported: {{error}}"
    except BaseException as error:
        return f"is there and cannot be imported: {{type(error).__name__}}: {{error}}"
    else:
        return ""
    try:
        _metadata.version(name)
    except Exception:
        return "neither a module nor a distribution has this name"
    return ""
_ironbinder = {{name: _ironbinder(name) for name in {names!r}}}
print()
print({mark!r} + _json.dumps(_ironbinder))
"""


@dataclass(frozen=True)
class Expected:
    """What a launch has to bring along.

    Attributes:
        files: paths below the folder that the notebook opens in.
        packages: Python's, by the name of the module or of the distribution.
        code: a cell to run, in the kernel's own language.
        output: what that cell has to print, or to have as its value; white space at both ends does not count.
            None where it only has to run.
        kernel: name of the kernelspec, "" for the server's default.
    """

    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    code: str = ""
    output: Any = None
    kernel: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Expected:
        """Read the option `expect`. What is left out, or None, is not expected."""
        return cls(
            files=tuple(str(path).strip("/") for path in told.get("files") or ()),
            packages=tuple(str(name) for name in told.get("packages") or ()),
            code=str(told.get("code") or ""),
            output=told.get("output"),
            kernel=str(told.get("kernel") or ""),
        )


def sum_cell() -> tuple[str, str]:
    """Return a cell and what it prints, which nothing on the way can know that only repeats what it is told."""
    one, two, three = (random.randrange(10**8, 10**9) for _ in range(3))
    return f"print({one} * {two} + {three})", str(one * two + three)


def packages_cell(names: tuple[str, ...]) -> tuple[str, str]:
    """Return a cell that looks for packages, and the word before its answer."""
    mark = f"ironbinder-{random.randrange(10**8, 10**9)}:"
    return _PACKAGES.format(mark=mark, names=list(names)), mark


def packages_said(output: str, mark: str) -> dict[str, str]:
    """Read the answer: what is wrong with each package, "" where nothing is. Empty where there is no answer."""
    line = re.search(rf"^{re.escape(mark)}(.*)$", output, re.MULTILINE)
    try:
        said = read_json(line[1]) if line else {}
    except ValueError:
        return {}
    return {str(name): str(fault) for name, fault in said.items()} if isinstance(said, dict) else {}
