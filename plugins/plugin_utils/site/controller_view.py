# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller can see of a site by itself: names, certificates, the chart."""

from __future__ import annotations

import gzip
import io
import platform
import tarfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Reply
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.artifacts import artifact_urls
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.certificates import (
    HAS_CRYPTOGRAPHY,
    describe_ca,
    describe_pair,
    is_usable,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.downloads import (
    CHART_BYTES,
    INDEX_BYTES,
    fetch,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.fences import opened_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_list,
    as_mapping,
    as_text,
    parse_ip,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.providers import (
    ask_provider,
    providers_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proxy_servers import certificates
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.resolve import addresses_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import public_hosts
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.versions import CHART, chart_versions

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

__all__ = [
    "UNEXPECTED",
    "Fetch",
    "Resolve",
    "look",
    "read_chart",
    "read_index",
]

# Begins the error of an entry that nobody thought of. A bug of ours, and no reason to hide what else was seen.
UNEXPECTED = "could not be looked at"
# What Helm writes of versions, as YAML may understand it.
SCALARS = (str, int, float)

# What a certificate of the site is for.
PURPOSES = ("proxy", "registry")

Resolve = Callable[[str], Sequence[str]]
Fetch = Callable[[str, Sequence[str]], Reply]


def _yaml(text: bytes) -> Mapping[str, Any] | None:
    """Read YAML that somebody else wrote; None where it is none."""
    try:
        return as_mapping(yaml.safe_load(text))
    # A date of the 99th, brackets without end, a number of a million digits, an int as a key of a set.
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError):
        return None


def _version(value: Any) -> str:
    # Not of a list: a few lines of YAML can name themselves in lists a billion times.
    return str(value)[:100] if isinstance(value, SCALARS) else ""


def read_index(text: bytes, chart: str) -> dict[str, Any]:
    """Read a Helm repository's index: `versions` and the `kube_version` of each, or `error`."""
    if len(text) > INDEX_BYTES:
        return {}
    index = _yaml(text)
    if index is None:
        return {"error": "its index.yaml is no YAML"}
    if "entries" not in index:
        return {"error": "its index.yaml has no entries, so this is no Helm repository"}
    entries = [as_mapping(entry) for entry in as_list(as_mapping(index.get("entries")).get(chart))]
    if not entries:
        return {"error": f"it has no chart {chart}"}
    return {
        "versions": [_version(entry.get("version")) for entry in entries],
        "kube_version": {
            _version(entry.get("version")): as_text(entry.get("kubeVersion")) for entry in entries
        },
        "archive": {_version(entry.get("version")): _archive(entry) for entry in entries},
    }


def _archive(entry: Mapping[str, Any]) -> dict[str, str]:
    """Where the index says that a version's archive is, and its SHA-256."""
    urls = as_list(entry.get("urls"))
    return {"url": as_text(urls[0]) if urls else "", "digest": as_text(entry.get("digest"))}


def _in_folder(place: Path, chart: str) -> bytes | None:
    files = [entry for entry in (place / "Chart.yaml", place / chart / "Chart.yaml") if entry.is_file()]
    if not files:
        return None
    with files[0].open("rb") as stream:
        return stream.read(INDEX_BYTES)


def _in_archive(packed: bytes) -> bytes | None:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        unpacked = stream.read(CHART_BYTES + 1)
    if len(unpacked) > CHART_BYTES:
        raise OSError("it is larger than charts are")
    with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
        for entry in archive:
            # The chart's own description is the one that lies one level deep. A link may lead to itself.
            if entry.name.count("/") == 1 and entry.name.endswith("/Chart.yaml") and entry.isfile():
                member = archive.extractfile(entry)
                return member.read(INDEX_BYTES) if member else None
    return None


def read_chart(path: str, chart: str) -> dict[str, Any]:
    """Read a chart's folder or archive: its only `versions` and `kube_version`, or `error`."""
    try:
        place = Path(path).expanduser()
        if place.is_dir():
            text, kind = _in_folder(place, chart), "folder"
        elif place.exists() and not place.is_file():
            raise OSError("it is neither a folder nor a file")
        else:
            with place.open("rb") as stream:
                packed = stream.read(CHART_BYTES)
            text, kind = _in_archive(packed), "archive"
    # zlib and gzip have errors of their own for what is damaged or ends too early.
    except (OSError, EOFError, zlib.error, tarfile.TarError, RuntimeError, ValueError) as error:
        return {"error": f"cannot be read: {error}"}
    if text is None:
        return {"error": f"the {kind} holds no Chart.yaml"}
    about = _yaml(text)
    if about is None:
        return {"error": "its Chart.yaml is no YAML"}
    version = _version(about.get("version"))
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
            reply = get(f"{source.rstrip('/')}/index.yaml", ca_files)
        except HttpFailure as error:
            return {"error": f"cannot be reached: {error}"}
        if reply.status != 200:
            return {"error": f"answers {reply.status} to index.yaml"}
        told = {} if reply.truncated else read_index(reply.body, chart)
    versions, archives = as_mapping(told.get("kube_version")), as_mapping(told.get("archive"))
    common = site.text(CHART)
    # Of hubs with a chart of their own.
    others = {
        version for version in chart_versions(site).values() if version != common and version in versions
    }
    if "kube_version" in told:
        told["kube_version"] = as_text(versions.get(common))
    if "archive" in told:
        told["archive"] = archives.get(common, {})
    if others:
        told["other_kube_versions"] = {version: as_text(versions[version]) for version in others}
        told["other_archives"] = {version: archives.get(version, {}) for version in others}
    return told


def _name(name: str, ask: Resolve) -> dict[str, Any]:
    try:
        return {"addresses": list(ask(name))}
    except (OSError, ValueError) as error:  # no such name, or none that could be one
        return {"error": str(getattr(error, "strerror", None) or error)}


def _certificates(site: Site, ca_files: Sequence[str]) -> dict[str, Any]:
    if not HAS_CRYPTOGRAPHY:
        return {"library_missing": True}
    told = {}
    pairs = {
        purpose: (
            site.text(f"site_{purpose}_tls_certificate_file"),
            site.text(f"site_{purpose}_tls_key_file"),
        )
        for purpose in PURPOSES
    }
    for purpose, pair in {**pairs, **{entry.purpose: entry.files for entry in certificates(site)}}.items():
        if any(pair):
            told[purpose] = describe_pair(pair[0], pair[1], ca_files)
    return told


def _manifest(site: Site) -> dict[str, Any]:
    text = site.text("site_pod_network_manifest")
    if not text or "://" in text:
        return {}
    try:
        there = Path(text).expanduser().is_file()
    except (OSError, RuntimeError, ValueError) as error:
        return {
            "error": f"there is no such file on the controller: {getattr(error, 'strerror', None) or error}"
        }
    return {} if there else {"error": "there is no such file on the controller"}


def _artifacts(site: Site, ca_files: Sequence[str], get: Fetch) -> dict[str, Any]:
    """Ask for helm, which comes to the host that talks to the cluster; the heads ask for the others."""
    url = artifact_urls(site.text, platform.machine(), platform.system()).get("site_helm_version")
    if not url or site.text("site_kubernetes_client_host") not in ("", "localhost"):
        return {}
    told: dict[str, Any] = {"url": url}
    try:
        told["status"] = get(url, ca_files).status
    except HttpFailure as error:
        told["error"] = str(error)
    return {"site_helm_version": told}


def _safely(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Do it; what goes wrong in a way that nobody thought of becomes the entry's error."""
    try:
        return work(*arguments)
    except Exception as error:  # one broken look must not hide what the others saw
        return {"error": f"{UNEXPECTED} ({type(error).__name__}: {error}); please report this"}


def _by_name(told: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Give what went wrong as a whole to each of the entries that would be there."""
    if set(told) != {"error"}:
        return told
    return {name: {**told, "certificate_error": told["error"]} for name in names}


def look(site: Site, ask: Resolve = addresses_of, get: Fetch = fetch) -> dict[str, Any]:
    """Look at everything outside of the inventory that the controller can see. Never raises.

    Args:
        site: the site; its `controller` is not read.
        ask: gives a name's addresses, or raises OSError or ValueError.
        get: gives the answer of a URL, or raises HttpFailure.

    Returns:
        `names` {name: {addresses | error}}, `ca_files` {path: see describe_ca},
        `tls` {proxy|registry|hub NAME: see describe_pair}, `chart`, `manifest`,
        `artifacts` {variable: {url, status | error}}, `providers` {hub: see ask_provider}.
    """
    wanted = dict.fromkeys([*public_hosts(site).values(), *opened_hosts(site)])
    names = [entry for entry in wanted if entry and not parse_ip(entry)]
    paths = [entry for entry in as_list(site.values.get("site_ca_files")) if isinstance(entry, str)]
    told_cas = {path: _safely(describe_ca, path) for path in paths}
    usable = [path for path in paths if is_usable(told_cas[path])]
    with ThreadPoolExecutor(max_workers=4) as pool:
        named = {entry: pool.submit(_safely, _name, entry, ask) for entry in names}
        chart = pool.submit(_safely, _chart, site, usable, get)
        certificates = pool.submit(_safely, _certificates, site, usable)
        artifacts = pool.submit(_safely, _artifacts, site, usable, get)
        asked = {
            hub: pool.submit(_safely, ask_provider, issuer, usable, get)
            for hub, issuer in providers_of(site).items()
        }
        return {
            "names": {entry: told.result() for entry, told in named.items()},
            "ca_files": told_cas,
            "tls": _by_name(certificates.result(), PURPOSES),
            "chart": chart.result(),
            "manifest": _safely(_manifest, site),
            "artifacts": _by_name(artifacts.result(), ("site_helm_version",)),
            "providers": {hub: told.result() for hub, told in asked.items()},
        }
