# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The calls of the Docker Engine API, over a real Unix socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    DockerEngine,
    DockerEngineError,
    EngineInfo,
)
from docker_daemon import DockerDaemon

NAME = "docker.io/library/hello-world:latest"
DIGEST = f"sha256:{'a' * 64}"
NO_PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "no_proxy"), "")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DockerDaemon]:
    server = DockerDaemon(tmp_path / "docker.sock", ["https://a.example/", "http://b.example:5000/"])
    yield server
    server.close()


@pytest.fixture
def engine(daemon: DockerDaemon) -> DockerEngine:
    return DockerEngine(daemon.path, 5)


def test_info(engine: DockerEngine, daemon: DockerDaemon) -> None:
    version, mirrors = "20.10.24+dfsg1", ("https://a.example", "http://b.example:5000")
    assert engine.info() == EngineInfo(version, mirrors, NO_PROXIES)
    daemon.proxies = {"HttpProxy": "http://p:1", "HttpsProxy": "http://p:2", "NoProxy": "localhost"}
    told = {"http_proxy": "http://p:1", "https_proxy": "http://p:2", "no_proxy": "localhost"}
    assert engine.info() == EngineInfo(version, mirrors, told)


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.info(),
        lambda engine: engine.image_id(NAME),
        lambda engine: engine.pull(NAME),
        lambda engine: engine.remove(NAME),
        lambda engine: engine.tag("sha256:1", "a/b", "c"),
    ],
    ids=["info", "image_id", "pull", "remove", "tag"],
)
@pytest.mark.parametrize("status", [500, 503, 403, 302])
def test_another_status_is_an_error_in_the_daemons_words(
    engine: DockerEngine,
    daemon: DockerDaemon,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[DockerEngine], object],
    status: int,
) -> None:
    monkeypatch.setattr(daemon, "serve", lambda *call: (status, {"message": "layer store is busy"}))
    with pytest.raises(DockerEngineError, match=rf"layer store is busy \(HTTP {status}\).*journalctl"):
        call(engine)


@pytest.mark.parametrize("answer", [{}, {"Id": ""}, {"Id": 5}, []])
def test_an_image_without_an_id_is_not_no_image(
    engine: DockerEngine, daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(daemon, "serve", lambda *call: (200, answer))
    with pytest.raises(DockerEngineError, match="tells no id"):
        engine.image_id(NAME)


@pytest.mark.parametrize("answer", [{}, {"RegistryConfig": 5}, {"RegistryConfig": {"IndexConfigs": []}}, []])
def test_info_of_something_else(
    engine: DockerEngine, daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(daemon, "serve", lambda *call: (200, answer))
    assert engine.info() == EngineInfo("", (), NO_PROXIES)


def test_no_mirrors(engine: DockerEngine, daemon: DockerDaemon) -> None:
    daemon.mirrors = None  # type: ignore[assignment]  # as Docker answers: null, no list
    assert engine.info().mirrors == ()


def test_pull_tag_and_remove(engine: DockerEngine, daemon: DockerDaemon) -> None:
    daemon.remote[NAME] = ("sha256:1", DIGEST)
    assert engine.image_id(NAME) == ""
    assert engine.pull(NAME) == DIGEST
    assert engine.image_id(NAME) == "sha256:1"
    engine.tag("sha256:1", "docker.io/library/hello-world", "kept")
    engine.remove(NAME)
    assert daemon.images == {"docker.io/library/hello-world:kept": "sha256:1"}
    engine.remove(NAME)  # gone already: nothing to say


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent/x:1", "could not pull absent/x:1: manifest for absent/x:1 not found"),
        ("denied/x:1", "could not pull denied/x:1: .*x509: certificate signed by unknown authority"),
        ("silent/x:1", "ended its pull of silent/x:1 without a digest"),
    ],
)
def test_failed_pulls_tell_the_daemons_words(
    engine: DockerEngine, daemon: DockerDaemon, name: str, message: str
) -> None:
    daemon.remote["silent/x:1"] = ("sha256:1", "")
    with pytest.raises(DockerEngineError, match=message):
        engine.pull(name)


@pytest.mark.parametrize(
    ("status", "kept"),
    [(200, True), (404, True), (409, True), (500, False)],
    ids=["done", "gone", "in use", "broken"],
)
def test_remove(
    engine: DockerEngine, daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch, status: int, kept: bool
) -> None:
    monkeypatch.setattr(daemon, "serve", lambda *call: (status, {"message": "the daemon's words"}))
    if kept:
        engine.remove(NAME)
    else:
        with pytest.raises(DockerEngineError, match=r"could not remove.*the daemon's words"):
            engine.remove(NAME)


def test_tag_refused(engine: DockerEngine, daemon: DockerDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "serve", lambda *call: (404, {"message": "no such image"}))
    with pytest.raises(DockerEngineError, match=r"could not tag a/b:c.*no such image"):
        engine.tag("sha256:1", "a/b", "c")


def test_a_daemon_that_never_ran(tmp_path: Path) -> None:
    with pytest.raises(
        DockerEngineError, match=r"does not answer at .*none.sock.*No such file.*journalctl -u docker"
    ):
        DockerEngine(str(tmp_path / "none.sock"), 5).info()


def test_a_daemon_that_was_killed(daemon: DockerDaemon, engine: DockerEngine) -> None:
    daemon.close()  # its socket file stays, as after SIGKILL
    with pytest.raises(DockerEngineError, match="refused"):
        engine.info()


def serve_bytes(path: Path, data: bytes) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def answer() -> None:
        client, _ = server.accept()
        client.recv(65536)
        client.sendall(data)
        client.close()

    threading.Thread(target=answer, daemon=True).start()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "answer to /info is not JSON: b'<html>'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{", "does not answer"),
    ],
    ids=["closes at once", "is no Docker", "breaks off"],
)
def test_other_things_on_the_socket(tmp_path: Path, data: bytes, message: str) -> None:
    serve_bytes(tmp_path / "s", data)
    with pytest.raises(DockerEngineError, match=message):
        DockerEngine(str(tmp_path / "s"), 5).info()


def test_a_silent_daemon_is_not_waited_for_forever(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen(1)
    with pytest.raises(DockerEngineError, match="timed out"):
        DockerEngine(str(tmp_path / "s"), 0.1).info()
    server.close()
