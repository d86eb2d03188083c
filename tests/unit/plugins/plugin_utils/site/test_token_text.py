# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tokens are written into YAML of every shape, and nothing else of it changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.token_text import (
    TokenTextError,
    lacking_tokens,
    variables_in,
    with_tokens,
)

API, PROXY, BUILD = "site_hub_api_tokens", "site_hub_proxy_tokens", "site_hub_build_token_secrets"


def counting() -> Iterator[str]:
    yield from (f"{number:064x}" for number in range(1, 100))


def put(text: str, **lacking: list[str]) -> str:
    numbers = counting()
    return with_tokens(text, lacking, lambda: next(numbers))


ONE, TWO = f"{1:064x}", f"{2:064x}"
SHAPES = {
    "one line": ('{v}: {{"a": "x"}}\n', f'{{v}}: {{{{"a": "x", "b": "{ONE}"}}}}\n'),
    "one line with a comma and a comment": (
        "{v}: {{a: x,}} # c\n",
        f'{{v}}: {{{{a: x, "b": "{ONE}",}}}} # c\n',
    ),
    "nothing in it": ("{v}: {{}}\nz: 1\n", f'{{v}}: {{{{"b": "{ONE}"}}}}\nz: 1\n'),
    "lines": ("{v}:\n  a: x\nz: 1\n", f'{{v}}:\n  a: x\n  "b": "{ONE}"\nz: 1\n'),
    "lines with comments": (
        "{v}:\n    # first\n    a: x  # of a\n\n# z\nz: 1\n",
        f'{{v}}:\n    # first\n    a: x  # of a\n    "b": "{ONE}"\n\n# z\nz: 1\n',
    ),
    "the end of the file": ("z: 1\n{v}:\n  a: x", f'z: 1\n{{v}}:\n  a: x\n  "b": "{ONE}"'),
    "a folded value": ("{v}:\n  a: >-\n    x\n\nz: 1\n", f'{{v}}:\n  a: >-\n    x\n  "b": "{ONE}"\n\nz: 1\n'),
    "other tags": ("{v}: {{a: !unsafe x}}\n", f'{{v}}: {{{{a: !unsafe x, "b": "{ONE}"}}}}\n'),
    "an empty text": ('{v}: {{a: x, b: "", c: y}}\n', f'{{v}}: {{{{a: x, b: "{ONE}", c: y}}}}\n'),
    "nothing behind the name": (
        "{v}:\n  b:  # later\n  a: x\n",
        f'{{v}}:\n  b: "{ONE}"  # later\n  a: x\n',
    ),
    "a null": ("{v}:\n  a: x\n  b: ~\nz: 1\n", f'{{v}}:\n  a: x\n  b: "{ONE}"\nz: 1\n'),
    "not there": ("---\nz: 1", f'---\nz: 1\n{{v}}: {{{{"b": "{ONE}"}}}}\n'),
    "line ends of Windows": (
        "{v}:\r\n  a: x  # c\r\n\r\nz: 1\r\n",
        f'{{v}}:\r\n  a: x  # c\r\n  "b": "{ONE}"\r\n\r\nz: 1\r\n',
    ),
    "line ends of Windows, not there": ("z: 1\r\ny: 2", f'z: 1\r\ny: 2\r\n{{v}}: {{{{"b": "{ONE}"}}}}\r\n'),
    "a merge and aliases": (
        "z: &one {{y: x}}\n{v}:\n  a: &a x\n  c: *a  # c\n  <<: *one\n",
        f'z: &one {{{{y: x}}}}\n{{v}}:\n  a: &a x\n  c: *a  # c\n  <<: *one\n  "b": "{ONE}"\n',
    ),
    "braces around all": ('{{"{v}": {{"a": "x"}}}}\n', f'{{{{"{{v}}": {{{{"a": "x", "b": "{ONE}"}}}}}}}}\n'),
    "above an end": ("{v}:\n  a: x\n...\n", f'{{v}}:\n  a: x\n  "b": "{ONE}"\n...\n'),
    "an empty file": ("", f'{{v}}: {{{{"b": "{ONE}"}}}}\n'),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    before, after = (text.format(v=API) for text in SHAPES[name])
    assert put(before, **{API: ["b"]}) == after


def test_several_hubs_and_variables() -> None:
    told = yaml.safe_load(put(f"{API}:\n  a: x\n", **{API: ["b", "c"], PROXY: ["b"]}))
    assert told == {API: {"a": "x", "b": ONE, "c": TWO}, PROXY: {"b": f"{3:064x}"}}


def test_empty_ones_are_filled_and_others_added() -> None:
    assert put(f"{API}:\n  b:\n  a: x\n  d: ''\n", **{API: ["b", "c", "d"]}) == (
        f'{API}:\n  b: "{ONE}"\n  a: x\n  d: "{f"{3:064x}"}"\n  "c": "{TWO}"\n'
    )


REFUSED = {
    "no YAML of one document": ("{", "no YAML of one document"),
    "two documents": (f"{API}: {{}}\n---\na: 1\n", "no YAML of one document"),
    "a list": ("- a\n", "no mapping of variables"),
    "a template": (f'{API}: "{{{{ x }}}}"\n', "is no mapping in it"),
    "no value": (f"{API}:\n", "is no mapping in it"),
    "twice": (f"{API}: {{}}\n{API}: {{}}\n", "twice"),
    "another variable twice": (f"{API}: {{}}\nz: 1\nz: 2\n", "it has z twice"),
    "a hub twice": (f'{API}: {{b: "", "b": x}}\n', "it has b twice"),
    "computed to nothing": (f'{API}: {{b: "{{{{ x }}}}"}}\n', f"{API}.b is in it"),
    "an alias of nothing": (f"z: &none ''\n{API}: {{b: *none}}\n", f"{API}.b is in it"),
    "a number": (f"{API}: {{b: 0}}\n", f"{API}.b is in it"),
    "a name alone": (f"{API}: {{b}}\n", "cannot be added to"),
    "encrypted values": (f"{API}:\n  a: !vault |\n    x\n", "ansible-vault encrypt_string"),
    # What follows the mark of an end is another document.
    "an end": ("a: 1\n...\n", "ends with `...`"),
    "JSON": ('{"a": 1}\n', "mapping in braces"),
    "an alias in one line": (f"z: &z x\n{API}: {{a: *z}}\n", f"{API} is written in a way that cannot be"),
    "a shared mapping": (f"z: &one {{a: x}}\n{API}: *one\n", "cannot be added to"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    text, told = REFUSED[name]
    with pytest.raises(TokenTextError, match=told) as error:
        put(text, **{API: ["b"]})
    assert ONE not in str(error.value)


def test_names_of_variables() -> None:
    assert variables_in("a: 1\nb: !vault x\n") == ["a", "b"]


def test_who_lacks_what() -> None:
    """A hub that has tokens goes on without a secret of build tokens; one with sign-in gets a token for the proof."""
    have = {API: ["old", "half"], PROXY: ["old"], BUILD: []}
    hubs = {"old": None, "half": {}, "new": {"auth": {"kind": "none"}}, "closed": {"auth": {"kind": "oidc"}}}
    assert lacking_tokens(hubs, have) == {
        PROXY: ["half", "new", "closed"],
        API: ["new", "closed"],
        BUILD: ["new", "closed"],
        "site_hub_verify_tokens": ["closed"],
    }
    assert lacking_tokens({"old": {}}, have) == {}
