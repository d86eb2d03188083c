# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is different at registries that a site does not run: their names, accounts, tokens and levels. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.docker_hub import (
    HUB_ACCOUNT,
    HUB_API,
    HUB_NAMES,
    is_hub,
)

__all__ = [
    "DOCKER_HUB",
    "GOOGLE",
    "KEY_USERS",
    "OTHER",
    "TOKEN_URL",
    "Endpoint",
    "common_spelling",
    "describe_key",
    "endpoint",
    "kind_of",
    "level_fault",
    "robot_project",
    "token_url_fault",
]

TOKEN_URL = "site_registry_token_url"
DOCKER_HUB, GOOGLE, OTHER = "docker_hub", "google", "other"
# gcr.io and its continents, and Artifact Registry of a region: https://cloud.google.com/artifact-registry/docs/docker/names
_GCR = re.compile(r"(?:[a-z]+\.)?gcr\.io")
_ARTIFACT_REGISTRY = re.compile(r"[a-z0-9-]+-docker\.pkg\.dev")
# Who shows a key file: as it is, or in base64.
KEY_USERS = ("_json_key", "_json_key_base64")
_KEY_FIELDS = ("type", "project_id", "private_key", "client_email")
# A robot of one project of Harbor; one of all of it has no +: https://goharbor.io/docs/main/working-with-projects/project-configuration/create-robot-accounts/
_ROBOT = re.compile(r"robot\$(?P<project>[a-z0-9][a-z0-9._-]*)\+.+")


# Where Docker Hub's API and its pages are; no image is called by them.
_HUB_PLACES = (HUB_API, "hub.docker.com", "registry.hub.docker.com")


@dataclass(frozen=True)
class Endpoint:
    """Where a registry is asked, by what its images are called.

    `host` is that of the API, with the port as it was given, and `api_url` the same with its scheme and without a path.
    `account_key` is what Docker's configuration calls the registry, and `pull_key` what Kubernetes' does. `token_url` is
    where BinderHub gets tokens; empty for Basic authentication, and for what the registry says when it is asked.
    `image_names` is how Docker's list begins the names of images of this registry.
    """

    kind: str
    host: str
    api_url: str
    account_key: str
    pull_key: str
    token_url: str
    image_names: str


def kind_of(host: str) -> str:
    """Say whose registry it is by its host: DOCKER_HUB, GOOGLE, or OTHER, the site's own included."""
    if is_hub(host):
        return DOCKER_HUB
    return GOOGLE if _GCR.fullmatch(host) or _ARTIFACT_REGISTRY.fullmatch(host) else OTHER


def common_spelling(host: str) -> str:
    """Give how the host of Docker Hub, or of one of Google's registries, is to be written; empty where it is, or is another's.

    Names of images, accounts and Docker's lists have them in this form alone.
    """
    name = host.lower().partition(":")[0]
    if name in _HUB_PLACES:
        return HUB_NAMES[0]
    return name if name != host and kind_of(name) != OTHER else ""


def endpoint(host: str, plain_http: bool = False, token_url: str = "") -> Endpoint:
    """Say where the registry is that images of `host` are at.

    Args:
        host: host or host:port, as names of images begin.
        plain_http: whether it speaks HTTP without TLS.
        token_url: what the site says of it; empty for what is known of the host.
    """
    kind = kind_of(host)
    if kind == DOCKER_HUB:
        token = token_url or "https://auth.docker.io/token?service=registry.docker.io"
        # Docker leaves Docker Hub's name out of its lists.
        return Endpoint(kind, HUB_API, f"https://{HUB_API}", HUB_ACCOUNT, HUB_ACCOUNT, token, "")
    url = f"{'http' if plain_http else 'https'}://{host}"
    # BinderHub has it of gcr.io by itself, and of pkg.dev not.
    token = token_url or (f"https://{host}/v2/token?service={host}" if kind == GOOGLE else "")
    return Endpoint(kind, host, url, url, host, token, f"{host}/")


def level_fault(prefix: str, host: str) -> tuple[str, str] | None:
    """Say what is wrong with the number of levels of a prefix at this host, as (observed, remedy)."""
    levels = prefix.count("/")
    if kind_of(host) == DOCKER_HUB and levels != 1:
        last = prefix.rpartition("/")[2] or "binder-"
        return (
            f"is {prefix[:60]!r}, and Docker Hub has exactly one level before an image's name",
            f"write the account or organisation and one name, such as {prefix.partition('/')[0]}/{last}",
        )
    if _ARTIFACT_REGISTRY.fullmatch(host) and levels < 2:
        remedy = "write project, repository and the beginning of a name, such as my-project/binder/stfc-"
        return (
            f"is {prefix[:60]!r}, and Artifact Registry has project and repository before an image's name",
            remedy,
        )
    return None


def robot_project(username: str) -> str:
    """Name the project of a robot of Harbor's, `robot$project+name`; empty for everybody else."""
    found = _ROBOT.fullmatch(username)
    return found["project"] if found else ""


def token_url_fault(url: str, plain_http: bool) -> str:
    """Say what is wrong with the URL of a token service; empty where nothing is. It may hold no account."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not url or (usable and parts.scheme == "https" and "@" not in parts.netloc):
        return ""
    if not usable or parts.scheme not in ("http", "https"):
        return "is no URL"
    if "@" in parts.netloc:
        return "holds an account"
    return "" if plain_http else f"is {url[:80]}: the password would go there without TLS"


def describe_key(value: Any) -> dict[str, Any]:
    """Say of a password whether it is a key file of Google's, without anything of it that is secret.

    Returns:
        `form`: `text`, `base64`, or `` where it is no JSON object at all; `missing`, the fields that it lacks; `type` and
        `project` as the key has them.
    """
    text = value if isinstance(value, str) else ""
    for form, read in (("text", text), ("base64", _decoded(text))):
        try:
            key = json.loads(read)
        except (ValueError, RecursionError):
            continue
        if isinstance(key, Mapping):
            given = {name: key.get(name) for name in _KEY_FIELDS}
            lacking = [
                name for name, field in given.items() if not isinstance(field, str) or not field.strip()
            ]
            kind, project = (str(given[name] or "")[:100] for name in ("type", "project_id"))
            return {"form": form, "missing": lacking, "type": kind, "project": project}
    return {"form": "", "missing": [], "type": "", "project": ""}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
