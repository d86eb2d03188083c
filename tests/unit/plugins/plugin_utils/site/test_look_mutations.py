# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whatever a site says, and whatever answers there, the controller's look ends in entries that rules can name."""

from __future__ import annotations

import gzip
import io
import json
import socket
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure, Reply
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import downloads
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.controller_view import (
    UNEXPECTED,
    look,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.downloads import fetch
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import CRASHED
from certificate_files import make_certificate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_values import LEAVES, ODD_TEXTS, VALUES
from site_cases import good_site
from web_server import raw_server

INDEX = b"""
apiVersion: v1
entries:
  binderhub:
  - {version: 1.0.0-0.dev.git.3983.h383374de, kubeVersion: '>=1.28.0-0'}
"""
CHART = b"apiVersion: v2\nname: binderhub\nversion: 0.1.0\nkubeVersion: '>=1.28'\n"
# What the look reads of a site.
READ = (
    "site_public_url",
    "site_ca_files",
    "site_binderhub_chart_repository",
    "site_binderhub_chart",
    "site_binderhub_chart_version",
    "site_kubernetes_client_host",
    "site_pod_network_manifest",
    "site_pod_network_provider",
    "site_artifact_base",
    "site_helm_version",
    "site_metallb_version",
    "site_proxy_tls_certificate_file",
    "site_proxy_tls_key_file",
    "site_registry_tls_certificate_file",
    "site_registry_tls_key_file",
)
PATHS = st.sampled_from(["~nobody-here/x", "x" * 5000, "/", "/dev/zero", "a\0b", "\udcff", "/dev/null", ".."])
URLS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https", "ftp", "HTTP", ""]),
    st.sampled_from(["h", "[::1]", "[", "a:b@h", "h\0", "\u00e4", "x" * 300, "", "1.2.3.4"]),
    st.sampled_from(["", ":22", ":99999999", ":x", ":", ":-1", ":\u00b2"]),
    st.sampled_from(["", "/", "/charts", "/a b", "?x", "#x", "/\n"]),
)


def packed(*entries: tuple[str, bytes]) -> bytes:
    """A chart's archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as made:
        for name, text in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text))
    return stream.getvalue()


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Cut it off, and change a few bytes."""

    def damage(length: int, changes: list[tuple[int, int]]) -> bytes:
        data = bytearray(whole[:length])
        for place, byte in changes:
            if data:
                data[place % len(data)] = byte
        return bytes(data)

    changes = st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=4)
    return st.builds(damage, st.integers(0, len(whole)) | st.just(len(whole)), changes)


TAR = packed(("binderhub/x", b"x" * 99), ("binderhub/Chart.yaml", CHART))
BODIES = st.one_of(
    damaged(INDEX),
    damaged(TAR),
    # Damage inside of what can be unpacked.
    damaged(gzip.decompress(TAR)).map(gzip.compress),
    VALUES.map(lambda value: f"entries: {{binderhub: [{json.dumps(value, default=str)}]}}".encode()),
    VALUES.map(lambda value: packed(("b/Chart.yaml", json.dumps(value, default=str).encode()))),
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"<!DOCTYPE html><html><body>Sign in",
            b"[" * 20_000,
            b"a: &a [*a]\nentries: {binderhub: *a}",
            b"{",
            b"- " * 9_999,
        ]
    ),
)
REPLIES = st.builds(
    Reply, st.sampled_from([200, 200, 200, 204, 301, 401, 404, 500, 999]), st.just({}), BODIES, st.booleans()
)
KINDS = ["unreachable", "tls", "silence", "closed", "redirect", "proxy", "request"]
ANSWERS = st.one_of(REPLIES, st.builds(HttpFailure, st.sampled_from(KINDS), st.text(max_size=20)))
NAMED = st.one_of(
    st.lists(st.sampled_from(["192.0.2.31", "::1", ""]), max_size=2),
    st.sampled_from(
        [socket.gaierror(-2, "Name or service not known"), OSError(), UnicodeError("label"), ValueError("x")]
    ),
)


def giving(answer: Any) -> Callable[..., Any]:
    """Return it, or raise it."""

    def give(*_arguments: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return give


def judge(data: dict[str, Any], told: dict[str, Any]) -> None:
    """What was told can be written down, was thought of, and every rule can read it."""
    assert UNEXPECTED not in json.dumps(told), told
    report = check_site({**data, "controller": told}).as_data()
    assert CRASHED not in {finding["id"] for finding in report["findings"]}
    fault = told["chart"].get("error")
    named = {finding["id"] for finding in report["findings"]}
    assert not fault or "chart-not-found" in named


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    values=st.dictionaries(st.sampled_from(READ), st.one_of(VALUES, PATHS, URLS, ODD_TEXTS), max_size=5),
    answer=ANSWERS,
    addresses=NAMED,
)
def test_odd_sites_and_odd_answers(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], answer: Any, addresses: Any
) -> None:
    """The look goes on whatever is written in the site, and whatever its servers say."""
    data = good_site()
    data["values"] |= {"site_artifact_base": "https://192.0.2.41/", "site_helm_version": "3.22.0", **values}
    judge(data, look(Site.from_data(data), giving(addresses), giving(answer)))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=BODIES, inside=st.booleans())
def test_odd_charts(tmp_path_factory: pytest.TempPathFactory, body: bytes, inside: bool) -> None:
    """A chart on the controller: an archive, or a folder."""
    place = tmp_path_factory.mktemp("chart") / "c"
    if inside:
        place.mkdir()
    (place / "Chart.yaml" if inside else place).write_bytes(body)
    data = good_site()
    data["values"]["site_binderhub_chart_repository"] = str(place)
    judge(data, look(Site.from_data(data), giving(["192.0.2.31"]), giving(HttpFailure("closed", "x"))))


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A certificate and its key."""
    folder = tmp_path_factory.mktemp("pem")
    make_certificate(folder)
    return (folder / "both.pem").read_bytes()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_odd_certificates(tmp_path_factory: pytest.TempPathFactory, pem: bytes, draw: st.DataObject) -> None:
    """Certificates, keys and CAs with a few other letters in them."""
    data, folder = good_site(), tmp_path_factory.mktemp("odd")
    for name in ("certificate", "key", "ca"):
        (folder / name).write_bytes(draw.draw(damaged(pem)))
    data["values"] |= {
        "site_proxy_tls_certificate_file": str(folder / "certificate"),
        "site_proxy_tls_key_file": str(folder / "key"),
        "site_registry_tls_certificate_file": "",
        "site_registry_tls_key_file": "",
        "site_ca_files": [str(folder / "ca")],
    }
    judge(data, look(Site.from_data(data), giving(["192.0.2.31"]), giving(Reply(200, {}, INDEX))))


HEADS = st.sampled_from(
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
    ]
)


def test_odd_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever bytes come back, what is asked for is an answer or one kind of failure."""
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 60.0)
    said = [b""]

    def answer(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(said[0])
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(head=HEADS, body=BODIES, path=LEAVES)
    def ask(head: bytes, body: bytes, path: Any) -> None:
        said[0] = head + body
        try:
            reply = fetch(f"http://127.0.0.1:{port}/{path}", [])
        except HttpFailure as failure:
            assert failure.kind in KINDS
        else:
            assert isinstance(reply.status, int)

    with raw_server(answer) as port:
        ask()


def test_paths_are_read_no_further_than_they_should_be(tmp_path: Path) -> None:
    """A file that is far too large is no reason to read it all."""
    large = tmp_path / "large.pem"
    with large.open("wb") as stream:
        stream.truncate(1 << 40)  # a terabyte of nothing, which takes no room
    values: dict[str, Sequence[str] | str] = {"site_ca_files": [str(large)]}
    values["site_binderhub_chart_repository"] = values["site_proxy_tls_key_file"] = str(large)
    data = good_site()
    data["values"] |= values
    told = look(Site.from_data(data), giving([]), giving(HttpFailure("closed", "x")))
    assert told["ca_files"][str(large)] == {"error": f"{large} is too long to be PEM"}
    assert "error" in told["chart"]
    judge(data, told)
