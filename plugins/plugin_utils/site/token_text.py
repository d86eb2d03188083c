# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tokens of new hubs, written into the text of a file with secrets; what is there stays as it is, but for empty tokens."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import as_mapping, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.secret_facts import (
    OPTIONAL_TOKENS,
    TOKENS,
)

__all__ = ["TOKENS_OF_HUBS", "TokenTextError", "lacking_tokens", "new_token", "variables_in", "with_tokens"]

# Of a hub with sign-in: what the launch at the end shows instead of a person's name.
VERIFY_TOKENS = "site_hub_verify_tokens"
TOKENS_OF_HUBS = tuple(dict.fromkeys((*TOKENS, VERIFY_TOKENS)))
BY_HAND = "add them by hand: openssl rand -hex 32"
TOKEN_BYTES = 32


def new_token() -> str:
    """Make a token that nobody has, in hexadecimal digits."""
    return secrets.token_hex(TOKEN_BYTES)


class TokenTextError(ValueError):
    """A file into which no token can be written. Its text says why, and what to do; never a secret."""


def lacking_tokens(hubs: Mapping[str, Any], tokens: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Say which hubs lack which token.

    Args:
        hubs: {name: what site_hubs says of it}.
        tokens: {variable: names of the hubs that have one}, of the contract's tokens.

    Returns:
        {variable: names}, without variables that lack none. A hub that is not new gets nothing that it goes without: the secret
        of build tokens is derived then, and another one would end links that people have.
    """
    known = {variable: set(names) for variable, names in tokens.items()}
    required = [variable for variable in TOKENS if variable not in OPTIONAL_TOKENS]
    new = [name for name in hubs if not any(name in known.get(variable, ()) for variable in required)]
    signing = [name for name, hub in hubs.items() if _signs_in(hub)]
    wanted = {variable: list(hubs) for variable in required}
    wanted |= {variable: new for variable in OPTIONAL_TOKENS if variable in TOKENS}
    wanted |= {VERIFY_TOKENS: signing}
    lacking = {
        variable: [name for name in names if name not in known.get(variable, ())]
        for variable, names in wanted.items()
    }
    return {variable: names for variable, names in lacking.items() if names}


def _signs_in(hub: Any) -> bool:
    kind = as_text(as_mapping(as_mapping(hub).get("auth")).get("kind"))
    return kind not in ("", "none")


def with_tokens(text: str, lacking: Mapping[str, Iterable[str]], token: Callable[[], str]) -> str:
    """Write tokens into YAML.

    Args:
        text: the file's.
        lacking: {variable: names of hubs}.
        token: gives a new token at each call.

    Raises:
        TokenTextError: the file is none that can be changed without touching what is there.
    """
    before = _told(text)
    for variable, names in lacking.items():
        tokens = {name: token() for name in names}
        text = _put(text, variable, tokens)
        before[_text(variable)] = {
            **before.get(_text(variable), {}),
            **{_text(name): _text(secret) for name, secret in tokens.items()},
        }
        # A text that says anything else now, or nothing, was written in a way that nobody thought of.
        if _said(text) != before:
            raise TokenTextError(f"{variable} is written in a way that cannot be added to; {BY_HAND}")
    return text


def variables_in(text: str) -> list[str]:
    """Name the variables that a file sets. Raises TokenTextError."""
    return [str(key.value) for key, _ in _compose(text).value]


def _text(text: str) -> tuple[str, str]:
    return ("tag:yaml.org,2002:str", text)


def _told(text: str) -> dict[tuple[str, str], Any]:
    """Give what a text says, tags included, without making anything of it. Raises TokenTextError, also of a key twice."""

    def plain(node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            told: dict[tuple[str, str], Any] = {}
            for key, value in node.value:
                name = (key.tag, str(key.value))
                # Ansible takes the last one, and shows the lines of both in each run.
                if name in told:
                    raise TokenTextError(f"it has {name[1]} twice; drop one, and start again")
                told[name] = plain(value)
            return told
        if isinstance(node, yaml.SequenceNode):
            return [plain(value) for value in node.value]
        return (node.tag, node.value)

    return dict(plain(_compose(text)))


def _said(text: str) -> dict[tuple[str, str], Any] | None:
    try:
        return _told(text)
    except TokenTextError:
        return None


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and (
        node.tag == "tag:yaml.org,2002:null" or (node.tag == _text("")[0] and not node.value.strip())
    )


def _compose(text: str) -> yaml.MappingNode:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TokenTextError(f"it is no YAML of one document; {BY_HAND}") from error
    if node is None:
        return yaml.MappingNode("tag:yaml.org,2002:map", [])
    if not isinstance(node, yaml.MappingNode):
        raise TokenTextError(f"it is no mapping of variables; {BY_HAND}")
    return node


def _value_of(text: str, variable: str) -> Any:
    found = [value for key, value in _compose(text).value if key.value == variable]
    if len(found) > 1:
        raise TokenTextError(f"it has {variable} twice; drop one, and start again")
    return found[0] if found else None


def _put(text: str, variable: str, tokens: Mapping[str, str]) -> str:
    value, line_end = _value_of(text, variable), "\r\n" if "\r\n" in text else "\n"
    if value is None:
        if _compose(text).flow_style:
            raise TokenTextError(f"it has no {variable}, and is one mapping in braces, as JSON is; {BY_HAND}")
        if re.search(r"^\.\.\.\s*$", text, re.MULTILINE):
            raise TokenTextError(f"it has no {variable}, and ends with `...`; {BY_HAND}")
        end = "" if not text or text.endswith("\n") else line_end
        return f"{text}{end}{variable}: {json.dumps(dict(tokens))}{line_end}"
    if not isinstance(value, yaml.MappingNode):
        raise TokenTextError(f"{variable} is no mapping in it, but computed or empty; {BY_HAND}")
    if any(entry.tag == "!vault" for _, entry in value.value):
        raise TokenTextError(
            f"it has each token of {variable} encrypted by itself; add those of {', '.join(tokens)} by hand: "
            "ansible-vault encrypt_string $(openssl rand -hex 32)"
        )
    text, added = _fill(text, variable, value, tokens)
    written = [f"{json.dumps(name)}: {json.dumps(secret)}" for name, secret in added.items()]
    if not written:
        return text
    # Of the text as it is by now.
    value = _value_of(text, variable)
    if value.flow_style:
        told = ", ".join(written)
        if not value.value:
            place = value.end_mark.index - 1
            return text[:place] + told + text[place:]
        place = value.value[-1][1].end_mark.index
        return f"{text[:place]}, {told}{text[place:]}"
    # Below the last line of the last entry, behind whatever comment is in it. An alias has the mark of what it stands for.
    last = max(node.end_mark.index for node in value.value[-1])
    place = text.find("\n", len(text[:last].rstrip()))
    indent = " " * value.value[0][0].start_mark.column
    lines = line_end.join(f"{indent}{entry}" for entry in written)
    if place < 0:
        return f"{text}{line_end}{lines}"
    return f"{text[: place + 1]}{lines}{line_end}{text[place + 1 :]}"


def _fill(
    text: str, variable: str, value: yaml.MappingNode, tokens: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Write tokens where their hubs are named, and have an empty one. Give the text, and the tokens of the other hubs."""
    places = {}
    for key, entry in value.value:
        if key.value not in tokens:
            continue
        # An alias has the mark of what it stands for.
        if not _is_empty(entry) or entry.start_mark.index < key.end_mark.index:
            raise TokenTextError(
                f"{variable}.{key.value} is in it, computed or no text; write one in its place: openssl rand -hex 32"
            )
        places[key.value] = entry.start_mark.index, entry.end_mark.index
    # From the end, so that no place moves.
    for name, (start, end) in sorted(places.items(), key=lambda item: item[1], reverse=True):
        blank = " " if start == end else ""
        text = f"{text[:start]}{blank}{json.dumps(tokens[name])}{text[end:]}"
    return text, {name: secret for name, secret in tokens.items() if name not in places}
