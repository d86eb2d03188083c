# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the base of people's images is made of: another image, the site's CAs, and where packages come from.

A RUN step runs in its node's BuildKit and has no volumes. What it trusts and asks has to be in what it starts from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import (
    BUNDLE_FILE,
    BUNDLE_VARIABLES,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.machine.pem import certificates

__all__ = ["BaseImage", "BaseImageError", "context_of", "image_fault", "tag_of", "url_fault"]

_URL = re.compile(r"https?://[A-Za-z0-9._~:/@%+\[\]-]+")
# https://github.com/distribution/reference/blob/main/regexp.go , with a tag or a digest: a base without one drifts.
_IMAGE = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._/-]|:(?=[0-9]+/))*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[a-f0-9]{32,})?"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# curl, pip and Node.js have names of their own for it.
_MORE_VARIABLES = ("CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
_CA_DIR = "/usr/local/share/ca-certificates"


class BaseImageError(ValueError):
    """A value that may not go into the image: which variable's, and what is wrong with it."""

    def __init__(self, variable: str, observed: str) -> None:
        super().__init__(f"{variable}: {observed}")
        self.variable, self.observed = variable, observed


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """What goes into it.

    `base` is the image that it starts from, with a tag or a digest; `apt_mirrors` are {URL in the base's sources: URL in its
    place}, `environment` is {variable: value}. Another `revision` makes it anew of the same.
    """

    base: str
    ca_certificates: str = ""
    pip_index_url: str = ""
    conda_channel_alias: str = ""
    apt_mirrors: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1


def image_fault(name: str) -> str:
    """Say what is wrong with the name of an image to start from; empty where nothing is."""
    found = _IMAGE.fullmatch(name)
    if not found:
        return "is no name of an image"
    return "" if found.group(2) or found.group(3) else "has neither a tag nor a digest"


def url_fault(url: str) -> str:
    """Say what is wrong with a URL that goes into the image; empty where nothing is."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no URL"
    if not _URL.fullmatch(url) or not parts.hostname:
        return "is no http or https URL"
    if parts.username or parts.password:
        return "has an account, which every session could read"
    return ""


def _checked(image: BaseImage) -> None:
    if image_fault(image.base):
        raise BaseImageError("site_base_image_from", f"{image.base[:80]!r} {image_fault(image.base)}")
    named = {
        "site_base_image_pip_index_url": [image.pip_index_url],
        "site_base_image_conda_channel_alias": [image.conda_channel_alias],
        "site_base_image_apt_mirrors": [*image.apt_mirrors, *image.apt_mirrors.values()],
    }
    for variable, urls in named.items():
        for url in filter(None, urls):
            if url_fault(url):
                raise BaseImageError(variable, url_fault(url))
    for name, value in image.environment.items():
        if not _VARIABLE.fullmatch(name) or "\n" in str(value):
            raise BaseImageError(
                "site_base_image_environment",
                f"{str(name)[:60]!r} is no variable, or its value has several lines",
            )


def context_of(image: BaseImage) -> dict[str, str]:
    """Compute the files of a `docker build`, {name: text}; `Dockerfile` is one of them.

    It takes the build argument BASE_USER, as whom the base runs, and goes back to that at its end.

    Raises:
        BaseImageError: a value is none that may stand in a Dockerfile.
    """
    _checked(image)
    lines = [
        f"FROM {image.base}",
        f'LABEL ironbinder.platform.base={json.dumps(image.base)} ironbinder.platform.revision="{int(image.revision)}"',
        "USER root",
    ]
    files: dict[str, str] = {}
    variables: dict[str, str] = {}
    pems = certificates(image.ca_certificates)
    if pems:
        # One a file: for a file with several update-ca-certificates makes no link.
        for pem in pems:
            files[f"ironbinder-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.crt"] = pem
        lines.append(f"COPY ironbinder-*.crt {_CA_DIR}/")
        # A base without the package has no CAs of its own that could be lost.
        lines.append(
            "RUN if command -v update-ca-certificates; then update-ca-certificates; "
            f"else mkdir -p /etc/ssl/certs && cat {_CA_DIR}/ironbinder-*.crt >> {BUNDLE_FILE}; fi"
        )
        variables |= dict.fromkeys((*BUNDLE_VARIABLES, *_MORE_VARIABLES), BUNDLE_FILE)
    if image.apt_mirrors:
        changes = " ".join(f"-e 's|{old}|{new}|g'" for old, new in image.apt_mirrors.items())
        lines.append(
            "RUN find /etc/apt \\( -name '*.list' -o -name '*.sources' \\) -type f -exec sed -i "
            + changes
            + " {} +"
        )
    if image.pip_index_url:
        files["pip.conf"] = f"[global]\nindex-url = {image.pip_index_url}\n"
        lines.append("COPY pip.conf /etc/pip.conf")
    conda = {
        **({"channel_alias": image.conda_channel_alias} if image.conda_channel_alias else {}),
        **({"ssl_verify": BUNDLE_FILE} if pems else {}),
    }
    if conda:
        files["condarc"] = "".join(f"{key}: {value}\n" for key, value in conda.items())
        lines.append("COPY condarc /etc/conda/.condarc")
    variables |= {name: str(value) for name, value in image.environment.items()}
    lines += [f"ENV {name}={_quoted(value)}" for name, value in variables.items()]
    lines += ["ARG BASE_USER=root", "USER ${BASE_USER}"]
    return {"Dockerfile": "\n".join([*lines, ""]), **files}


def _quoted(value: str) -> str:
    """Write a value so that a Dockerfile takes it as it is, without looking for variables in it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def tag_of(context: Mapping[str, str]) -> str:
    """Name an image after everything that it is made of."""
    return hashlib.sha256(json.dumps(context, sort_keys=True).encode()).hexdigest()[:16]
