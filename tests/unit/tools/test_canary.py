# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The scripts that look for secrets and for changes find what is there: broken once, they turn red."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import shlex
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

import pytest

INFRA = Path(__file__).parents[2] / "infra"


def load(name: str) -> Any:
    """Import one of the scripts, which are no package."""
    spec = importlib.util.spec_from_file_location(f"infra_{name}", INFRA / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


canary = load("canary")
snapshot = load("snapshot")
NASTY = 'it\'s "so"  ü # {{ x }} \\ back\\slash!'
SECRETS = {"nasty": NASTY, "token": "0123456789abcdef" * 4}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=list(SECRETS))
@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        repr,
        lambda text: urllib.parse.quote(text, safe=""),
        shlex.quote,
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(f"binder:{text}".encode()).decode(),
        lambda text: base64.b64encode(f"a:{text}\n".encode()).decode(),
        lambda text: json.dumps({"auth": base64.b64encode(f"ab:{text}".encode()).decode()}),
        lambda text: text.encode().hex(),
    ],
)
def test_every_form_is_seen(secret: str, write: Any) -> None:
    """However a secret was written down, it is recognised; what looks a bit like it is not."""
    canaries = canary.Canaries(SECRETS)
    assert canaries.in_bytes(f"before {write(secret)} after".encode())
    assert not canaries.in_bytes(f"before {write(secret[: len(secret) // 2])} after".encode())


def test_long_streams_are_seen_across_blocks() -> None:
    """A secret that lies across two blocks is found."""
    canaries = canary.Canaries(SECRETS)
    data = b"x" * (canary.CHUNK - 10) + NASTY.encode() + b"y" * 100
    assert canaries.in_stream(io.BytesIO(data)) == {"nasty"}
    assert canary.Canaries({}).in_bytes(data) == set()


def test_files(tmp_path: Path) -> None:
    """A loose file is one too many, a tight one is not, and below a folder of logs any is."""
    for name, mode in {
        "etc/loose": 0o644,
        "etc/tight": 0o600,
        "log/tight": 0o600,
        "etc/clean": 0o644,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing" if name == "etc/clean" else f"password: {NASTY}")
        (tmp_path / name).chmod(mode)
    canaries = canary.Canaries(SECRETS)
    found = canary.scan(canaries, [str(tmp_path / "etc")], [str(tmp_path / "log")])
    assert {(hit["place"], hit["why"]) for hit in found} == {
        (str(tmp_path / "log/tight"), "no secret may be here"),
        (str(tmp_path / "etc/loose"), "its mode is 0644"),
    }
    assert NASTY not in json.dumps(found)
    assert canary.scan(canaries, [str(tmp_path / "etc")], [], since=9e9) == []


def test_process_arguments() -> None:
    """A secret among a process's arguments is seen by the script as it runs on machines, told by its input alone."""
    given = json.dumps({"secrets": SECRETS, "action": "watch", "stop": "/no/such/file", "seconds": 0.3})
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", NASTY]) as culprit:
        try:
            text = (INFRA / "canary.py").read_text()
            done = subprocess.run(
                [sys.executable, "-c", text], input=given, capture_output=True, text=True, check=True
            )
        finally:
            culprit.kill()
    told = json.loads(done.stdout)["found"]
    assert any(hit["secret"] == "nasty" and "arguments of" in hit["place"] for hit in told)
    assert NASTY not in done.stdout


def test_a_process_that_becomes_another(tmp_path: Path) -> None:
    """It has been looked at for long when it gets other arguments."""
    # Of this test alone: another session of it may run on this machine.
    secret = uuid.uuid4().hex
    (tmp_path / "secret").write_text(secret)
    script = f'exec "{sys.executable}" -c "import time; time.sleep(600)" "$(cat {tmp_path}/secret)"'
    scans: list[int] = []
    scan = canary.scan_processes

    def scanned(*given: Any, **named: Any) -> Any:
        found = scan(*given, **named)
        scans.append(1)
        return found

    def tell() -> None:
        """Let it become another one after a few looks, and end the watch after a look at everybody."""
        assert culprit.stdin
        wait(lambda: len(scans) > 2 * canary.NEW_LOOKS)
        culprit.stdin.write(script)
        culprit.stdin.close()
        wait(lambda: secret.encode() in Path(f"/proc/{culprit.pid}/cmdline").read_bytes())
        time.sleep(1.5 * canary.WATCH_EVERYBODY_SECONDS)
        seen = len(scans)
        wait(lambda: len(scans) > seen + 1)
        (tmp_path / "stop").touch()

    with (
        subprocess.Popen(["sh"], stdin=subprocess.PIPE, text=True) as culprit,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            patch.setattr(canary, "scan_processes", scanned)
            teller = threading.Thread(target=tell, daemon=True)
            teller.start()
            told = canary.watch(canary.Canaries({"token": secret}), tmp_path / "stop", 120)
            teller.join(60)
        finally:
            culprit.kill()
    assert [hit["secret"] for hit in told] == ["token"]


def wait(so: Any) -> None:
    deadline = time.monotonic() + 60
    while not so() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_snapshots_show_every_change(tmp_path: Path) -> None:
    """Content, mode, links, what is new and what is gone; and nothing where nothing changed."""
    for name in ("changed", "loosened", "gone", "same"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("same")
    before = {"files": snapshot.tree([str(tmp_path)]), "packages": ["a 1", "b 1"]}
    assert (
        snapshot.differences(before, {"files": snapshot.tree([str(tmp_path)]), "packages": ["a 1", "b 1"]})
        == []
    )
    (tmp_path / "changed").write_text("y")
    (tmp_path / "loosened").chmod(0o666)
    (tmp_path / "gone").unlink()
    (tmp_path / "new").write_text("")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("new")
    told = snapshot.differences(before, {"files": snapshot.tree([str(tmp_path)]), "packages": ["a 2", "b 1"]})
    names = {line.split(": ")[1].rpartition("/")[2] for line in told if line.startswith("files")}
    assert names - {tmp_path.name} == {"changed", "loosened", "gone", "new", "link"}
    assert [line for line in told if line.startswith("packages")] == ["packages: - a 1", "packages: + a 2"]


def test_objects_by_what_was_wanted() -> None:
    """A status that moves is no change; a label, a value or another object of the same name is."""
    item: dict[str, Any] = {
        "kind": "ConfigMap",
        "metadata": {"name": "a", "uid": "1", "resourceVersion": "5"},
        "data": {"k": "v"},
        "status": {"x": 1},
    }
    moved = {**item, "metadata": {**item["metadata"], "resourceVersion": "9"}, "status": {"x": 2}}
    other = {**item, "metadata": {**item["metadata"], "uid": "2"}}
    assert snapshot.objects([item]) == snapshot.objects([moved])
    assert snapshot.objects([item]) != snapshot.objects([other])
    assert snapshot.objects([item]) != snapshot.objects([{**item, "data": {"k": "w"}}])


def test_a_sparse_file_is_read_where_it_was_written(tmp_path: Path) -> None:
    """A terabyte of holes takes no time, and hides nothing."""
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as stream:
        for place in (1 << 20, 1 << 40):
            stream.seek(place)
            stream.write(f"xx {NASTY} xx".encode())
            stream.flush()
            [hit] = canary.scan(canary.Canaries(SECRETS), loose=[], never=[str(tmp_path)])
            assert hit["secret"] == "nasty"
            stream.seek(place)
            stream.write(bytes(100))
            stream.flush()
    assert canary.scan(canary.Canaries(SECRETS), loose=[], never=[str(tmp_path)]) == []
    # pytest keeps the folders of its last runs.
    sparse.unlink()
