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
from chromium import fill_in, launch, open_notebook, run_cell, window
from live_site import Site
from playwright.sync_api import Error, Page, Playwright, expect, sync_playwright
from web import Client

Hub = Mapping[str, Any]
Window = Callable[..., AbstractContextManager[Page]]
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
def sample(site: Site) -> tuple[str, str]:
    """Return the URL and the ref of the site's own sample."""
    if site.contract["site_verify_provider"] != "git":
        pytest.skip("the site's sample is typed in otherwise")
    url, _, ref = site.contract["site_verify_spec"].partition("/")
    return unquote(url), unquote(ref)


@pytest.fixture
def state(site: Site) -> Path:
    """Return where the lab keeps the passwords of its people."""
    folder = Path(site.inventory or "inventories/lab") / ".lab/login"
    if not folder.is_dir():
        pytest.skip("this is no lab: nobody here has a password that a test may know")
    return folder


@pytest.fixture
def end_sessions(
    site: Site, client: Client, eventually: Callable[..., Any]
) -> Iterator[Callable[[Hub, str], None]]:
    """Return what takes note of a user whose sessions are to be ended after the test."""
    noted: list[tuple[Hub, str]] = []

    def running(hub: Hub, user: str) -> list[str]:
        headers = {"Authorization": f"token {site.contract['site_hub_api_tokens'][hub['name']]}"}
        url = f"{hub['hub_url']}hub/api/users/{user}"
        answer = client.get(url, headers)
        servers = answer.json().get("servers") or {} if answer.status == 200 else {}
        for name in servers:
            client.send("DELETE", f"{url}/servers/{name}" if name else f"{url}/server", headers)
        return list(servers)

    def note(hub: Hub, user: str) -> None:
        noted.append((hub, user))

    yield note
    for hub, user in noted:
        assert eventually(partial(running, hub, user)) == []


def user_of(page: Page) -> str:
    """Return whose session a page is of."""
    return urlsplit(page.url).path.partition("/user/")[2].partition("/")[0]


def sign_in(page: Page, hub: Hub, state: Path, name: str, shot: Path | None = None) -> None:
    """Open BinderHub's page, follow it to the provider, and fill in and send the form there."""
    page.goto(hub["binder_url"])
    assert page.url.startswith(f"{hub['hub_url']}hub/login")
    if shot:
        page.screenshot(path=shot)
    page.locator("a[href*=oauth_login]").click()
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill((state / f"person-{name}").read_text().strip())
    assert page.url.startswith(hub["auth"]["issuer"])
    page.get_by_role("button", name="Sign in").click()


def test_who_does_not_trust_the_sites_ca_gets_no_page(site: Site, open_window: Window) -> None:
    """So that a page which opens below has shown a certificate of its own name."""
    if not site.contract["site_ca_files"]:
        pytest.skip("the site has no CA of its own")
    with open_window([]) as page:
        for hub in site.hubs.values():
            with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                page.goto(hub["binder_url"])


def test_somebody_sees_the_log_grow_and_computes(
    site: Site,
    sample: tuple[str, str],
    open_window: Window,
    picture: Picture,
    end_sessions: Callable[[Hub, str], None],
) -> None:
    hub = hub_of(site, "none")
    with open_window() as page:
        page.goto(hub["binder_url"])
        # BinderHub takes another URL for another repository, and builds; a Git server that asks for no account ignores the name.
        visitor = f"://visitor-{uuid.uuid4().hex[:6]}@"
        fill_in(page, "git", sample[0].replace("://", visitor), sample[1])
        log = launch(page, picture("build-log"))
        end_sessions(hub, user_of(page))
        assert "Built image, launching..." in log.seen, log
        # Behind a buffer all of it arrives with the end.
        assert len(log.looks) >= 5, log
        assert log.looks[-1] - log.looks[0] > 1, log
        open_notebook(page, NOTEBOOK)
        assert visitor in run_cell(page, 0)
        assert run_cell(page, 1, 'print("Six times seven is", 6 * 7)') == "Six times seven is 42"
        if file := picture("session"):
            page.screenshot(path=file)


def test_alice_finds_her_file_in_her_next_session(
    site: Site,
    sample: tuple[str, str],
    state: Path,
    open_window: Window,
    picture: Picture,
    end_sessions: Callable[[Hub, str], None],
) -> None:
    hub = hub_of(site, "oidc")
    if not hub["user_volumes"].get("enabled", bool(hub["user_volumes"])):
        pytest.skip("people have no volumes there")
    folder = hub["user_volumes"].get("mount_path") or "/home/jovyan/work"
    file, text = f"{folder}/browser-{uuid.uuid4().hex}.txt", uuid.uuid4().hex
    end_sessions(hub, "alice")
    with open_window() as page:
        sign_in(page, hub, state, "alice", picture("sign-in"))
        page.wait_for_url(hub["binder_url"])
        fill_in(page, "git", *sample)
        launch(page)
        assert user_of(page) == "alice"
        open_notebook(page, NOTEBOOK)
        written = run_cell(page, 0, f'print(open("{file}", "w").write("{text}"))')
        assert written == str(len(text))
        first = page.url
        page.goto(f"{hub['hub_url']}hub/home")
        stop = page.get_by_role("button", name="stop", exact=True)
        stop.click()
        expect(stop).to_have_count(0)
        page.goto(hub["binder_url"])
        fill_in(page, "git", *sample)
        launch(page)
        assert page.url != first
        open_notebook(page, NOTEBOOK)
        # It leaves nothing of itself in her volume.
        assert run_cell(page, 0, f'import os; print(open("{file}").read()); os.unlink("{file}")') == text


def test_bob_is_told_that_he_may_not(site: Site, state: Path, open_window: Window) -> None:
    hub = hub_of(site, "oidc")
    with open_window() as page:
        sign_in(page, hub, state, "bob")
        expect(page.get_by_text("not currently authorized to use this hub")).to_be_visible()
        assert page.url.startswith(f"{hub['hub_url']}hub/oauth_callback")
        expect(page.locator("#build-form")).to_have_count(0)
