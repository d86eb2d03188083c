# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module against a server, and against a proxy that is the only one to know it."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import download
from web_server import Answer, WebServer

BODY = b"a file\n"
DIGEST = hashlib.sha256(BODY).hexdigest()
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def run_module(**args: Any) -> dict[str, Any]:
        with patch_module_args(args), pytest.raises(SystemExit) as stop:
            download.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert stop.value.code == (1 if answer.get("failed") else 0)
        return answer

    return run_module


def test_fetch_and_fetch_no_more(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "x"
    with WebServer({"/x": Answer(body=BODY)}) as web:
        wish = {"url": f"{web.url}/x", "dest": str(file), "mode": "0600"}
        assert run(**wish, _ansible_check_mode=True)["changed"] is True
        assert web.asked == [] and not file.exists()
        assert run(**wish)["changed"] is True
        assert file.read_bytes() == BODY and stat.S_IMODE(file.stat().st_mode) == 0o600
        assert run(**wish)["changed"] is False
        assert run(**wish, _ansible_check_mode=True)["changed"] is False
        # A mode is put right without a download.
        assert run(**wish | {"mode": "0644"})["changed"] is True
        assert len(web.asked) == 1
        # A disk that was full leaves an empty file.
        file.write_bytes(b"")
        assert run(**wish | {"mode": "0644"}, _ansible_check_mode=True)["changed"] is True
        assert run(**wish | {"mode": "0644"})["changed"] is True
        assert file.read_bytes() == BODY and len(web.asked) == 2
        file.chmod(0o600)
        web.answers["/x"] = Answer(body=b"new")
        assert run(**wish, force=True)["changed"] is True
        assert file.read_bytes() == b"new"
        assert run(**wish, force=True)["changed"] is False


@pytest.mark.parametrize("where", ["here", "there"])
def test_digests(run: Run, tmp_path: Path, where: str) -> None:
    file = tmp_path / "x"
    with WebServer({"/x": Answer(body=BODY), "/s": Answer(body=f"{DIGEST}  x\n".encode())}) as web:
        checksum = f"sha256:{DIGEST}" if where == "here" else f"sha256:{web.url}/s"
        wish = {"url": f"{web.url}/x", "dest": str(file), "checksum": checksum}
        assert run(**wish)["changed"] is True
        assert run(**wish)["changed"] is False
        assert [asked.target for asked in web.asked].count("/x") == 1
        file.write_bytes(b"damaged")
        assert run(**wish)["changed"] is True
        assert file.read_bytes() == BODY
        web.answers["/x"] = Answer(body=b"something else")
        file.unlink()
        assert "was expected" in run(**wish)["msg"]
        assert not file.exists()


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("/none", {}, "answers 404"),
        ("/x", {"limit_bytes": 3}, "more than 3 bytes"),
        ("/x", {"checksum": "md5:1"}, "neither sha256:<digest> nor"),
        ("/x", {"checksum": "sha256:URL/x"}, "holds no SHA-256"),
        ("/x", {"mode": "rw"}, "rw"),
        (
            "/x",
            {"ca_certificates": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"},
            "CA certificates",
        ),
    ],
)
def test_what_cannot_be(run: Run, tmp_path: Path, path: str, more: dict[str, Any], said: str) -> None:
    with WebServer({"/x": Answer(body=BODY)}) as web:
        told = {key: str(value).replace("URL", web.url) for key, value in more.items()}
        answer = run(url=f"{web.url}{path}", dest=str(tmp_path / "x"), **told)
    assert answer["failed"]
    assert said in answer["msg"] and not (tmp_path / "x").exists()


def test_by_the_proxy_of_the_site_and_not_by_the_machines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with WebServer({"http://h.invalid/x": Answer(body=BODY)}) as proxy:
        told = {"http_proxy": f"http://site:s3c%40ret@{proxy.host}", "no_proxy": "localhost,10.0.0.0/8"}
        answer = run(url="http://h.invalid/x", proxy_environment=told)
        assert answer["content"] == BODY.decode() and answer["changed"] is False
        assert proxy.asked[0].headers["proxy-authorization"] == "Basic c2l0ZTpzM2NAcmV0"
        # Nobody is told the account.
        assert "s3c" not in json.dumps(answer)
    with WebServer({"/x": Answer(body=BODY)}) as web:
        told = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.0/8"}
        assert run(url=f"{web.url}/x", proxy_environment=told)["content"] == BODY.decode()
        refused = run(url=f"{web.url}/x", proxy_environment=told | {"no_proxy": "elsewhere.example.org"})
        assert refused["failed"] and "the proxy" in refused["msg"]
