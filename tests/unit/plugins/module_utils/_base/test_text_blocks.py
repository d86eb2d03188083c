# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Files of others, with and without a block of ours."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.text_blocks import with_block

BLOCK = b"# BEGIN ours\nnew\n# END ours\n"

CASES = {
    "nothing there": (b"", "new\n", BLOCK),
    "at the end": (b"theirs\n", "new", b"theirs\n" + BLOCK),
    "after a last line that has no end": (b"theirs", "new\n", b"theirs\n" + BLOCK),
    "changed where it stands": (
        b"a\n# BEGIN ours\nold\nolder\n# END ours\nb\n",
        "new\n",
        b"a\n" + BLOCK + b"b\n",
    ),
    "as it should be": (b"a\n" + BLOCK + b"b\n", "new\n", b"a\n" + BLOCK + b"b\n"),
    "taken out": (b"a\n" + BLOCK + b"b", "", b"a\nb"),
    "nothing to take out": (b"a\n\n", "", b"a\n\n"),
    "twice, as after a bad merge": (BLOCK + b"a\n" + BLOCK, "new\n", BLOCK + b"a\n"),
    "of another title": (
        b"# BEGIN others\nx\n# END others\n",
        "new\n",
        b"# BEGIN others\nx\n# END others\n" + BLOCK,
    ),
    "without its last line": (b"a\n# BEGIN ours\ntheirs\n", "new\n", b"a\n" + BLOCK + b"theirs\n"),
    "begun twice": (b"# BEGIN ours\ntheirs\n# BEGIN ours\nold\n# END ours\n", "new\n", BLOCK + b"theirs\n"),
    "an end alone": (b"a\n# END ours\nb\n", "new\n", b"a\nb\n" + BLOCK),
    "lines of Windows": (b"a\r\n# BEGIN ours\r\nold\r\n# END ours\r\n", "new\n", b"a\r\n" + BLOCK),
    "bytes that are no UTF-8": (b"\xff\xfe\n", "new\n", b"\xff\xfe\n" + BLOCK),
}


@pytest.mark.parametrize(("data", "text", "wanted"), CASES.values(), ids=CASES.keys())
def test_block(data: bytes, text: str, wanted: bytes) -> None:
    found = with_block(data, "ours", text)
    assert found == wanted
    assert with_block(found, "ours", text) == found
