# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whatever is broken in a good site, the checker reports and never crashes."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import CRASHED
from cluster_cases import bare_site, change, cluster_site
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def ways(data: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every way to a value inside of `data`, except into the specs."""
    found = [way] if way else []
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in entries:
        if (*way, key) != ("specs",):
            found += ways(item, (*way, key))
    return found


WAYS = ways(
    change(
        cluster_site(),
        {
            "hosts/worker2/resolved": {"address": "192.0.2.22", "error": ""},
            "controller/hub_values": {
                "faults": [{"hub": "binder", "path": "values.x", "message": "x", "suggestion": "y"}],
                "unchecked": "",
            },
        },
    )
)

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
MUTATIONS = st.lists(
    st.tuples(st.sampled_from(WAYS), st.sampled_from(["set", "remove"]), VALUES), min_size=1, max_size=4
)


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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.sampled_from([bare_site, cluster_site]), mutations=MUTATIONS)
def test_mutations_never_crash_the_checker(
    start: Any, mutations: list[tuple[tuple[Any, ...], str, Any]]
) -> None:
    """Two hundred random mutations: every rule finishes, and the report can be written down."""
    site = start()
    for way, action, value in mutations:
        mutate(site, way, action, value)
    report = check_site(site).as_data()
    crashes = [finding for finding in report["findings"] if finding["id"] == CRASHED]
    assert not crashes, crashes
    assert json.dumps(report)
    assert report["table"]
