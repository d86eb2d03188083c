# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A sentence for each row of the tables, as it was said, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.causes import (
    CAUSES,
    REFUSALS,
    find_cause,
    find_refusal,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import Event, PhaseFollower
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.failure import failed_launch

# One line for each row of REFUSALS, in their order.
SAID = [
    ("provider_rate_limit", "GitHub rate limit exceeded. Try again in 12 minutes."),
    ("build_token", "Invalid build token"),
    ("banned", "Requests from the department of noise are not allowed"),
    ("quota", 'pods "jupyter-x" is forbidden: exceeded quota: sessions, requested: pods=1'),
    ("quota", "User alice already has the maximum of 3 named servers."),
    ("quota", "Too many users on this BinderHub! Try again soon."),
    ("rate_limit", "Rate limit exceeded. Try again in 3600 seconds."),
    ("provider", "No provider found for prefix xx"),
    ("not_a_stream", "Missing Accept header: text/event-stream"),
    ("repository", "Error resolving ref for git:http%3A%2F%2Fx/HEAD: fatal: unable to access 'http://x/'"),
    ("banned", "Sorry, someone/miner is not allowed to launch. Please contact admins for more info!"),
    ("repository", 'Spec is not of the form "user/repo/ref", provided: "a/b".'),
]
# One line for each row of CAUSES, in their order: the phase it is said in, and a word of the remedy.
SEEN = [
    ("launching", 'MountVolume.SetUp failed for volume "x" : secret "x" not found', "namespace lacks"),
    (
        "launching",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "containerd",
    ),
    (
        "launching",
        "failed to authorize: failed to fetch anonymous token: 401 Unauthorized",
        "sessions pull with",
    ),
    ("launching", "failed to pull: manifest unknown: manifest unknown", "image_prefix"),
    ("launching", "http: server gave HTTP response to HTTPS client", "run the stage nodes"),
    ("pushing", "x509: certificate signed by unknown authority", "/etc/docker/certs.d"),
    ("building", "toomanyrequests: You have reached your unauthenticated pull rate limit", "Docker Hub"),
    ("pushing", "http: server gave HTTP response to HTTPS client", "plain HTTP"),
    ("pushing", "unauthorized: authentication required", "site_registry_username"),
    ("building", "write /var/lib/docker/tmp: no space left on device", "disk is full"),
    (
        "pushing",
        'Get "https://10.0.0.1:5000/v2/": dial tcp 10.0.0.1:5000: connect: connection refused',
        "answer",
    ),
    ("waiting", "Error: ImagePullBackOff", "cannot pull the image"),
    ("building", "command terminated with exit code 137", "memory ran out"),
    ("fetching", "fatal: unable to access 'https://x/': Could not resolve host: x", "CoreDNS"),
    ("launching", "0/3 nodes are available: 3 Insufficient memory.", "no node has room"),
]


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_each_refusal(number: int) -> None:
    kind, said = SAID[number]
    row = find_refusal(said, "waiting", pod_may_speak=False)
    assert row is REFUSALS[number]
    assert row.kind == kind


@pytest.mark.parametrize("number", range(len(CAUSES)))
def test_each_cause(number: int) -> None:
    phase, said, word = SEEN[number]
    row = find_cause(said, phase)
    assert row is CAUSES[number]
    assert word in row.remedy


def test_every_row_has_its_line() -> None:
    assert (len(SAID), len(SEEN)) == (len(REFUSALS), len(CAUSES))


def explained(phase: str, message: str, status_code: int = 0, build: bool = False) -> Any:
    follower = PhaseFollower(Clock())
    for name in [*(["waiting"] if build else []), *([phase] if phase != "waiting" else [])]:
        follower.apply(Event(json.dumps({"phase": name, "message": "..."})))
    failure = {"phase": "failed", "message": message, "status_code": status_code}
    follower.apply(Event(json.dumps({key: value for key, value in failure.items() if value})))
    return failed_launch("http://x", follower)


class Clock:
    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("phase", "message", "code", "build", "kind"),
    [
        ("waiting", "Unauthorized", 401, False, "sign_in"),
        ("waiting", "Forbidden", 403, False, "sign_in"),
        ("waiting", "", 403, False, "sign_in"),
        ("waiting", "Invalid build token", 403, False, "build_token"),
        ("waiting", "Requests from x are not allowed", 403, False, "banned"),
        ("waiting", "Too Many Requests", 429, False, "rate_limit"),
        ("waiting", "Too many users running x! Try again soon.", 429, False, "quota"),
        ("launching", "Too many users running x! Try again soon.", 0, True, "quota"),
        ("launching", "User alice already has a running server.", 409, False, "quota"),
        # Words that a build's or a session's pod may use too.
        ("waiting", "pod not found", 0, True, "build"),
        ("launching", 'secret "x" not found', 500, True, "launch"),
        ("launching", 'configmap "x" not found', 500, False, "launch"),
        ("launching", 'serviceaccount "x" not found', 0, False, "launch"),
        ("built", 'secret "x" not found', 0, True, "launch"),
        ("launching", "toomanyrequests: you have reached your pull rate limit", 0, True, "launch"),
        ("launching", "client rate limiter Wait returned an error", 0, True, "launch"),
        ("launching", "exec /usr/bin/start: permission denied", 0, True, "launch"),
        ("building", "the requirement numpy==9 is not valid, not found, banned", 0, True, "build"),
        # BinderHub's own words, said although it had told of a wait before.
        ("waiting", "Could not resolve ref for gh:a/b/main. Double check your URL", 0, True, "repository"),
        ("waiting", "404: Not Found", 0, False, "repository"),
    ],
)
def test_words_before_codes_before_phases(
    phase: str, message: str, code: int, build: bool, kind: str
) -> None:
    assert explained(phase, message, code, build).kind == kind


def test_a_file_that_may_not_be_read_is_no_matter_of_accounts() -> None:
    assert "site_registry_username" not in str(explained("launching", "start: permission denied", 0, True))
    assert "site_registry_username" not in str(explained("launching", "pods x is forbidden: policy", 0, True))
