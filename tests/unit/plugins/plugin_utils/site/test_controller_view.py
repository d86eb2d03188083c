# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller sees, without a network."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Reply
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.controller_view import (
    PURPOSES,
    UNEXPECTED,
    look,
    read_chart,
    read_index,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.downloads import (
    INDEX_BYTES,
    download,
    fetch,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from site_cases import good_site
from web_server import Answer, WebServer, raw_server, says

INDEX = b"""
apiVersion: v1
entries:
  binderhub:
  - version: 1.0.0-0.dev.git.3983.h383374de
    kubeVersion: '>=1.28.0-0'
    urls: [charts/one.tgz, https://other.example.org/one.tgz]
    digest: 0123abcd
  - {version: 0.9.0}
"""


def site(**values: Any) -> Site:
    """The good site with other values, and nothing looked at."""
    data = good_site()
    files = [f"site_{purpose}_tls_{kind}_file" for purpose in PURPOSES for kind in ("certificate", "key")]
    data["values"] |= {"site_ca_files": [], **dict.fromkeys(files, ""), **values}
    return Site.from_data(data)


def ask(name: str) -> Sequence[str]:
    """Know one name."""
    if name == "binder.example.org":
        return ["192.0.2.31"]
    raise OSError("Name or service not known")


def get(url: str, ca_files: Sequence[str]) -> Reply:
    """Serve one index."""
    return Reply(200, {}, INDEX) if url == "https://192.0.2.41/charts/index.yaml" else Reply(404, {}, b"")


def test_good_site() -> None:
    """Name, chart and nothing amiss."""
    told = look(site(), ask, get)
    assert told["names"] == {"binder.example.org": {"addresses": ["192.0.2.31"]}}
    assert told["chart"]["versions"] == ["1.0.0-0.dev.git.3983.h383374de", "0.9.0"]
    assert told["chart"]["kube_version"] == ">=1.28.0-0"
    assert told["chart"]["archive"] == {"url": "charts/one.tgz", "digest": "0123abcd"}
    assert told["manifest"] == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"site_binderhub_chart_repository": "https://192.0.2.41/other"}, "answers 404"),
        ({"site_binderhub_chart_repository": "ftp://x/y"}, "is no http"),
        ({"site_binderhub_chart_repository": "/no/such/folder"}, "cannot be read"),
        ({"site_binderhub_chart": "jupyterhub"}, "no chart jupyterhub"),
    ],
)
def test_no_chart(values: dict[str, Any], expected: str) -> None:
    """Whatever is wrong with the chart's source is said."""
    assert expected in look(site(**values), ask, get)["chart"]["error"]


@pytest.mark.parametrize(
    "values", [{"site_kubernetes_client_host": "head1"}, {"site_binderhub_chart_repository": "oci://x/y"}]
)
def test_chart_of_somebody_else(values: dict[str, Any]) -> None:
    """The controller does not judge what it will not fetch."""
    assert look(site(**values), ask, get)["chart"] == {}


def test_names_files_and_manifests() -> None:
    """Names that do not resolve, addresses that need not, files that are not there."""
    told = look(
        site(
            site_public_url="https://gone.example.org",
            site_ca_files=["/no/ca"],
            site_pod_network_manifest="/no/m",
        ),
        ask,
        get,
    )
    assert told["names"] == {"gone.example.org": {"error": "Name or service not known"}}
    assert "error" in told["ca_files"]["/no/ca"]
    assert "error" in told["manifest"]
    assert look(site(site_public_url="http://192.0.2.31"), ask, get)["names"] == {}


@pytest.mark.parametrize(
    ("text", "expected"), [(b"{", "no YAML"), (b"[]", "no entries"), (b"entries: {}", "no chart")]
)
def test_bad_index(text: bytes, expected: str) -> None:
    """What is no index is said to be none; one that is too long is only known to be there."""
    assert expected in read_index(text, "binderhub")["error"]
    assert read_index(b" " * (INDEX_BYTES + 1), "binderhub") == {}


def test_chart_folder_and_archive(tmp_path: Path) -> None:
    """A chart is read from its folder, from the folder above, and from its archive."""
    about = b"name: binderhub\nversion: 0.1.0\nkubeVersion: '>=1.28'\n"
    (tmp_path / "binderhub").mkdir()
    (tmp_path / "binderhub" / "Chart.yaml").write_bytes(about)
    with tarfile.open(tmp_path / "chart.tgz", "w:gz") as archive:
        for name in ("binderhub/charts/jupyterhub/Chart.yaml", "binderhub/Chart.yaml"):
            entry = tarfile.TarInfo(name)
            entry.size = len(about)
            archive.addfile(entry, io.BytesIO(about))
    for path in (tmp_path, tmp_path / "binderhub", tmp_path / "chart.tgz"):
        assert read_chart(str(path), "binderhub") == {
            "versions": ["0.1.0"],
            "kube_version": {"0.1.0": ">=1.28"},
        }
    (tmp_path / "none").mkdir()
    assert "no Chart.yaml" in read_chart(str(tmp_path / "none"), "binderhub")["error"]


def test_helm() -> None:
    """The host that talks to the cluster asks for helm; a server that is down is no missing file."""
    there = {"site_artifact_base": "https://192.0.2.41/", "site_helm_version": "3.22.0"}
    told = look(site(**there), ask, get)["artifacts"]["site_helm_version"]
    assert told["status"] == 404
    assert told["url"].startswith("https://192.0.2.41/get.helm.sh/helm-v3.22.0-linux-")

    def silent(url: str, ca_files: Sequence[str]) -> Reply:
        raise HttpFailure("silence", "no answer")

    assert look(site(**there), ask, silent)["artifacts"]["site_helm_version"]["error"] == "no answer"
    assert (
        look(site(**there), ask, lambda url, ca_files: Reply(200, {}, b""))["artifacts"]["site_helm_version"][
            "status"
        ]
        == 200
    )
    assert look(site(**there, site_kubernetes_client_host="head1"), ask, get)["artifacts"] == {}


def test_what_speaks_no_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SSH daemon where the chart should be is a finding, in words that say so."""
    monkeypatch.delenv("http_proxy", raising=False)
    with raw_server(says(b"SSH-2.0-OpenSSH_9.2p1\r\n")) as port:
        values = {"site_binderhub_chart_repository": f"http://127.0.0.1:{port}/"}
        told = look(site(**values), ask)["chart"]
    assert "cannot be reached: what answers there does not speak HTTP" in told["error"]


def test_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects are followed, as Helm does; a large index is cut, and then only known to be there."""
    monkeypatch.delenv("http_proxy", raising=False)
    with WebServer({"/charts/index.yaml": Answer(body=INDEX)}) as other, WebServer() as web:
        web.answers["/index.yaml"] = Answer(301, {"Location": f"{other.url}/charts/index.yaml"})
        assert fetch(f"{web.url}/index.yaml", []).body == INDEX
        assert download(f"{web.url}/index.yaml", []) == INDEX
        with pytest.raises(OSError, match="it answers 404"):
            download(f"{web.url}/gone", [])
        other.answers["/charts/index.yaml"].body = b" " * (INDEX_BYTES + 1)
        told = look(site(site_binderhub_chart_repository=other.url + "/charts/"), ask)
        assert told["chart"] == {}
        other.answers.clear()
        told = look(site(site_binderhub_chart_repository=web.url), ask)
        assert told["chart"] == {"error": "answers 404 to index.yaml"}
    with pytest.raises(HttpFailure, match="holds no CA certificates"):
        fetch(web.url, ["/no/ca"])


def archive(path: Path, *entries: tuple[str, bytes], links: Sequence[str] = ()) -> Path:
    """Write a chart's archive."""
    with tarfile.open(path, "w:gz") as made:
        for name, text in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text))
        for name in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, name.rpartition("/")[2]
            made.addfile(entry)
    return path


def test_damaged_archives(tmp_path: Path) -> None:
    """Cut at any place, or another thing altogether: said, and no traceback."""
    whole = archive(tmp_path / "c.tgz", ("b/noise", os.urandom(3000)), ("b/Chart.yaml", b"version: 1.0.0\n"))
    assert read_chart(str(whole), "b")["versions"] == ["1.0.0"]
    data = whole.read_bytes()
    for length in (0, 1, 5, 11, 100, 2000, len(data) - 200):
        whole.write_bytes(data[:length])
        assert "error" in read_chart(str(whole), "b"), length
    for other in (b"<html>", b"\x1f\x8b\x08\0" + b"x" * 90, data[:30] + b"\xff" * 400, b"PK\x03\x04"):
        whole.write_bytes(other)
        assert "cannot be read" in read_chart(str(whole), "b")["error"], other


def test_odd_archives(tmp_path: Path) -> None:
    """A link that leads to itself, and more than any chart has."""
    link = archive(tmp_path / "l.tgz", ("b/x", b""), links=["b/Chart.yaml"])
    assert read_chart(str(link), "b") == {"error": "the archive holds no Chart.yaml"}
    large = archive(tmp_path / "h.tgz", ("b/zeros", bytes(30_000_000)), ("b/Chart.yaml", b"version: 1.0.0"))
    assert read_chart(str(large), "b") == {"error": "cannot be read: it is larger than charts are"}


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~nobody-here/x", "/dev/zero", "/"])
def test_paths_that_are_none(path: str) -> None:
    """Whatever a person can write where a file's name belongs."""
    names = (
        "site_binderhub_chart_repository",
        "site_pod_network_manifest",
        "site_proxy_tls_certificate_file",
    )
    told = look(
        site(**dict.fromkeys((*names, "site_proxy_tls_key_file"), path), site_ca_files=[path]), ask, get
    )
    errors = [told["chart"]["error"], told["manifest"]["error"], *told["tls"]["proxy"].values()]
    errors += [entry["error"] for entry in told["ca_files"].values()]
    assert len(errors) == 5
    assert not [error for error in errors if UNEXPECTED in error]


@pytest.mark.parametrize(
    "text",
    [
        b"entries: {binderhub: [{version: 2001-99-99}]}",
        b"[" * 100_000,
        b"{? {a: b} : c}",
        b"a: &a [*a]\nentries: {binderhub: [{version: *a, kubeVersion: *a}]}",
        b"entries: !!python/object:os.system {}",
        b"entries: {binderhub: [{version: " + b"9" * 9999 + b"}]}",
        b"\xff\xfe\0",
        b"entries: {binderhub: [5, [], null, {version: {}}]}",
        b"entries: {binderhub: 5}",
        b"entries: 5",
        b"5",
        b"",
    ],
)
def test_odd_indexes(text: bytes) -> None:
    """What YAML can be made to say never stops the look."""
    told = read_index(text, "binderhub")
    assert "error" in told or all(isinstance(version, str) for version in told["versions"])


def test_what_nobody_thought_of_is_an_entry() -> None:
    """A bug in one look leaves the others, and is named by a rule rather than hidden."""

    def broken(*_arguments: Any) -> Any:
        raise LookupError("a bug")

    told = look(site(site_artifact_base="https://192.0.2.41/", site_helm_version="3.22.0"), broken, broken)
    for entry in (told["chart"], told["names"]["binder.example.org"], told["artifacts"]["site_helm_version"]):
        assert entry["error"] == f"{UNEXPECTED} (LookupError: a bug); please report this"
    report = check_site({**good_site(), "controller": told})
    assert {"chart-not-found"} <= {finding.id for finding in report.findings}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(200, {}, b'{"issuer": "https://iam.example.org"}'), {"issuer": "https://iam.example.org"}),
        (Reply(502, {}, b""), {"error": "answers 502"}),
        (
            HttpFailure("tls", "self-signed certificate"),
            {"error": "cannot be reached: self-signed certificate"},
        ),
    ],
)
def test_providers(reply: Reply | HttpFailure, expected: dict[str, Any]) -> None:
    """Each hub's own, and only of hubs that have one."""
    url = "https://iam.example.org/.well-known/openid-configuration"

    def answer(asked: str, ca_files: Sequence[str]) -> Reply:
        if asked != url:
            return get(asked, ca_files)
        if isinstance(reply, HttpFailure):
            raise reply
        return reply

    auth = {"kind": "oidc", "issuer": "https://iam.example.org"}
    told = look(site(site_hubs={"a": {"auth": auth}, "b": {}}), ask, answer)["providers"]
    assert list(told) == ["a"] and told["a"]["url"] == url
    assert expected.items() <= told["a"].items()
