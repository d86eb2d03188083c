# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Who may read the hubs' metrics through role reverse_proxy's NGINX."""

from __future__ import annotations

import json
from collections.abc import Callable

from nginx_machine import needs_nginx
from proxy_machine import Machine

SPELLINGS = [
    "{}metrics",
    "{}metrics/",
    "{}metrics//",
    "{}metrics?a=b",
    "{}metrics#a",
    "{}metrics%2f",
    "/{}metrics",
    "/.{}metrics",
    "/x/..{}metrics",
    "{}/metrics",
    "{}./metrics",
    "{}x/../metrics",
    "{}%2e/metrics",
    "{}x/%2E%2e/metrics",
    "{}x/..%2fmetrics",
    "{}metrics/x/..",
    "{}metric%73",
    "{}%6Det%72ics",
    "{}METRICS",
    "{}Metrics/",
    "http://hub{}metrics",
]
PATHS = ["/binderhub/", "/private/binderhub/", "/jupyterhub/hub/", "/private/jupyterhub/hub/"]


@needs_nginx
def test_metrics_are_closed_however_they_are_spelled(start: Callable[..., Machine]) -> None:
    machine = start("plain")
    for path in PATHS:
        found = {target: machine.answer(target)[0] for target in (text.format(path) for text in SPELLINGS)}
        assert {target: status for target, status in found.items() if status != 404} == {}
    # Nobody else is kept out.
    for target in (
        "/binderhub/",
        "/binderhub/metrics.js",
        "/jupyterhub/hub/api",
        "/jupyterhub/user/a/metrics",
    ):
        assert machine.answer(target)[0] == 200
    # NGINX decodes once. What still is encoded then reaches the hub as it came, where it is no metrics either.
    assert json.loads(machine.answer("/binderhub/%256detrics")[1])["path"] == "/binderhub/%256detrics"


@needs_nginx
def test_metrics_are_closed_for_every_method_and_whatever_the_client_says(
    start: Callable[..., Machine],
) -> None:
    machine = start("plain")
    claims = dict.fromkeys(("X-Forwarded-For", "X-Real-IP"), "127.0.0.1")
    assert machine.answer("/binderhub/metrics", claims)[0] == 404
    for method in ("HEAD", "POST", "OPTIONS", "GETS"):
        assert machine.answer("/binderhub/metrics", method=method)[0] == 404
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "x",
        "Sec-WebSocket-Version": "13",
    }
    assert machine.answer("/jupyterhub/hub/metrics", upgrade)[0] == 404


@needs_nginx
def test_metrics_of_hubs_at_the_root_are_closed_and_nothing_else(start: Callable[..., Machine]) -> None:
    machine = start("metrics at the root")
    closed = ["/metrics", "//metrics/", "/metrics/b/metrics", "/h.b/hub/metrics", "/metrics/h/hub/metrics"]
    assert {target: machine.answer(target)[0] for target in closed} == dict.fromkeys(closed, 404)
    port = {
        path: json.loads(machine.answer(path)[1])["server"].rpartition(":")[2]
        for path in ("/", "/metrics/b/x")
    }
    assert port == {"/": str(machine.upstreams["30585"]), "/metrics/b/x": str(machine.upstreams["30586"])}
    # Another path, which the dot of the hub's must not match; it leads to the BinderHub at the root.
    assert machine.answer("/h_b/hub/metrics")[0] == 200


@needs_nginx
def test_metrics_are_open_to_those_who_may(start: Callable[..., Machine]) -> None:
    machine = start("metrics")
    servers = {
        path: json.loads(machine.answer(f"{path}metrics?a=b")[1])["server"].rpartition(":")[2]
        for path in PATHS
    }
    assert list(servers.values()) == [str(machine.upstreams[name]) for name in ("30585", "30586", "80", "80")]
    assert json.loads(machine.answer("/binderhub/metrics?a=b")[1])["path"] == "/binderhub/metrics?a=b"


@needs_nginx
def test_metrics_are_judged_by_the_client_behind_a_trusted_proxy(start: Callable[..., Machine]) -> None:
    machine = start("metrics behind a proxy")
    for client, status in {
        "203.0.113.9": 200,
        "198.51.100.9": 404,
        # Only the last address is the trusted proxy's word; what is before it anybody may have written.
        "203.0.113.9, 198.51.100.9": 404,
        "198.51.100.9, 203.0.113.9": 200,
    }.items():
        for path in PATHS:
            assert machine.answer(f"{path}metrics", {"X-Forwarded-For": client})[0] == status, client
    assert machine.answer("/binderhub/metrics")[0] == 404
