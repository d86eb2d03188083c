# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Hubs' values against the schema of the lab's chart, of a chart with a subchart, and of charts that are none."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
import urllib.error
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import chart_schema
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_files import (
    ARCHIVE_BYTES,
    ChartSource,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.chart_schema import check_hub_values

ROOT = Path(__file__).parents[5]
CHART = ROOT / "lab" / "chart"
REFERENCE = ROOT.parent / "shared" / "reference"
SECRET = "s3cr3t-0f-4-unit-test"
URL = "https://192.0.2.41/charts"


def pack(files: dict[str, str | bytes], target: Path | None = None) -> bytes:
    """Make a chart's archive of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    if target:
        target.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def lab_files() -> dict[str, str | bytes]:
    """The lab's chart as `helm package` packs it."""
    return {
        f"binderhub/{path.relative_to(CHART)}": path.read_bytes()
        for path in CHART.rglob("*")
        if path.is_file()
    }


def never(url: str) -> bytes:
    """Nobody may be asked."""
    raise AssertionError(url)


def serve(**answers: bytes) -> Callable[[str], bytes]:
    """A server of these files."""

    def get(url: str) -> bytes:
        name = url.removeprefix(f"{URL}/").replace("/", "__").replace(".", "_").replace("-", "_")
        if not url.startswith(URL) or name not in answers:
            raise urllib.error.HTTPError(url, 404, "Not Found", Message(), io.BytesIO())
        return answers[name]

    return get


def local(path: Path | str) -> ChartSource:
    """A chart on the controller."""
    return ChartSource(str(path), "binderhub", "0.1.0-ironbinder.1")


def check(
    hubs: Any, source: ChartSource | None = None, get: Callable[[str], bytes] = never
) -> dict[str, Any]:
    """Check the hubs against the lab's chart, or another."""
    return check_hub_values(hubs, source or local(CHART), get)


def faults(values: Any, **given: Any) -> dict[str, tuple[str, str]]:
    """Message and suggestion by path of one hub's values."""
    told = check({"binder": {"values": values}}, **given)
    assert told["unchecked"] == ""
    return {entry["path"]: (entry["message"], entry["suggestion"]) for entry in told["faults"]}


UNKNOWN = "the chart has no such key"
BAD: list[tuple[str, Any, dict[str, tuple[str, str]]]] = [
    (
        "misspelt key",
        {"jupyterhub": {"singelusr": {"memory": {"limit": "1G"}}}},
        {"values.jupyterhub.singelusr": (UNKNOWN, "jupyterhub.singleuser")},
    ),
    ("misspelt at the top", {"jupyterhb": {}}, {"values.jupyterhb": (UNKNOWN, "jupyterhub")}),
    ("like no key", {"zzz": 1}, {"values.zzz": (UNKNOWN, "")}),
    (
        "number for a mapping",
        {"jupyterhub": {"hub": {"networkPolicy": 5}}},
        {"values.jupyterhub.hub.networkPolicy": ("is a whole number, and the chart takes a mapping", "")},
    ),
    (
        "text for a number",
        {"replicas": "2"},
        {"values.replicas": ("is text, and the chart takes a whole number", "")},
    ),
    (
        "one of several types",
        {"service": {"nodePort": "30600"}},
        {"values.service.nodePort": ("is text, and the chart takes a whole number or nothing", "")},
    ),
    (
        "none of the choices",
        {"service": {"type": "Nodeport"}},
        {"values.service.type": ("is none of ClusterIP, NodePort, LoadBalancer, ExternalName", "")},
    ),
    (
        "two at once",
        {"replicas": "2", "jupyterhub": {"singelusr": {}}},
        {
            "values.replicas": ("is text, and the chart takes a whole number", ""),
            "values.jupyterhub.singelusr": (UNKNOWN, "jupyterhub.singleuser"),
        },
    ),
]


@pytest.mark.parametrize(
    ("values", "expected"), [entry[1:] for entry in BAD], ids=[entry[0] for entry in BAD]
)
def test_bad_values(values: Any, expected: dict[str, tuple[str, str]]) -> None:
    """Each fault with its path, what the chart takes, and what was probably meant."""
    assert faults(values) == expected


GOOD: dict[str, Any] = {
    "none": {},
    "nothing": None,
    "memory": {"jupyterhub": {"singleuser": {"memory": {"limit": "1G"}}}},
    "free form": {"config": {"BinderHub": {"anything": 1}, "GitHubRepoProvider": {"access_token": SECRET}}},
    # Helm drops a default that is overwritten by null.
    "a default dropped": {"replicas": None},
    "a hub's whole section": {"jupyterhub": {"hub": {"networkPolicy": {"enabled": False}}}},
}


@pytest.mark.parametrize("values", GOOD.values(), ids=GOOD)
def test_good_values(values: Any) -> None:
    """What the chart takes is no fault."""
    assert faults(values) == {}


def test_secrets_stay() -> None:
    """Secret values are looked at with the others, and nothing of them but paths comes back."""
    hub = {
        "values": {"config": {"GitHubRepoProvider": {"access_token": SECRET}}, "replicas": SECRET},
        "secret_values": {
            "registry": {"password": [SECRET]},
            "jupyterhub": {"hub": {"cookieSecrt": SECRET}, "proxy": {"secretToken": {"x": SECRET}}},
        },
    }
    told = check({"binder": hub})
    assert {entry["path"] for entry in told["faults"]} == {
        "values.replicas",
        "secret_values.registry.password",
        "secret_values.jupyterhub.hub.cookieSecrt",
        "secret_values.jupyterhub.proxy.secretToken",
    }
    assert SECRET not in json.dumps(told)


def test_only_the_hub_at_fault() -> None:
    """Each hub is judged by itself."""
    told = check(
        {"one": {"values": {"replicas": 1}}, "two": {"values": {"replicas": "x"}}, "three": None, "four": "x"}
    )
    assert [(entry["hub"], entry["path"]) for entry in told["faults"]] == [("two", "values.replicas")]


@pytest.mark.parametrize(
    "hubs", [{}, {"binder": {}}, {"binder": {"values": {}, "secret_values": {}}}, None, "x", [1]]
)
def test_nothing_to_look_at(hubs: Any) -> None:
    """Without values of a site's own nobody reads a chart."""
    assert check(hubs, ChartSource(URL, "binderhub", "1"), never) == {"faults": [], "unchecked": ""}


@pytest.mark.parametrize(
    "odd", [{1: {"x": 2}}, {"a": object}, {"replicas": float("nan")}, {"x" * 5000: 1}, {"": {"": 1}}]
)
def test_odd_values(odd: Any) -> None:
    """Whatever a person writes, the check ends and can be written down."""
    assert json.dumps(check({"binder": {"values": odd}}))


def test_chart_as_folder_and_archive(tmp_path: Path) -> None:
    """The chart is found where helm finds it."""
    archive = tmp_path / "binderhub-0.1.0-ironbinder.1.tgz"
    pack(lab_files(), archive)
    inside = tmp_path / "parent"
    inside.mkdir()
    (inside / "binderhub").symlink_to(CHART)
    for place in (CHART, inside, archive, tmp_path):
        assert set(faults({"replicas": "x"}, source=local(place))) == {"values.replicas"}, place


def schema(**properties: Any) -> str:
    """A strict schema."""
    return json.dumps({"type": "object", "additionalProperties": False, "properties": properties})


SUBCHART = {
    "jupyterhub/Chart.yaml": "name: jupyterhub\nversion: 4.0.0\n",
    "jupyterhub/values.yaml": "hub: {replicas: 1}\nglobal: {}\n",
    "jupyterhub/values.schema.json": json.dumps(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["hub"],
            "properties": {
                **{
                    key: {}
                    for key in (
                        "imagePullSecret",
                        "proxy",
                        "scheduling",
                        "cull",
                        "singleuser",
                        "global",
                        "enabled",
                    )
                },
                "hub": {
                    "type": "object",
                    "required": ["replicas"],
                    "properties": {"replicas": {"type": "integer"}},
                },
            },
        }
    ),
}
PARENT = {
    "binderhub/Chart.yaml": yaml.safe_dump(
        {
            "name": "binderhub",
            "version": "1.0.0",
            "dependencies": [{"name": "jupyterhub", "version": "4.0.0", "condition": "jupyterhub.enabled"}],
        }
    ),
    "binderhub/values.yaml": "jupyterhub: {cull: {}}\n",
    "binderhub/values.schema.json": json.dumps({"type": "object"}),
}


def with_subchart(packed: bool) -> bytes:
    """A chart with a subchart, as a folder in it or as an archive in it."""
    inner: dict[str, str | bytes] = (
        {"binderhub/charts/jupyterhub-4.0.0.tgz": pack(dict(SUBCHART))}
        if packed
        else {f"binderhub/charts/{name}": text for name, text in SUBCHART.items()}
    )
    return pack({**PARENT, **inner})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("as_folder", [False, True])
def test_subcharts(tmp_path: Path, packed: bool, as_folder: bool) -> None:
    """A subchart's own schema applies to its key, over its own defaults; unless it is switched off."""
    place = tmp_path / "chart.tgz"
    place.write_bytes(with_subchart(packed))
    if as_folder:
        with tarfile.open(place) as archive:
            archive.extractall(tmp_path, filter="data")
        place = tmp_path / "binderhub"
    source = local(place)
    bad = {"jupyterhub": {"hub": {"replicas": "x"}, "singelusr": {}}}
    assert faults(bad, source=source) == {
        "values.jupyterhub.hub.replicas": ("is text, and the chart takes a whole number", ""),
        "values.jupyterhub.singelusr": (UNKNOWN, "jupyterhub.singleuser"),
    }
    assert faults({"jupyterhub": {"cull": {"users": False}}}, source=source) == {}
    assert faults({"jupyterhub": {"enabled": False, "singelusr": {}}}, source=source) == {}


def test_chart_of_a_repository() -> None:
    """The archive is fetched from where the index says, once for all hubs."""
    asked = []
    archive = pack(lab_files())

    def get(url: str) -> bytes:
        asked.append(url)
        return archive

    hubs = {"one": {"values": {"replicas": "x"}}, "two": {"values": {"replicas": "x"}}}
    for urls, where in (
        ("files/chart.tgz", f"{URL}/files/chart.tgz"),
        ("https://other.example.org/chart.tgz", "https://other.example.org/chart.tgz"),
        ("", f"{URL}/binderhub-1.0.0.tgz"),
    ):
        asked.clear()
        told = check(hubs, ChartSource(f"{URL}/", "binderhub", "1.0.0", urls), get)
        assert [entry["hub"] for entry in told["faults"]] == ["one", "two"]
        assert asked == [where]


def test_another_file_than_the_index_promises() -> None:
    """A digest that does not fit is told; values are not judged by such a file."""
    archive = pack(lab_files())
    good, bad = hashlib.sha256(archive).hexdigest(), "0" * 64
    for digest, reason in ((good, ""), (f"sha256:{good}", ""), (bad, "digest")):
        source = ChartSource(URL, "binderhub", "1", "c.tgz", digest)
        told = check({"binder": {"values": {"replicas": "x"}}}, source, lambda url: archive)
        assert reason in told["unchecked"] and bool(told["unchecked"]) == bool(reason)
        assert bool(told["faults"]) == (not reason)


def boom(error: Exception) -> Callable[[str], bytes]:
    """A server that fails like this."""

    def get(url: str) -> bytes:
        raise error

    return get


ARCHIVE = pack(lab_files())
UNREADABLE: list[tuple[str, ChartSource, Callable[[str], bytes], str]] = [
    ("oci", ChartSource("oci://registry.example.org/charts", "binderhub", "1"), never, "OCI"),
    ("another host", ChartSource(URL, "binderhub", "1", here=False), never, "site_kubernetes_client_host"),
    ("no such folder", local("/no/such/folder"), never, "/no/such/folder"),
    ("no URL", ChartSource("ftp://x/y", "binderhub", "1"), never, "ftp://"),
    ("not found", ChartSource(URL, "binderhub", "1"), serve(), "404"),
    ("no network", ChartSource(URL, "binderhub", "1"), boom(OSError("refused")), "refused"),
    ("no HTTP", ChartSource(URL, "binderhub", "1"), boom(RuntimeError("SSH-2.0")), "SSH-2.0"),
    ("truncated", ChartSource(URL, "binderhub", "1"), lambda url: ARCHIVE[: len(ARCHIVE) // 2], "archive"),
    ("a page", ChartSource(URL, "binderhub", "1"), lambda url: b"<html>", "archive"),
    ("too long", ChartSource(URL, "binderhub", "1"), lambda url: bytes(ARCHIVE_BYTES + 1), "longer"),
    (
        "a bomb",
        ChartSource(URL, "binderhub", "1"),
        lambda url: pack({"binderhub/Chart.yaml": "name: x\n", "binderhub/x": bytes(200_000_000)}),
        "archive",
    ),
    ("no chart in it", ChartSource(URL, "binderhub", "1"), lambda url: pack({"x/y": "z"}), "Chart.yaml"),
    (
        "a schema that is none",
        ChartSource(URL, "binderhub", "1"),
        lambda url: pack({"b/Chart.yaml": "name: x\n", "b/values.schema.json": "{"}),
        "values.schema.json",
    ),
    (
        "a schema with a wrong type",
        ChartSource(URL, "binderhub", "1"),
        lambda url: pack({"b/Chart.yaml": "name: x\n", "b/values.schema.json": '{"type": "mapping"}'}),
        "values.schema.json",
    ),
    (
        "a schema that refers to the network",
        ChartSource(URL, "binderhub", "1"),
        lambda url: pack(
            {
                "b/Chart.yaml": "name: x\n",
                "b/values.schema.json": '{"properties": {"a": {"$ref": "http://192.0.2.1/s"}}}',
            }
        ),
        "values.schema.json",
    ),
    (
        "defaults that are none",
        ChartSource(URL, "binderhub", "1"),
        lambda url: pack({"b/Chart.yaml": "name: x\n", "b/values.yaml": "{", "b/values.schema.json": "{}"}),
        "values.yaml",
    ),
]


@pytest.mark.parametrize(
    ("source", "get", "named"), [entry[1:] for entry in UNREADABLE], ids=[e[0] for e in UNREADABLE]
)
def test_charts_that_cannot_be_read(source: ChartSource, get: Callable[[str], bytes], named: str) -> None:
    """The reason is told, in short time, and nothing is judged."""
    started = time.monotonic()
    told = check({"binder": {"values": {"a": 1}}}, source, get)
    assert told["faults"] == []
    assert named in told["unchecked"]
    assert time.monotonic() - started < 60


def test_chart_without_a_schema() -> None:
    """Helm judges nothing there, and neither does preflight."""
    told = check(
        {"b": {"values": {"a": 1}}},
        ChartSource(URL, "b", "1"),
        lambda url: pack({"b/Chart.yaml": "name: b\n"}),
    )
    assert told == {"faults": [], "unchecked": ""}


def test_forms() -> None:
    """A value that fits none of several forms is told by their types, or at least by its place."""
    text = schema(
        service={},
        a={"anyOf": [{"type": "string"}, {"type": "array"}]},
        b={"oneOf": [{"required": ["x"]}, {"required": ["y"]}]},
        c={"type": "object", "required": ["needed"]},
        d={"type": "string", "pattern": "^x"},
        e={"type": "integer", "minimum": 5},
        f={"type": "array", "items": {"type": "string"}},
        g={"type": "object", "patternProperties": {"^x-": {}}, "additionalProperties": False},
        **{key: {} for key in ("config", "imageBuilderType", "imageCleaner", "registry", "jupyterhub")},
        **{key: {} for key in ("podAnnotations", "extraVolumes", "extraVolumeMounts", "extraEnv")},
    )
    archive = pack({"b/Chart.yaml": "name: b\n", "b/values.schema.json": text})
    values = {"a": 5, "b": {}, "c": {}, "d": SECRET, "e": 1, "f": ["a", 2], "g": {"x-1": 1, "y": 2}}
    told = faults(values, source=ChartSource(URL, "b", "1"), get=lambda url: archive)
    assert told == {
        "values.a": ("is a whole number, and the chart takes text or a list", ""),
        "values.b": ("fits none of the forms that the chart takes (oneOf)", ""),
        "values.c": ("lacks needed, which the chart demands", ""),
        "values.d": ("is not as the chart takes it (pattern: ^x)", ""),
        "values.e": ("is not as the chart takes it (minimum: 5)", ""),
        "values.f.1": ("is a whole number, and the chart takes text", ""),
        "values.g.y": (UNKNOWN, ""),
    }


@pytest.mark.parametrize("section", ["values", "secret_values"])
@pytest.mark.parametrize(
    ("config", "path"),
    [(["a"], "config"), ([], "config"), ("x", "config"), ({"BinderHub": 5}, "config.BinderHub")],
)
def test_odd_values_where_the_role_has_its_own(section: str, config: Any, path: str) -> None:
    """They are told like any other, and stop nothing."""
    schema = {"type": "object", "properties": {"BinderHub": {"type": "object"}}}
    chart: dict[str, str | bytes] = {
        "binderhub/Chart.yaml": "name: binderhub\n",
        "binderhub/values.schema.json": json.dumps({"properties": {"config": schema}}),
    }
    told = check_hub_values(
        {"binder": {section: {"config": config}}}, ChartSource(URL, "binderhub", "1"), lambda url: pack(chart)
    )
    assert told["unchecked"] == ""
    assert [entry["path"] for entry in told["faults"]] == [f"{section}.{path}"]


def test_whatever_happens_the_rest_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kind of the error alone: its text may hold a value."""

    def broken(*_given: Any) -> Any:
        raise KeyError("geheim")

    monkeypatch.setattr(chart_schema, "hub_values", broken)
    told = check({"binder": {"values": {"a": 1}}})
    assert told["faults"] == []
    assert "KeyError" in told["unchecked"]
    assert "geheim" not in told["unchecked"]


@pytest.mark.parametrize("path", ["~nobody-of-this-name/chart", "/a\0b", "/" + "x" * 300])
def test_a_chart_at_a_place_that_cannot_be(path: str) -> None:
    told = check({"binder": {"values": {"a": 1}}}, local(path))
    assert told["faults"] == []
    assert told["unchecked"].startswith(("it cannot be read: ", "there is none at "))


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the charts' schemas are not at ../shared/reference")
def test_official_schemas() -> None:
    """The official charts' own schemas find the same."""
    read = {
        name: yaml.safe_load((REFERENCE / f"{name}-chart.schema.yaml").read_text())
        for name in ("binderhub", "jupyterhub")
    }
    for document in read.values():
        document.pop("required", None)  # their defaults are not here
    archive = pack(
        {
            "binderhub/Chart.yaml": "name: binderhub\n",
            "binderhub/values.schema.json": json.dumps(read["binderhub"]),
            "binderhub/charts/jupyterhub/Chart.yaml": "name: jupyterhub\n",
            "binderhub/charts/jupyterhub/values.schema.json": json.dumps(read["jupyterhub"]),
        }
    )
    source = ChartSource(URL, "binderhub", "1")
    values = {"servicee": {}, "jupyterhub": {"singelusr": {}, "hub": {"networkPolicy": 5}}}
    told = faults(values, source=source, get=lambda url: archive)
    assert told["values.servicee"] == (UNKNOWN, "service")
    assert told["values.jupyterhub.singelusr"] == (UNKNOWN, "jupyterhub.singleuser")
    assert (
        told["values.jupyterhub.hub.networkPolicy"][0] == "is a whole number, and the chart takes a mapping"
    )
    assert len(told) == 3
    assert (
        faults(
            {"jupyterhub": {"singleuser": {"memory": {"limit": "1G"}}}},
            source=source,
            get=lambda url: archive,
        )
        == {}
    )
