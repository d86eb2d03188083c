"""The page docs/performance.md: sections of which each has a program of its own, and the rest."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
SECTION = re.compile(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->\n", re.DOTALL)


def carried(text: str, page: Path = PAGE) -> str:
    """Return a page without sections, and behind it those that the page has now."""
    old = page.read_text() if page.exists() else ""
    kept = [found[0] for found in SECTION.finditer(old)]
    return "\n\n".join([text.rstrip(), *(section.rstrip("\n") for section in kept)]) + "\n" if kept else text


def put(name: str, text: str, page: Path = PAGE) -> None:
    """Put a section into the page, in place of the one of its name that is there, or behind all."""
    section = f"<!-- begin {name} -->\n{text.rstrip()}\n<!-- end {name} -->\n"
    old = page.read_text()
    there = [found for found in SECTION.finditer(old) if found[1] == name]
    if there:
        page.write_text(old[: there[0].start()] + section + old[there[0].end() :])
    else:
        page.write_text(f"{old.rstrip()}\n\n{section}")
