# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.health import Health, check_health
from binder_server import Answers, BinderServer

REGISTRY, HUB = {"service": "Docker registry", "ok": True}, {"service": "JupyterHub API", "ok": True}
FULL = {"service": "Pod quota", "ok": False, "total_pods": 9, "quota": 8}
VERSIONS = {"binderhub": "1.0.0", "builder_info": {"build_image": "r2d:2026"}}


def check(answers: Answers, slash: str = "/") -> Any:
    with BinderServer(answers) as server:
        try:
            return check_health(server.url.rstrip("/") + slash, HttpTransport())
        except VerifyError as error:
            return error


@pytest.mark.parametrize("slash", ["", "/"])
def test_well(slash: str) -> None:
    answers = Answers(health=(200, {"ok": True, "checks": [REGISTRY, HUB, FULL]}), versions=VERSIONS)
    health = check(answers, slash)
    assert health == Health(True, True, [REGISTRY, HUB, FULL], VERSIONS)
    assert health.failing == ["Pod quota"]


def test_ill() -> None:
    health = check(Answers(health=(503, {"ok": False, "checks": [{**REGISTRY, "ok": False}, HUB]})))
    assert (health.ok, health.supported, health.failing, health.versions) == (
        False,
        True,
        ["Docker registry"],
        {},
    )


def test_an_old_binderhub_answers_by_its_page() -> None:
    health = check(Answers())
    assert health == Health(True, False, [{"service": "BinderHub page", "ok": True}], {})


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (Answers(main_page="<h1>Welcome to nginx!</h1>"), "not_binderhub"),
        (Answers(health=(503, None)), "proxy"),
        (Answers(health=(502, None)), "proxy"),
        (Answers(health=(401, None)), "sign_in"),
        (Answers(health=(500, None)), "http"),
        (Answers(health=(503, ["ok"])), "proxy"),
    ],
)
def test_what_is_no_binderhub(answers: Answers, kind: str) -> None:
    error = check(answers)
    assert isinstance(error, VerifyError) and error.kind == kind


def test_nobody_there() -> None:
    with BinderServer(Answers()) as server:
        url = server.url
    with pytest.raises(VerifyError, match="nothing can be reached"):
        check_health(url, HttpTransport())
