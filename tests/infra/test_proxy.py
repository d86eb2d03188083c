# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The proxy that people meet: what NGINX runs with, and what it does with requests."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from live_site import Site
from web import Client

testinfra_hosts = ["ansible://proxy"]

TOKEN = re.compile(r"#[^\n]*|\"(?:\\.|[^\"])*\"|'(?:\\.|[^'])*'|[{};]|[^\s{};\"']+")
Block = list[tuple[list[str], Any]]

# A request from the proxy itself, to a node, as NGINX would make it.
ASK = "import sys, urllib.request as r; print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=10).status)"


def parse(tokens: Iterator[str]) -> Block:
    """Read the statements up to the end of a block: words, and the block that follows them or None."""
    statements: Block = []
    words: list[str] = []
    for token in tokens:
        if token == "}":
            break
        if token in "{;":
            statements.append((words, parse(tokens) if token == "{" else None))
            words = []
        else:
            words.append(token)
    return statements


def locations(block: Block, inherited: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every location with the directives in force there, those of its server included."""
    here = {**inherited, **{words[0]: " ".join(words[1:]) for words, inner in block if inner is None}}
    for words, inner in block:
        if inner is None:
            continue
        if words[0] == "location":
            yield " ".join(words[1:]), {**here, **{own[0]: " ".join(own[1:]) for own, _ in inner}}
        else:
            yield from locations(inner, here)


def host_of(url: str) -> str:
    """Return the name by which people come."""
    return urlsplit(url).hostname or ""


def log_of(site: Site, hub: Mapping[str, Any], path: str) -> str:
    """Return what a path logs to: behind the name of its hub's host, where that is another one than the site's."""
    host = host_of(hub["hub_url"])
    own = [host] if host != host_of(site.contract["site_public_url"]) else []
    return f"/var/log/nginx/{'.'.join([*own, path.strip('/').replace('/', '.') or 'root'])}.access.log"


def test_nginx_runs_and_its_files_are_sound(host: Any) -> None:
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled
    tested = host.run("/usr/sbin/nginx -t -q")
    assert tested.rc == 0, tested.stderr


def test_nothing_is_buffered_on_the_way_to_a_hub(host: Any, site: Site) -> None:
    text = host.check_output("/usr/sbin/nginx -T -q")
    tokens = (token for token in TOKEN.findall(text) if not token.startswith("#"))
    everywhere = list(locations(parse(tokens), {}))
    for hub in site.hubs.values():
        name = host_of(hub["hub_url"])
        found = {path: told for path, told in everywhere if name in told.get("server_name", "").split()}
        for path in (hub["binder_base_url"], hub["hub_base_url"]):
            assert found[path]["proxy_buffering"] == "off"
            assert found[path]["proxy_http_version"] == "1.1"
            assert int(found[path]["proxy_read_timeout"].rstrip("s")) >= 3600
            assert found[path]["access_log"].startswith(log_of(site, hub, path))


def test_every_node_answers_the_proxy(host: Any, site: Site) -> None:
    for hub in site.hubs.values():
        for address in site.contract["site_node_addresses"].values():
            # Of its pages the one that nobody has to sign in for.
            url = f"http://{address}:{hub['node_port']}{hub['binder_base_url']}metrics"
            assert host.check_output("python3 -c %s %s", ASK, url) == "200"


def test_people_reach_both_applications(site: Site, client: Client) -> None:
    for hub in site.hubs.values():
        page = client.get(hub["binder_url"])
        if (hub.get("auth") or {}).get("kind", "none") == "none":
            assert page.status == 200
            assert page.headers["content-type"].startswith("text/html")
        else:
            assert page.status == 302
            assert page.headers["location"].startswith(f"{hub['hub_url']}hub/api/oauth2/authorize?")
        api = client.get(f"{hub['hub_url']}hub/api")
        assert api.status == 200
        assert api.json()["version"]


def test_paths_without_their_slash_are_redirected(site: Site, client: Client) -> None:
    for hub in site.hubs.values():
        for kind in ("binder", "hub"):
            if hub[f"{kind}_base_url"] != "/":
                answer = client.get(hub[f"{kind}_url"].rstrip("/") + "?from=test")
                assert (answer.status, answer.headers["location"]) == (
                    302,
                    hub[f"{kind}_base_url"] + "?from=test",
                )


def test_metrics_are_for_those_who_may_only(host: Any, site: Site, client: Client) -> None:
    node = next(iter(site.contract["site_node_addresses"].values()))
    for hub in site.hubs.values():
        # BinderHub itself tells everyone, so what keeps strangers out is the proxy.
        own = f"http://{node}:{hub['node_port']}{hub['binder_base_url']}metrics"
        assert host.check_output("python3 -c %s %s", ASK, own) == "200"
        for base in (hub["binder_url"], f"{hub['hub_url']}hub/"):
            for spelled in (
                "metrics",
                "metrics/",
                "/metrics",
                "METRICS",
                "%6detrics",
                "x/../metrics",
                "./metrics?a=b",
            ):
                answer = client.get(f"{base}{spelled}")
                # NGINX's own page: the request went no further.
                assert (answer.status, b"<center>nginx</center>" in answer.body) == (404, True), (
                    base + spelled
                )


def test_requests_are_logged_by_path_and_without_tokens(host: Any, site: Site, client: Client) -> None:
    for hub in site.hubs.values():
        mark = uuid.uuid4().hex
        client.get(f"{hub['hub_url']}hub/{mark}?token=canary-{mark}")
        own, other = (
            host.check_output("cat %s", log_of(site, hub, path))
            for path in (hub["hub_base_url"], hub["binder_base_url"])
        )
        assert f"/hub/{mark} " in own
        assert mark not in other
        assert f"canary-{mark}" not in own


def test_hubs_learn_the_public_scheme_and_host(site: Site, client: Client) -> None:
    # A hub that took the client's word would redirect to it.
    for hub in site.hubs.values():
        answer = client.get(
            f"{hub['hub_url']}hub/", {"X-Forwarded-Host": "evil.example.org", "X-Forwarded-Proto": "gopher"}
        )
        assert "evil.example.org" not in answer.headers.get("location", "")
        assert "gopher" not in json.dumps(dict(answer.headers))
