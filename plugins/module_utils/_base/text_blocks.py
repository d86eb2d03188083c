# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A few lines of ours in a file of somebody else, between two lines that say so."""

from __future__ import annotations

__all__ = ["with_block"]


def with_block(data: bytes, title: str, text: str) -> bytes:
    """Give `data` with `text` as the block called `title`; the lines around it stay as they are.

    Args:
        data: the file's content, in any encoding that keeps ASCII.
        title: stands in the lines `# BEGIN <title>` and `# END <title>`, the form that
            ansible.builtin.blockinfile writes too.
        text: the block's lines; empty takes the block out.

    Returns:
        The new content. A new block comes at the end. Of several blocks of this title the first is
        kept; one whose last line is missing, as an editor may leave it, is only its first line.
    """
    begin, end = f"# BEGIN {title}".encode(), f"# END {title}".encode()
    lines = data.splitlines(keepends=True)
    bare = [line.strip() for line in lines]
    kept: list[bytes] = []
    place = None
    number = 0
    while number < len(lines):
        if bare[number] == begin:
            place = len(kept) if place is None else place
            later = [at for at in range(number + 1, len(lines)) if bare[at] in (begin, end)]
            if later and bare[later[0]] == end:
                number = later[0]
        elif bare[number] != end:
            kept.append(lines[number])
        number += 1
    if not text.strip():
        return b"".join(kept)
    place = len(kept) if place is None else place
    block = [begin + b"\n", text.rstrip("\n").encode() + b"\n", end + b"\n"]
    if place and not kept[place - 1].endswith(b"\n"):
        block.insert(0, b"\n")
    return b"".join([*kept[:place], *block, *kept[place:]])
