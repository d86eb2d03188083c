# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""People open the hubs in a real browser: they see a build, compute in JupyterLab, sign in, and find their files again.

`--browser` names the browser, `--screenshots` a folder for the pictures of the documentation.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from chromium import WIDTH, Log, fill_in, launch, open_notebook, run_cell, window
from live_site import Site
from playwright.sync_api import Error, Page, Playwright, expect, sync_playwright
from web import Client

Hub = Mapping[str, Any]
Window = Callable[..., AbstractContextManager[Page]]
Launch = Callable[..., Log]
SignIn = Callable[..., None]
Picture = Callable[[str], "Path | None"]
NOTEBOOK = "hello.ipynb"


@pytest.fixture(scope="module")
def playwright(request: pytest.FixtureRequest) -> Iterator[Playwright]:
    """Return what drives browsers."""
    if not request.config.getoption("--browser"):
        pytest.skip("--browser names none")
    with sync_playwright() as started:
        yield started


@pytest.fixture
def open_window(
    request: pytest.FixtureRequest,
    site: Site,
    playwright: Playwright,
    tmp_path_factory: pytest.TempPathFactory,
) -> Window:
    """Return what opens a new browser, which trusts the site's CAs unless it is told otherwise."""

    def opened(ca_files: list[str] | None = None) -> AbstractContextManager[Page]:
        trusted = site.contract["site_ca_files"] if ca_files is None else ca_files
        return window(
            playwright, request.config.getoption("--browser"), tmp_path_factory.mktemp("home"), trusted
        )

    return opened


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Picture:
    """Return what gives the file for a picture, where pictures are asked for."""
    folder = request.config.getoption("--screenshots")
    return lambda name: folder / f"{name}.png" if folder else None


def hub_of(site: Site, kind: str) -> Hub:
    """Return the first hub on which people sign in like this."""
    found = [hub for hub in site.hubs.values() if hub["auth"]["kind"] == kind]
    if not found:
        pytest.skip(f"no hub has auth.kind {kind}")
    return found[0]


@pytest.fixture
def public(site: Site) -> Hub:
    """Return a hub on which nobody signs in."""
    return hub_of(site, "none")


@pytest.fixture
def private(site: Site) -> Hub:
    """Return a hub on which people sign in by a provider."""
    return hub_of(site, "oidc")


def user_of(page: Page) -> str:
    """Return whose session a page is of, `` where it is of none."""
    return urlsplit(page.url).path.partition("/user/")[2].partition("/")[0]


@pytest.fixture
def launch_sample(site: Site, client: Client, eventually: Callable[..., Any]) -> Iterator[Launch]:
    """Return what types the site's sample into the page of a hub and launches it; its sessions are ended after the test."""
    if site.contract["site_verify_provider"] != "git":
        pytest.skip("the site's sample is typed in otherwise")
    repository, _, ref = site.contract["site_verify_spec"].partition("/")
    users: dict[str, Hub] = {}

    def launched(page: Page, hub: Hub, account: str = "", shot: Path | None = None) -> Log:
        url = unquote(repository).replace("://", f"://{account}@") if account else unquote(repository)
        fill_in(page, "git", url, unquote(ref))
        try:
            return launch(page, shot)
        finally:
            if user := user_of(page):
                users[user] = hub

    def running(user: str, hub: Hub) -> list[str]:
        headers = {"Authorization": f"token {site.contract['site_hub_api_tokens'][hub['name']]}"}
        url = f"{hub['hub_url']}hub/api/users/{user}"
        answer = client.get(url, headers)
        servers = answer.json()["servers"] if answer.status == 200 else {}
        for name in servers:
            client.send("DELETE", f"{url}/servers/{name}" if name else f"{url}/server", headers)
        return list(servers)

    yield launched
    for user, hub in users.items():
        assert eventually(partial(running, user, hub)) == []


@pytest.fixture
def sign_in(site: Site, private: Hub) -> SignIn:
    """Return what opens BinderHub's page, follows it to the provider, and fills in and sends the form there."""
    state = Path(site.inventory or "inventories/lab") / ".lab/login"
    if not state.is_dir():
        pytest.skip("this is no lab: nobody here has a password that a test may know")

    def by_the_pages(page: Page, name: str, shot: Path | None = None) -> None:
        page.goto(private["binder_url"])
        assert page.url.startswith(f"{private['hub_url']}hub/login")
        if shot:
            # There is nothing below.
            page.screenshot(path=shot, clip={"x": 0, "y": 0, "width": WIDTH, "height": 180})
        page.locator("a[href*=oauth_login]").click()
        page.get_by_label("User name").fill(name)
        assert page.url.startswith(private["auth"]["issuer"])
        page.get_by_label("Password").fill((state / f"person-{name}").read_text().strip())
        page.get_by_role("button", name="Sign in").click()

    return by_the_pages


def test_who_does_not_trust_the_sites_ca_gets_no_page(site: Site, open_window: Window) -> None:
    """So a page that opens below has shown a certificate of its own name, by a CA that was put there for it."""
    if not site.contract["site_ca_files"]:
        pytest.skip("the site has no CA of its own")
    with open_window([]) as page:
        for hub in site.hubs.values():
            with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                page.goto(hub["binder_url"])


def test_somebody_sees_the_log_grow_and_computes(
    public: Hub, open_window: Window, launch_sample: Launch, picture: Picture
) -> None:
    # BinderHub takes another URL for another repository, and builds; a Git server that asks for no account ignores the name.
    account = f"visitor-{uuid.uuid4().hex[:6]}"
    with open_window() as page:
        page.goto(public["binder_url"])
        log = launch_sample(page, public, account, picture("build-log"))
        assert "Built image, launching..." in log.seen, log
        # Behind a buffer all of it arrives with the end.
        assert len(log.looks) >= 5, log
        assert log.looks[-1] - log.looks[0] > 1, log
        open_notebook(page, NOTEBOOK)
        assert f"://{account}@" in run_cell(page, 0)
        assert run_cell(page, 1, 'print("Six times seven is", 6 * 7)') == "Six times seven is 42"
        if shot := picture("session"):
            page.screenshot(path=shot)


def test_alice_finds_her_file_in_her_next_session(
    private: Hub, open_window: Window, sign_in: SignIn, launch_sample: Launch, picture: Picture
) -> None:
    if not private["user_volumes"].get("enabled", bool(private["user_volumes"])):
        pytest.skip("people have no volumes there")
    folder = private["user_volumes"].get("mount_path") or "/home/jovyan/work"
    file, text = f"{folder}/browser-{uuid.uuid4().hex}.txt", uuid.uuid4().hex
    with open_window() as page:
        sign_in(page, "alice", picture("sign-in"))
        page.wait_for_url(private["binder_url"])
        launch_sample(page, private)
        assert user_of(page) == "alice"
        open_notebook(page, NOTEBOOK)
        assert run_cell(page, 0, f'print(open("{file}", "w").write("{text}"))') == str(len(text))
        first = urlsplit(page.url).path.split("/lab")[0]
        # The button does nothing until the page's scripts, which are fetched last, have told it what.
        page.goto(f"{private['hub_url']}hub/home", wait_until="networkidle")
        stop = page.get_by_role("button", name="stop", exact=True)
        stop.click()
        expect(stop).to_have_count(0)
        page.goto(private["binder_url"])
        launch_sample(page, private)
        assert urlsplit(page.url).path.split("/lab")[0] != first, "this is the session of before"
        open_notebook(page, NOTEBOOK)
        # It leaves nothing of itself in her volume.
        assert run_cell(page, 0, f'import os; print(open("{file}").read()); os.unlink("{file}")') == text


def test_bob_is_told_that_he_may_not(private: Hub, open_window: Window, sign_in: SignIn) -> None:
    with open_window() as page:
        sign_in(page, "bob")
        expect(page.get_by_text("not currently authorized to use this hub")).to_be_visible()
        assert page.url.startswith(f"{private['hub_url']}hub/oauth_callback")
        expect(page.locator("#build-form")).to_have_count(0)
