# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A module of this collection as the text of one program, for places where nothing of it is installed: pods and builds."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

__all__ = ["program_of", "source_of"]

_OURS = __name__.partition("module_utils")[0] + "module_utils."
_START = """\
import sys, types
for name, text in {texts}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main()
"""


def source_of(module: ModuleType) -> str:
    """Return a module's text, also out of an archive.

    Asked of its loader: `inspect` reads by a cache that another thread may be emptying, and then finds no source.

    Raises:
        ImportError: whoever loaded it has no text of it.
    """
    text = getattr(module.__loader__, "get_source", lambda _name: None)(module.__name__)
    if text is None:
        raise ImportError(f"{module.__name__} was loaded without its text", name=module.__name__)
    return str(text)


def program_of(module: ModuleType) -> str:
    """Return a program that runs `main()` of a module, with every module of ours that it imports, and nothing else of ours.

    They are what they are here but for their comments and documentation, which nobody reads there. No two `<` follow each
    other: a Dockerfile would take them for the beginning of a text of several lines.
    """
    texts: dict[str, str] = {}

    def take(name: str) -> None:
        tree = ast.parse(source_of(importlib.import_module(name)))
        for needed in _needed(tree):
            if needed not in texts:
                take(needed)
        texts[name] = ast.unparse(_lean(tree))

    take(module.__name__)
    shown = repr(tuple(texts.items())).replace("<<", "<\\x3c")
    return _START.format(texts=shown)


def _needed(tree: ast.Module) -> Iterator[str]:
    """Name the modules of ours that a module imports, by their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_OURS):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else str(node.module)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


def _lean(tree: ast.Module) -> ast.Module:
    """Take the documentation out; what has nothing else keeps something to do."""
    for node in ast.walk(tree):
        if isinstance(
            node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        ) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
