# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Links in documents lead somewhere: to a file of the repository, and to a heading that is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("README.md", "docs/*.md", "roles/*/README.md", "lab/**/*.md")
CODE = re.compile(r"^(```+).*?^\1`*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]*)[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
SCHEME = re.compile(r"[a-z]+:")


def documents(root: Path) -> list[Path]:
    """Every document, by its name."""
    return sorted(path for place in PLACES for path in root.glob(place) if path.is_file())


def anchors(text: str) -> set[str]:
    """Names of a document's headings, as GitHub makes them of their words."""
    found: dict[str, int] = {}
    names = set()
    fenced = re.sub(r"^(```+).*?^\1`*$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in HEADING.findall(fenced):
        words = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def broken(path: Path, root: Path) -> Iterator[str]:
    """Say which links of a document lead nowhere, and why."""
    for target in LINK.findall(CODE.sub("", path.read_text())):
        if SCHEME.match(target):
            continue
        file, _, anchor = target.partition("#")
        other = (path.parent / unquote(file)).resolve() if file else path
        if not target or not other.exists():
            yield f"({target}): no such file"
        elif not other.is_relative_to(root):
            yield f"({target}): outside of the repository"
        elif anchor and (other.suffix != ".md" or unquote(anchor) not in anchors(other.read_text())):
            yield f"({target}): no such heading"


@pytest.mark.parametrize("path", documents(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert list(broken(path, ROOT)) == []


def test_every_guide_is_reached_from_readme() -> None:
    """A page that nothing names is found by nobody."""
    told = (ROOT / "README.md").read_text()
    assert [
        path.name for path in sorted((ROOT / "docs").glob("*.md")) if f"docs/{path.name}" not in told
    ] == []


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("[a](other.md)", None),
        ("[a](other.md#two-words-and-code)", None),
        ("[a](other.md#again-1)", None),
        ("[a](#here)", None),
        ("[a](../README.md)", None),
        ("[![a](https://example.org/a.svg)](other.md)", None),
        ("[a](https://example.org/none#x)", None),
        ("`[a](none.md)`", None),
        ("```\n[a](none.md)\n```", None),
        ("[a](none.md)", "no such file"),
        ("[a]()", "no such file"),
        ("![a](none.svg)", "no such file"),
        ("[`a`](none.md)", "no such file"),
        ("[![a](https://example.org/a.svg)](none.md)", "no such file"),
        ("[a](other.md#three)", "no such heading"),
        ("[a](other.md#in-a-block)", "no such heading"),
        ("[a](other.md#again-2)", "no such heading"),
        ("[a](#there)", "no such heading"),
        ("[a](../../outside.md)", "outside of the repository"),
    ],
)
def test_what_is_broken_is_seen(tmp_path: Path, link: str, fault: str | None) -> None:
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (tmp_path / "outside.md").touch()
    (root / "README.md").touch()
    (root / "docs/other.md").write_text(
        "# Two words, and `code`\n\n## Again\n\n## Again\n\n```\n# in a block\n```\n"
    )
    page = root / "docs/page.md"
    page.write_text(f"# Here\n\n{link}\n\n```\ncode\n```\n")
    assert page in documents(root)
    found = list(broken(page, root))
    assert (found == []) if fault is None else (len(found) == 1 and fault in found[0]), found
