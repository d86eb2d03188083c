# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole probe on this machine, against servers that really listen."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._net import knock as _knock
from ansible_collections.ironbinder.platform.plugins.module_utils._net import listeners as _listeners
from ansible_collections.ironbinder.platform.plugins.module_utils._net import probe as _probe
from ansible_collections.ironbinder.platform.plugins.module_utils._net.knock import knock
from ansible_collections.ironbinder.platform.plugins.modules import site_probe
from free_ports import free_port
from web_server import Answer, WebServer

PASSWORD = "c4n4ry-0f-a-probe"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time."""
    monkeypatch.setattr(_probe, "TIMEOUT_SECONDS", 300.0)
    monkeypatch.setattr(_knock, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(_listeners, "END_SECONDS", 60.0)


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    """Run the module and give what it saw."""
    with patch_module_args(arguments), pytest.raises(SystemExit) as stop:
        site_probe.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert stop.value.code == 0
    assert answer["changed"] is False
    assert PASSWORD not in json.dumps(answer["probe"])
    probe: dict[str, Any] = answer["probe"]
    return probe


@pytest.mark.parametrize("check_mode", [False, True])
def test_answer_is_as_documented(check_mode: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Every key is documented, and the other way round."""
    probe = run(capsys, asked_epoch=1.0, _ansible_check_mode=check_mode)
    documented = yaml.safe_load(site_probe.RETURN)["probe"]["contains"]
    assert set(probe) == set(documented)
    assert (probe["asked_epoch"], probe["urls"], probe["packages"]) == (1.0, {}, {})


def test_ports_of_another_name_of_this_machine_stay_open(capsys: pytest.CaptureFixture[str]) -> None:
    """A `localhost` in the inventory of who runs Ansible on the head is that machine, and no part of the site."""
    port = free_port()
    name = f"test-{port}"
    wanted = [{"protocol": "tcp", "port": port, "expected": ["worker1"]}]
    attempt = {"target": name, "address": "127.0.0.1", "protocol": "tcp", "port": port, "token": "t"}

    def state() -> str:
        return str(knock("somebody", [attempt])[0]["state"])

    probe = run(capsys, listen=wanted, listen_name=name, listen_token="t", listen_seconds=600)
    assert probe["listeners"]["opened"] == [f"tcp {port}"]
    for others in ({}, {"listen_name": "another"}):
        probe = run(capsys, **others)
        assert state() == "answered"
        assert port not in [entry["port"] for entry in probe["listening"]], "they are nobody's service"
    run(capsys, listen_name=name)
    assert state() == "refused"


def packages(*versions: str) -> Answer:
    """A list of packages with these kubelets."""
    return Answer(
        body=gzip.compress("".join(f"Package: kubelet\nVersion: {v}\n\n" for v in versions).encode())
    )


def test_two_repositories_with_one_package(capsys: pytest.CaptureFixture[str]) -> None:
    """What either has, apt can install: the last list does not win."""
    with WebServer({f"/{place}/InRelease": Answer() for place in "abc"}) as web:
        web.answers |= {
            "/a/Packages.gz": packages("1.36.3-1.1"),
            "/b/Packages.gz": packages("1.36.4-1", "1.36.3-1.1"),
        }
        indexes = [
            {"list": f"{web.url}/{at}/Packages.gz", "release": f"{web.url}/{at}/InRelease"} for at in "abc"
        ]
        probe = run(capsys, package_indexes=indexes[:2], package_names=["kubelet"])
        assert probe["packages"] == {"kubelet": ["1.36.3-1.1", "1.36.4-1"]}
        assert probe["unread_lists"] == []
        probe = run(capsys, package_indexes=indexes, package_names=["kubelet"])
        assert probe["packages"] == {"kubelet": ["1.36.3-1.1", "1.36.4-1"]}
        assert probe["unread_lists"] == [f"{web.url}/c/Packages.gz"]
        assert probe["read_lists"] == [f"{web.url}/{at}/Packages.gz" for at in "ab"]
        # Its InRelease is there.
        assert probe["gone_lists"] == {}
        del web.answers["/c/InRelease"]
        probe = run(capsys, package_indexes=indexes, package_names=["kubelet"])
        assert probe["gone_lists"] == {f"{web.url}/c/Packages.gz": f"{web.url}/c/Release answers 404"}


def test_registry_and_artefacts(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the registry's redirect is not followed, and its password goes nowhere."""
    with WebServer({"/there": Answer()}) as other, WebServer() as web:
        web.answers = dict.fromkeys(("/v2/", "/key"), Answer(302, {"Location": f"{other.url}/there"}))
        account = {"registry_username": "binder", "registry_password": PASSWORD}
        probe = run(capsys, registry_url=f"{web.url}/v2/", urls={"packages": f"{web.url}/key"}, **account)
        told = {name: answer["status"] for name, answer in probe["urls"].items()}
        assert told == {"registry": 302, "registry_login": 302, "packages": 200}
        assert probe["urls"]["registry"]["redirect"] == f"{other.url}/there"
        assert [asked.headers.get("authorization") for asked in (*web.asked, *other.asked)] == [None] * 4
        assert set(run(capsys, registry_url=f"{web.url}/v2/")["urls"]) == {"registry"}


@pytest.mark.parametrize(
    "ca_pem", ["no PEM", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "\u2603"]
)
def test_cas_that_are_none(capsys: pytest.CaptureFixture[str], ca_pem: str) -> None:
    """The controller's look reports them; the probe goes on without."""
    with WebServer({"/": Answer()}) as web:
        told = run(capsys, ca_pem=ca_pem, urls={"x": f"{web.url}/"})["urls"]["x"]
        assert told.get("status") == 200, told


def test_odd_wishes(capsys: pytest.CaptureFixture[str]) -> None:
    """A contract that is wrong never stops the probe."""
    probe = run(
        capsys,
        peers=["", "a b", "127.0.0.1"],
        peer_port=99999999,
        neighbours=["x"],
        urls={"a": "http://h:99999999/", "b": None, "c": 5, "d": "http://["},
        package_indexes=[{}, {"list": 5, "release": 5}],
        registry_url="http://:/v2/",
        registry_password=PASSWORD,
        modules=["../../etc", "("],
    )
    assert all(state.startswith("other") for state in probe["peers"].values())
    assert {answer["error"] for answer in probe["urls"].values()} == {"other"}
    assert len(probe["unread_lists"]) == 2
