# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A Helm chart as far as its values are concerned: defaults, schema, subcharts. From a folder or an archive.

The layout: https://helm.sh/docs/topics/charts/#the-chart-file-structure
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    as_list,
    as_mapping,
    as_text,
)

try:
    import yaml
except ImportError:  # Ansible itself brings it; only a target without Ansible lacks it
    yaml = None  # type: ignore[assignment]

__all__ = [
    "ARCHIVE_BYTES",
    "Chart",
    "ChartError",
    "ChartSource",
    "Get",
    "find_chart",
    "load_chart",
    "read_archive",
]

# The official chart has 0.1 MB. What unpacks to more than the second number is no chart.
ARCHIVE_BYTES = 1_000_000
UNPACKED_BYTES = 20_000_000
# Subcharts of subcharts are as deep as anybody goes.
MOST_LEVELS = 3
ABOUT, DEFAULTS, SCHEMA, CHARTS = "Chart.yaml", "values.yaml", "values.schema.json", "charts"

Files = Mapping[str, bytes]
Get = Callable[[str], bytes]


class ChartError(ValueError):
    """A chart that cannot be read. Its text says what was read, and what is wrong with it."""


@dataclass(frozen=True)
class Chart:
    """A chart: `schema` is None where it has none, which allows any value.

    `subcharts` are (the key of the parent's values, the parent's condition, the chart).
    """

    defaults: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    subcharts: tuple[tuple[str, str, Chart], ...] = ()


def _yaml(name: str, content: bytes) -> Any:
    # The same parser in C is ten times as fast, where it was built.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(content, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ChartError(f"its {name} is no YAML") from error


def _schema(content: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(content)
    except ValueError as error:
        raise ChartError(f"its {SCHEMA} is no JSON") from error
    if not isinstance(told, dict):
        raise ChartError(f"its {SCHEMA} is no schema")
    return told


def _unpack(content: bytes) -> dict[str, bytes]:
    """Give the files of an archive, without the folder around them that carries the chart's name."""
    if len(content) > ARCHIVE_BYTES:
        raise ChartError(f"its archive is longer than {ARCHIVE_BYTES // 1000} kB")
    try:
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        raw = inflate.decompress(content, UNPACKED_BYTES + 1)
        if len(raw) > UNPACKED_BYTES:
            raise ChartError(f"its archive unpacks to more than {UNPACKED_BYTES // 1_000_000} MB")
        if not inflate.eof:
            raise ChartError("its archive is cut short")
        found = {}
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file:
                    found[member.name.removeprefix("./").partition("/")[2]] = file.read()
    except (zlib.error, tarfile.TarError, OSError, EOFError, UnicodeError) as error:
        raise ChartError(f"its archive is broken: {error}") from error
    return found


def _chart(files: Files, level: int = 0) -> Chart:
    if ABOUT not in files:
        raise ChartError(f"it holds no {ABOUT}")
    about = as_mapping(_yaml(ABOUT, files[ABOUT]))
    known = [as_mapping(entry) for entry in as_list(about.get("dependencies"))]
    inner: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        folder, _, rest = path.partition("/")
        if folder != CHARTS or not rest or level >= MOST_LEVELS:
            continue
        name, _, file = rest.partition("/")
        if file:
            inner.setdefault(name, {})[file] = content
        elif name.endswith(".tgz"):
            inner[name] = _unpack(content)
    subcharts = []
    for part in inner.values():
        if ABOUT not in part:
            continue
        name = as_text(as_mapping(_yaml(ABOUT, part[ABOUT])).get("name"))
        # One subchart may be used several times, each by a name of its own.
        uses = [entry for entry in known if as_text(entry.get("name")) == name] or [{}]
        chart = _chart(part, level + 1)
        subcharts += [
            (as_text(use.get("alias")) or name, as_text(use.get("condition")), chart) for use in uses
        ]
    return Chart(
        as_mapping(_yaml(DEFAULTS, files.get(DEFAULTS, b""))),
        _schema(files[SCHEMA]) if SCHEMA in files else None,
        tuple(subcharts),
    )


def read_archive(content: bytes) -> Chart:
    """Read a chart's .tgz. Raises ChartError."""
    return _chart(_unpack(content))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(ARCHIVE_BYTES + 1)


def _folder_files(place: Path, level: int = 0) -> dict[str, bytes]:
    found = {name: _read(place / name) for name in (ABOUT, DEFAULTS, SCHEMA) if (place / name).is_file()}
    charts = place / CHARTS
    for entry in sorted(charts.iterdir()) if charts.is_dir() and level < MOST_LEVELS else ():
        if entry.is_dir():
            inner = _folder_files(entry, level + 1)
            found |= {f"{CHARTS}/{entry.name}/{name}": content for name, content in inner.items()}
        elif entry.suffix == ".tgz":
            found[f"{CHARTS}/{entry.name}"] = _read(entry)
    return found


def find_chart(path: str, name: str, version: str) -> Chart:
    """Read a chart on this machine, from where role binderhub's helm would take it. Raises ChartError."""
    try:
        base = Path(path).expanduser()
        for place in (base, base / name, base / f"{name}-{version}.tgz"):
            if (place / ABOUT).is_file():
                return _chart(_folder_files(place))
            if place.is_file():
                return read_archive(_read(place))
    except ChartError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # also a home of nobody's, and a zero byte
        raise ChartError(f"it cannot be read: {error}") from error
    raise ChartError(f"there is none at {path}")


@dataclass(frozen=True)
class ChartSource:
    """Where the pinned chart is.

    `url` and `digest` (SHA-256) are those of the repository's index, empty where it does not tell.
    `here` is whether the controller is the host that reads it.
    """

    repository: str
    name: str
    version: str
    url: str = ""
    digest: str = ""
    here: bool = True


def load_chart(source: ChartSource, get: Get) -> Chart:
    """Read a chart from wherever it is. `get` gives a URL's content and may raise anything. Raises ChartError."""
    if not source.here:
        raise ChartError("the host of site_kubernetes_client_host reads the chart, not the controller")
    if source.repository.startswith("oci://"):
        raise ChartError("it is in an OCI registry, which preflight does not read")
    if "://" not in source.repository:
        return find_chart(source.repository, source.name, source.version)
    if not source.repository.startswith(("http://", "https://")):
        raise ChartError(f"{source.repository[:80]} is no http or https URL")
    # What `helm package` names an archive, where the index is too long to be read.
    name = source.url or f"{source.name}-{source.version}.tgz"
    url = urljoin(f"{source.repository.rstrip('/')}/", name)
    try:
        content = get(url)
    except Exception as error:  # whatever a server does, the check goes on without the chart
        raise ChartError(f"{url} cannot be read: {error}"[:200]) from error
    if len(content) > ARCHIVE_BYTES:
        raise ChartError(f"{url} is longer than {ARCHIVE_BYTES // 1000} kB")
    digest = source.digest.removeprefix("sha256:").lower()
    if digest and digest != hashlib.sha256(content).hexdigest():
        raise ChartError(f"{url} has another digest than the repository's index says")
    return read_archive(content)
