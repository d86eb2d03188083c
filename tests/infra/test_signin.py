# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""People sign in at their institution's provider, as with a browser: who may, who may not, and what a login is worth.

Only the lab's provider has people whose passwords a test may know.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser import Browser, Page
from live_site import Site
from web import Client

testinfra_hosts = ["ansible://head"]

Hub = Mapping[str, Any]
SignIn = Callable[[str], tuple[Browser, Page]]
ENDS = ("ready", "failed", "failure")


@pytest.fixture(scope="module")
def hub(site: Site) -> Hub:
    """Return the first hub on which people sign in by a provider."""
    found = [hub for hub in site.hubs.values() if (hub.get("auth") or {}).get("kind") == "oidc"]
    if not found:
        pytest.skip("people sign in nowhere, or by no provider")
    return found[0]


@pytest.fixture(scope="module")
def state(site: Site) -> Path:
    """Return where the lab keeps what its provider is told."""
    folder = Path(site.inventory or "inventories/lab") / ".lab"
    if not (folder / "login").is_dir():
        pytest.skip("this is no lab: nobody here has a password that a test may know")
    return folder


@pytest.fixture
def sign_in(site: Site, hub: Hub, state: Path) -> SignIn:
    """Return what opens BinderHub's page in a new browser, and fills in the provider's form: the browser, and where that led."""

    def by_the_form(name: str) -> tuple[Browser, Page]:
        browser = Browser(ca_files=tuple(site.contract["site_ca_files"]))
        page = browser.open(hub["binder_url"])
        assert page.url.startswith(f"{hub['hub_url']}hub/login"), page.visited
        page = browser.open(page.link("oauth_login"))
        assert page.url.startswith(hub["auth"]["issuer"]), page.visited
        password = (state / "login" / f"person-{name}").read_text().strip()
        return browser, browser.submit(page, name=name, password=password)

    return by_the_form


@pytest.fixture
def ask_hub(site: Site, hub: Hub, client: Client) -> Callable[..., Any]:
    """Return what asks the hub's API as BinderHub does: the status, and what it says."""
    token = site.contract["site_hub_api_tokens"][hub["name"]]

    def ask(method: str, path: str) -> tuple[int, Any]:
        answer = client.send(method, f"{hub['hub_url']}hub/api/{path}", {"Authorization": f"token {token}"})
        return answer.status, answer.json() if answer.body else None

    return ask


@pytest.fixture
def no_servers(ask_hub: Callable[..., Any], eventually: Callable[..., Any]) -> Iterator[None]:
    """Stop what alice started, before and after."""

    def running() -> list[str]:
        servers = (ask_hub("GET", "users/alice")[1] or {}).get("servers") or {}
        for name in servers:
            ask_hub("DELETE", f"users/alice/servers/{name}")
        return list(servers)

    assert eventually(running) == []
    yield
    assert eventually(running) == []


def launch(
    site: Site, hub: Hub, browser: Browser, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Launch the site's sample, by the cookies of a browser unless by a header; give the event that ends it."""
    contract = site.contract
    url = f"{hub['binder_url']}build/{contract['site_verify_provider']}/{contract['site_verify_spec']}"
    if not headers:
        # As BinderHub's page does: a script of somebody else's cannot read this cookie.
        url += f"?_xsrf={quote(browser.cookie('_xsrf', hub['binder_base_url']))}"
    last: dict[str, Any] = {}
    for last in browser.events(url, headers):
        if str(last.get("phase", "")).lower() in ENDS:
            break
    return last


def test_nobody_launches_without_signing_in(site: Site, hub: Hub) -> None:
    browser = Browser(ca_files=tuple(site.contract["site_ca_files"]))
    assert browser.open(hub["binder_url"]).url.startswith(f"{hub['hub_url']}hub/login")
    for headers in ({}, {"Authorization": f"token {'0' * 64}"}):
        told = launch(site, hub, browser, headers)
        assert (told["phase"], told["status_code"]) == ("failed", 403), told


@pytest.mark.usefixtures("no_servers")
def test_somebody_in_the_group_signs_in_and_launches(site: Site, hub: Hub, sign_in: SignIn) -> None:
    browser, page = sign_in("alice")
    assert (page.status, page.url) == (200, hub["binder_url"])
    # The page has to hand it to its stream: by a cookie alone the next line would be refused.
    assert browser.cookie("_xsrf", hub["binder_base_url"]) in page.html
    ready = launch(site, hub, browser)
    assert ready["phase"] == "ready", ready
    assert ready["url"].startswith(f"{hub['hub_url']}user/alice/")
    notebook = browser.open(ready["url"])
    assert notebook.status == 200
    assert notebook.url.startswith(ready["url"])
    assert "jupyter-config-data" in notebook.html
    # To anybody else, the launch's own token in hand, it is closed.
    stranger = Browser(ca_files=tuple(site.contract["site_ca_files"]))
    led = stranger.open(f"{ready['url']}?token={ready['token']}")
    assert led.url.startswith(f"{hub['hub_url']}hub/login"), led.visited


def test_somebody_outside_the_group_is_told_so_and_led_in_no_circle(
    hub: Hub, sign_in: SignIn, ask_hub: Callable[..., Any]
) -> None:
    browser, page = sign_in("bob")
    assert page.status == 403
    assert page.url.startswith(f"{hub['hub_url']}hub/oauth_callback")
    assert "not currently authorized to use this hub" in page.text
    assert len(page.visited) == len(set(page.visited))
    # The hub has not made an account for whom it does not know.
    assert ask_hub("GET", "users/bob")[0] == 404
    assert browser.open(hub["binder_url"]).url.startswith(f"{hub['hub_url']}hub/login")


def test_an_admin_is_one_and_others_are_not(hub: Hub, sign_in: SignIn) -> None:
    for name, status in (("carol", 200), ("alice", 403)):
        browser, _ = sign_in(name)
        assert browser.open(f"{hub['hub_url']}hub/admin").status == status, name


def test_a_token_without_the_scope_launches_nothing(site: Site, hub: Hub, sign_in: SignIn) -> None:
    """It says who it is of; that is not what an unknown one says."""
    browser, _ = sign_in("alice")
    browser.open(f"{hub['hub_url']}hub/token")
    status, made = browser.call(
        "POST",
        f"{hub['hub_url']}hub/api/users/alice/tokens",
        {
            "Content-Type": "application/json",
            "X-XSRFToken": browser.cookie("_xsrf", f"{hub['hub_base_url']}hub/"),
        },
        {"note": "ironbinder-test", "expires_in": 300, "scopes": ["read:users:name!user=alice"]},
    )
    assert status == 201
    told = launch(site, hub, Browser(browser.ca_files), {"Authorization": f"token {made['token']}"})
    assert (told["phase"], told["status_code"]) == ("failed", 403), told
    assert "user alice is not allowed" in told["message"]


def test_a_logout_ends_the_login(hub: Hub, sign_in: SignIn) -> None:
    browser, _ = sign_in("alice")
    assert browser.open(f"{hub['hub_url']}hub/home").url == f"{hub['hub_url']}hub/home"
    browser.open(f"{hub['hub_url']}hub/logout")
    assert browser.open(f"{hub['hub_url']}hub/home").url.startswith(f"{hub['hub_url']}hub/login")
    assert browser.call("GET", f"{hub['hub_url']}hub/api/user", {})[0] == 403


@pytest.fixture
def secret_expired(hub: Hub, state: Path, client: Client, eventually: Callable[..., Any]) -> Iterator[None]:
    """Have the provider know another secret of this client, as it does when one has expired."""
    file = state / "srv" / "provider.json"
    before = file.read_text()
    settings, name = json.loads(before), hub["auth"]["client_id"]
    login = base64.b64encode(f"{name}:{settings['clients'][name]['secret']}".encode()).decode()
    settings["clients"][name]["secret"] = "another-one-that-nobody-was-told"

    def refused() -> int:
        """The provider starts anew for it. It refuses who asks before it refuses what is asked."""
        try:
            asked = client.send(
                "POST",
                f"{hub['auth']['issuer'].rstrip('/')}/token",
                {
                    "Authorization": f"Basic {login}",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                b"grant_type=authorization_code&code=none",
            )
        except OSError:
            return 0
        return asked.status

    file.write_text(json.dumps(settings))
    try:
        assert eventually(lambda: refused() != 401, seconds=30) is False
        yield
    finally:
        file.write_text(before)
        assert eventually(lambda: refused() != 400, seconds=30) is False


@pytest.mark.usefixtures("secret_expired")
def test_an_expired_secret_has_its_cause_in_the_hubs_log(
    hub: Hub, sign_in: SignIn, kubectl: Callable[..., Any]
) -> None:
    _, page = sign_in("alice")
    assert page.status == 500
    assert page.url.startswith(f"{hub['hub_url']}hub/oauth_callback")
    log = kubectl("--namespace", hub["namespace"], "logs", "deployment/hub", "--since=60s", output="")
    assert "invalid_client" in log


def test_and_with_the_right_secret_people_come_in_again(hub: Hub, sign_in: SignIn) -> None:
    """What the test before took is there again."""
    assert sign_in("alice")[1].url == hub["binder_url"]
