# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Manifests: what is in them, in which order it is applied, and what of it a person wants to see. Pure functions."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Optional

__all__ = [
    "LAST_APPLIED",
    "ManifestError",
    "Ref",
    "essence",
    "read_manifest",
    "read_objects",
    "secret_texts",
    "shown",
]

Json = Mapping[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SECRET_LENGTH = 6
# What the server writes into an object by itself, at every change or at its birth.
_SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


class ManifestError(ValueError):
    """A manifest that cannot be applied. Its text says which object, and what is wrong with it."""


@dataclass(frozen=True)
class Ref:
    """Which object; `namespace` is empty where the manifest names none."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Name it as a person would: Deployment metallb-system/controller."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def group(self) -> str:
        """Return the API group, empty for v1."""
        return self.api_version.rpartition("/")[0]

    @property
    def rank(self) -> int:
        """Return what comes first: namespaces, then definitions of kinds, then all else."""
        if (self.group, self.kind) == ("", "Namespace"):
            return 0
        return 1 if (self.group, self.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition") else 2


def read_manifest(text: str, where: str) -> list[dict[str, Any]]:
    """Read the documents of a YAML text.

    Raises:
        ManifestError: the text is no YAML; `where` says whose it is.
    """
    import yaml  # noqa: PLC0415 comes with Ansible and with the kubernetes client

    # A manifest of definitions has thousands of lines: the C loader reads them ten times as fast.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Reads dates and `=` as the text that they are to Kubernetes, whose parser knows neither of YAML 1.1's types."""

    for tag in ("timestamp", "value"):
        Loader.add_constructor(f"tag:yaml.org,2002:{tag}", lambda loader, node: loader.construct_scalar(node))
    try:
        # As bytes, because the C loader takes no class of text but str itself, and Ansible has its own.
        return list(yaml.load_all(text.encode(), Loader=Loader))
    except yaml.YAMLError as error:
        raise ManifestError(f"{where} is no YAML: {' '.join(str(error).split())}") from error


def read_objects(documents: Sequence[Any], where: str) -> dict[Ref, dict[str, Any]]:
    """Return the objects of a manifest in its order, lists taken apart, each as it is to be sent.

    Args:
        documents: what was read; empty ones are left out.
        where: whose they are, for errors.

    Raises:
        ManifestError: nothing at all, something that is no object, without a name, or twice.
    """
    found: dict[Ref, dict[str, Any]] = {}
    for item in _items(documents, where):
        metadata = item.get("metadata")
        name: Any = metadata.get("name") if isinstance(metadata, Mapping) else None
        if not all(
            isinstance(part, str) and part for part in (item.get("apiVersion"), item.get("kind"), name)
        ):
            raise ManifestError(
                f"{where} has something that is no object of Kubernetes: {_excerpt(item)}. Each needs apiVersion, "
                "kind and metadata.name"
            )
        ref = Ref(item["apiVersion"], item["kind"], str(item["metadata"].get("namespace") or ""), name)
        if ref in found:
            raise ManifestError(f"{where} has {ref} twice: keep one of them")
        found[ref] = _sendable(item)
    if not found:
        raise ManifestError(f"{where} has no object of Kubernetes in it")
    return found


def _items(documents: Sequence[Any], where: str) -> Iterator[dict[str, Any]]:
    for document in documents:
        if not document:
            continue
        if not isinstance(document, Mapping):
            raise ManifestError(f"{where} is no list of Kubernetes objects: {_excerpt(document)}")
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            yield from _items(document["items"], where)
        else:
            yield dict(document)


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}..."


def _sendable(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the server decides, and write a Secret as the server keeps it, so that it can be compared."""
    item = deepcopy(item)
    item.pop("status", None)
    for key in _SERVERS_OWN:
        item["metadata"].pop(key, None)
    (item["metadata"].get("annotations") or {}).pop(LAST_APPLIED, None)
    if (item["apiVersion"], item["kind"]) == ("v1", "Secret") and item.get("stringData"):
        plain = item.pop("stringData")
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        item["data"] = {**(item.get("data") or {}), **encoded}
    return item


def essence(item: Optional[Json]) -> Any:
    """Return what makes two states of an object the same: all but status and the server's own marks."""
    if item is None:
        return None
    rest = {key: value for key, value in item.items() if key != "status"}
    rest["metadata"] = {
        key: value for key, value in (item.get("metadata") or {}).items() if key not in _SERVERS_OWN
    }
    return rest


def _is_secret(item: Json) -> bool:
    return item.get("kind") == "Secret"


def shown(before: Optional[Json], after: Optional[Json]) -> tuple[Any, Any]:
    """Return both states of an object as a person wants to see them: no bookkeeping, no secret's values."""
    return _side(before, after, "one"), _side(after, before, "another")


def _side(item: Optional[Json], other: Optional[Json], word: str) -> dict[str, Any]:
    if item is None:
        return {}
    side: dict[str, Any] = deepcopy(essence(item))
    annotations = side["metadata"].get("annotations") or {}
    annotations.pop(LAST_APPLIED, None)
    if not annotations:
        side["metadata"].pop("annotations", None)
    if _is_secret(item) and side.get("data"):
        known = (other or {}).get("data") or {}
        side["data"] = {
            key: "(hidden)" if known.get(key) == value else f"(hidden, {word})"
            for key, value in side["data"].items()
        }
    return side


def secret_texts(objects: Sequence[Json]) -> set[str]:
    """Return the values of all Secrets, as they are and in base64, for Ansible to keep out of its output."""
    texts: set[str] = set()
    for item in objects:
        if not _is_secret(item):
            continue
        for value in (item.get("data") or {}).values():
            texts.add(str(value))
            try:
                texts.add(base64.b64decode(str(value), validate=True).decode())
            except (ValueError, UnicodeDecodeError):  # not text, or the API will say what is wrong with it
                continue
    # A shorter one would blacken half of the output, and tell what it is by that.
    return {text for text in texts if len(text) >= _SECRET_LENGTH}
