# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What people write where something else belongs, and the changes that put it there."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "0",
        "-1",
        "{{ x }}",
        "ä\n#\"'\\",
        "http://",
        "https://[",
        "https://x:y",
        "//",
        "/",
        ":",
        "-",
        "1-2-3",
        "0.0.0.0/0",
        "::/0",
        "::1",
        "999.1.1.1",
        "192.0.2.9-192.0.2.1",
        "192.0.2.0/24",
        "9" * 5000,
        "²",
        "1.2",
        "latest",
        "null",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    ODD_TEXTS,
    st.integers(10**30, 10**31),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=8), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)


def ways(data: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every way to a value inside of `data`, except into the specs."""
    found = [way] if way else []
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in entries:
        if (*way, key) != ("specs",):
            found += ways(item, (*way, key))
    return found


def mutate(site: dict[str, Any], way: tuple[Any, ...], action: str, value: Any) -> None:
    """Change one place, as far as an earlier change left it there."""
    place: Any = site
    for key in way[:-1]:
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(place, dict) and action == "remove":
        place.pop(way[-1], None)
    elif isinstance(place, dict) or (
        isinstance(place, list) and isinstance(way[-1], int) and way[-1] < len(place)
    ):
        place[way[-1]] = value
