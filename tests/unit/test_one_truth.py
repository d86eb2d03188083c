# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Each fact has one home. A second one is where the two begin to differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UTILS = "plugins/module_utils"
SITE = "plugins/plugin_utils/site"
# What, how its code looks, and the one file that has it.
FACTS = [
    ("whom TLS trusts", r"create_default_context|SSLContext\(|load_verify_locations", f"{UTILS}/_net/tls.py"),
    (
        "HTTP",
        r"\burlopen\(|build_opener|urllib\.request\b|HTTPSConnection|\brequests\.(get|post|Session)",
        f"{UTILS}/_net/http.py",
    ),
    (
        "files that are there whole",
        r"os\.replace\(|os\.rename\(|\.rename\(|mkstemp|\.replace\((?:path|target|Path)",
        f"{UTILS}/_base/files.py",
    ),
    ("the clock", r"time\.monotonic\b|time\.sleep\b", f"{UTILS}/_base/clock.py"),
    ("waiting", r"while .*:\n(?:.*\n){0,30}?.*\bclock\.sleep\(", f"{UTILS}/_base/waiting.py"),
    (
        "/proc",
        r"""["'(/]proc/(?:mounts|swaps|modules|cgroups|filesystems|self|net/(?:tcp|arp)|sys|\[)""",
        f"{UTILS}/_machine/proc.py",
    ),
    ("the Kubernetes client", r"new_client_from_config|DynamicClient\(", f"{UTILS}/_kube/api.py"),
    ("versions", r"\\d\+\\\.\\d\+\\\.\\d\+", f"{UTILS}/_base/versions.py"),
    (
        "defaults of a hub",
        r"""["']/?jupyterhub/["']|["']/?binderhub/["']|(?<!-)\b3\d{4}\b""",
        f"{SITE}/hubs.py",
    ),
    ("an address of the pool", r"IPRange\(|IPSet\(", f"{SITE}/pool.py"),
    ("the form of the registry's prefix", r"\[a-z0-9\]\+\(\?:", f"{SITE}/registry.py"),
    ("the form of a token", r"TOKEN_LENGTH = |\[0-9a-f\]\{64\}", f"{SITE}/secret_facts.py"),
    ("the address of a node", r"""get\(["']site_node_address["']""", f"{SITE}/nodes.py"),
]


def code(path: Path) -> str:
    """A file without its documentation: what runs."""
    text = path.read_text()
    text = re.sub(r'r?"""(?:.|\n)*?"""', '""', text)
    return re.sub(r"(?m)^\s*#.*$|\s{2}#.*$", "", text)


def homes(pattern: str, root: Path) -> Iterator[str]:
    """Name the files of plugins/ in which `pattern` occurs."""
    for path in sorted((root / "plugins").rglob("*.py")):
        if re.search(pattern, code(path)):
            yield str(path.relative_to(root))


@pytest.mark.parametrize(("fact", "pattern", "home"), FACTS, ids=[fact for fact, _, _ in FACTS])
def test_each_fact_has_one_home(fact: str, pattern: str, home: str) -> None:
    assert list(homes(pattern, ROOT)) == [home], f"{fact} belongs into {home} alone"
