# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller can see of a site by itself: names, certificates, the chart."""

from __future__ import annotations

import platform
import socket
import ssl
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifacts import artifact_urls
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.certificates import (
    HAS_CRYPTOGRAPHY,
    describe_ca,
    describe_pair,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
    split_url,
)

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

__all__ = ["Fetch", "Resolve", "fetch", "look", "read_chart", "read_index", "resolve"]

TIMEOUT_SECONDS = 5.0
# The official repository's index is larger than this; it is then only known to be there.
INDEX_BYTES = 1_000_000

Resolve = Callable[[str], Sequence[str]]
Fetch = Callable[[str, Sequence[str]], bytes]


def resolve(name: str) -> list[str]:
    """Give the addresses of a name. Raises OSError."""
    return list(
        dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    )


def fetch(url: str, ca_files: Sequence[str]) -> bytes:
    """Read a URL's first bytes, trusting the site's CAs too. Raises OSError or ValueError."""
    context = ssl.create_default_context()
    for path in ca_files:
        context.load_verify_locations(Path(path).expanduser())
    request = urllib.request.Request(url, headers={"User-Agent": "ironbinder-site-check"})
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        return bytes(answer.read(INDEX_BYTES + 1))


def read_index(text: bytes, chart: str) -> dict[str, Any]:
    """Read a Helm repository's index: `versions` and the `kube_version` of the newest, or `error`."""
    if len(text) > INDEX_BYTES:
        return {}
    try:
        index = as_mapping(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError):
        return {"error": "its index.yaml is no YAML"}
    entries = [as_mapping(entry) for entry in as_list(as_mapping(index.get("entries")).get(chart))]
    if "entries" not in index:
        return {"error": "its index.yaml has no entries, so this is no Helm repository"}
    if not entries:
        return {"error": f"it has no chart {chart}"}
    return {
        "versions": [str(entry.get("version")) for entry in entries],
        "kube_version": {str(entry.get("version")): as_text(entry.get("kubeVersion")) for entry in entries},
        "archive": {str(entry.get("version")): _archive(entry) for entry in entries},
    }


def _archive(entry: Mapping[str, Any]) -> dict[str, str]:
    """Where the index says that a version's archive is, and its SHA-256."""
    urls = as_list(entry.get("urls"))
    return {"url": as_text(urls[0]) if urls else "", "digest": as_text(entry.get("digest"))}


def read_chart(path: str, chart: str) -> dict[str, Any]:
    """Read a chart's folder or archive: its only `versions` and `kube_version`, or `error`."""
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            files = [
                entry for entry in (place / "Chart.yaml", place / chart / "Chart.yaml") if entry.is_file()
            ]
            if not files:
                return {"error": "the folder holds no Chart.yaml"}
            text = files[0].read_bytes()
        else:
            with tarfile.open(place) as archive:
                # The chart's own description is the one that lies one level deep.
                name = next(
                    (
                        entry
                        for entry in archive.getnames()
                        if entry.count("/") == 1 and entry.endswith("/Chart.yaml")
                    ),
                    "",
                )
                member = archive.extractfile(name) if name else None
                if member is None:
                    return {"error": "the archive holds no Chart.yaml"}
                text = member.read()
        about = as_mapping(yaml.safe_load(text))
    except (OSError, tarfile.TarError, KeyError) as error:
        return {"error": f"cannot be read: {error}"}
    except (yaml.YAMLError, ValueError):
        return {"error": "its Chart.yaml is no YAML"}
    version = str(about.get("version"))
    return {"versions": [version], "kube_version": {version: as_text(about.get("kubeVersion"))}}


def _chart(site: Site, ca_files: Sequence[str], get: Fetch) -> dict[str, Any]:
    source, chart = site.text("site_binderhub_chart_repository"), site.text("site_binderhub_chart")
    if (
        not source
        or site.text("site_kubernetes_client_host") not in ("", "localhost")
        or source.startswith("oci://")
    ):
        return {}
    told: dict[str, Any]
    if "://" not in source:
        told = read_chart(source, chart)
    else:
        parts = split_url(source)
        if not parts or parts.scheme not in ("http", "https") or not parts.hostname:
            return {"error": "is no http or https URL and no path"}
        try:
            told = read_index(get(f"{source.rstrip('/')}/index.yaml", ca_files), chart)
        except urllib.error.HTTPError as error:
            told = {"error": f"answers {error.code} to index.yaml"}
        except (OSError, ValueError) as error:
            told = {"error": f"cannot be reached: {getattr(error, 'reason', error)}"}
    versions = as_mapping(told.get("kube_version"))
    if "kube_version" in told:
        told["kube_version"] = as_text(versions.get(site.text("site_binderhub_chart_version")))
    if "archive" in told:
        told["archive"] = as_mapping(told["archive"]).get(site.text("site_binderhub_chart_version"), {})
    return told


def _name(name: str, ask: Resolve) -> dict[str, Any]:
    try:
        return {"addresses": list(ask(name))}
    except (OSError, UnicodeError) as error:
        return {"error": str(getattr(error, "strerror", None) or error)}


def _certificates(site: Site, ca_files: Sequence[str]) -> dict[str, Any]:
    if not HAS_CRYPTOGRAPHY:
        return {"library_missing": True}
    told = {}
    for purpose in ("proxy", "registry"):
        pair = [site.text(f"site_{purpose}_tls_{kind}_file") for kind in ("certificate", "key")]
        if any(pair):
            told[purpose] = describe_pair(pair[0], pair[1], ca_files)
    return told


def _manifest(site: Site) -> dict[str, Any]:
    text = site.text("site_pod_network_manifest")
    missing = text and "://" not in text and not Path(text).expanduser().is_file()
    return {"error": "there is no such file on the controller"} if missing else {}


def _artifacts(site: Site, ca_files: Sequence[str], get: Fetch) -> dict[str, Any]:
    """Ask for helm, which comes to the host that talks to the cluster; the heads ask for the others."""
    url = artifact_urls(site.text, platform.machine()).get("site_helm_version")
    if not url or site.text("site_kubernetes_client_host") not in ("", "localhost"):
        return {}
    told: dict[str, Any] = {"url": url}
    try:
        get(url, ca_files)
        told["status"] = 200
    except urllib.error.HTTPError as error:
        told["status"] = error.code
    except (OSError, ValueError) as error:
        told["error"] = str(getattr(error, "reason", error))
    return {"site_helm_version": told}


def look(site: Site, ask: Resolve = resolve, get: Fetch = fetch) -> dict[str, Any]:
    """Look at everything outside of the inventory that the controller can see.

    Args:
        site: the site; its `controller` is not read.
        ask: gives a name's addresses, or raises OSError.
        get: gives a URL's first bytes, or raises OSError.

    Returns:
        `names` {name: {addresses | error}}, `ca_files` {path: {not_after | error}},
        `tls` {proxy|registry: see describe_pair}, `chart`, `manifest`,
        `artifacts` {variable: {url, status | error}}.
    """
    parts = split_url(site.text("site_public_url"))
    name = (parts.hostname or "") if parts else ""
    paths = [entry for entry in as_list(site.values.get("site_ca_files")) if isinstance(entry, str)]
    told_cas: Mapping[str, Mapping[str, Any]] = {path: describe_ca(path) for path in paths}
    usable = [path for path in paths if "error" not in told_cas[path]]
    with ThreadPoolExecutor(max_workers=4) as pool:
        named = pool.submit(_name, name, ask) if name and not parse_ip(name) else None
        chart = pool.submit(_chart, site, usable, get)
        certificates = pool.submit(_certificates, site, usable)
        artifacts = pool.submit(_artifacts, site, usable, get)
        return {
            "names": {name: named.result()} if named else {},
            "ca_files": told_cas,
            "tls": certificates.result(),
            "chart": chart.result(),
            "manifest": _manifest(site),
            "artifacts": artifacts.result(),
        }
