# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The browser of live tests does what people's do, and ends where one would go round and round."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/infra"))

from browser import Browser

LEADS = {"/loop": "/loop-2", "/loop-2": "/loop", "/way": "/form", "/way-2": "/refused"}
FORM = """<html><head><script>var words = "not seen";</script></head><body><p>Who is there?</p>
<a href="/elsewhere">no</a><a href="/sign-in?next=%2F">yes</a>
<form method="post" action="/form"><input name="uid" value="7"><input name="name"><button>go</button></form></body></html>"""


class Site(BaseHTTPRequestHandler):
    """A form behind a redirect, which gives a cookie; two pages that lead to each other; a page for nobody."""

    def do_GET(self) -> None:
        if self.path in LEADS:
            self.say(302, "", ("Location", LEADS[self.path]))
        elif self.path == "/form":
            self.say(
                200, FORM, ("Set-Cookie", "_xsrf=outer; Path=/"), ("Set-Cookie", "_xsrf=inner; Path=/form")
            )
        elif self.path == "/told":
            self.say(200, json.dumps({name.lower(): value for name, value in self.headers.items()}))
        elif self.path == "/stream":
            self.say(200, ':comment\n\ndata: {"phase": "one"}\n\ndata: {"phase": "two"}\n\n')
        else:
            self.say(403, "<html><body><h1>403</h1><p>You may not.</p></body></html>")

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"])).decode()
        self.say(303, "", ("Location", "/told"), ("Set-Cookie", f"sent={sent.replace('&', '+')}; Path=/"))

    def say(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_told: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_form_behind_a_redirect_is_filled_in_and_sent(url: str) -> None:
    browser = Browser()
    page = browser.open(f"{url}/way")
    assert (page.status, page.visited) == (200, [f"{url}/way", f"{url}/form"])
    assert page.text == "Who is there? no yes go"
    assert page.link("sign-in") == f"{url}/sign-in?next=%2F"
    assert not page.link("nowhere")
    told = json.loads(browser.submit(page, name="alice").html)
    # The cookie of the answer came along to where it led, and what the form had was sent, too.
    assert "sent=uid=7+name=alice" in told["cookie"]
    assert told["sec-fetch-mode"] == "navigate"


def test_the_nearest_cookie_is_the_one_that_counts(url: str) -> None:
    browser = Browser()
    browser.open(f"{url}/form")
    assert browser.cookie("_xsrf", "/form") == "inner"
    assert browser.cookie("_xsrf", "/told") == "outer"
    assert not browser.cookie("other", "/")
    assert not Browser().cookies


def test_a_refusal_is_a_page(url: str) -> None:
    page = Browser().open(f"{url}/way-2")
    assert (page.status, page.url, page.text) == (403, f"{url}/refused", "403 You may not.")
    with pytest.raises(AssertionError, match="has no form: 403"):
        page.form  # noqa: B018


def test_a_circle_is_none(url: str) -> None:
    with pytest.raises(AssertionError, match="leads in circles"):
        Browser().open(f"{url}/loop")


def test_a_stream_comes_by_a_script(url: str) -> None:
    browser = Browser()
    assert [event["phase"] for event in browser.events(f"{url}/stream")] == ["one", "two"]
    assert browser.call("GET", f"{url}/told", {})[1]["sec-fetch-mode"] == "cors"
