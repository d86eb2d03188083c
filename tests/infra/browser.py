# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A browser as far as signing in takes one: cookies, redirects, links and forms; no scripts.

What it asks for it asks for as a page that a person opens, unless it is told otherwise.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin

SECONDS = 60
# What browsers tell of where a request comes from, https://www.w3.org/TR/fetch-metadata/
OPENED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "User-Agent": "ironbinder-test"}
BY_A_SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "User-Agent": "ironbinder-test"}


class _Reader(HTMLParser):
    """Reads the links of a page, its first form, and the text that a person sees."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.words: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "a" and told.get("href"):
            self.links.append(str(told["href"]))
        elif tag == "form" and self.action is None:
            self.action = told.get("action") or ""
        elif tag == "input" and told.get("name"):
            self.fields[str(told["name"])] = told.get("value") or ""
        elif tag in ("script", "style"):
            self._hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += data.split()


@dataclass(frozen=True)
class Page:
    """What a person gets to see. `visited` are all addresses on the way, the page's own the last."""

    status: int
    html: str
    visited: Sequence[str]

    @property
    def url(self) -> str:
        """Where the way ended."""
        return self.visited[-1]

    @property
    def text(self) -> str:
        """The words of the page."""
        return " ".join(self._read().words)

    @property
    def form(self) -> tuple[str, dict[str, str]]:
        """The address and the fields of the page's form."""
        found = self._read()
        if found.action is None:
            raise AssertionError(f"{self.url} has no form: {self.status} {self.text[:300]}")
        return urljoin(self.url, found.action), found.fields

    def link(self, part: str) -> str:
        """Give the first link with these words in its address, `` where there is none."""
        return next((urljoin(self.url, link) for link in self._read().links if part in link), "")

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader


class _Way(urllib.request.HTTPRedirectHandler):
    """Remembers where it was sent. A loop ends by itself: urllib follows ten redirects, and no address more than four times."""

    def __init__(self) -> None:
        self.visited: list[str] = []

    def redirect_request(  # noqa: PLR0917 as urllib calls it
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.visited.append(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class Browser:
    """One person's; nothing of it is shared with another one's."""

    ca_files: Sequence[str] = ()
    cookies: CookieJar = field(default_factory=CookieJar)

    @contextmanager
    def _ask(
        self, url: str, body: bytes | None, headers: Mapping[str, str], method: str
    ) -> Iterator[tuple[Any, list[str]]]:
        context = ssl.create_default_context()
        for file in self.ca_files:
            context.load_verify_locations(file)
        way = _Way()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(self.cookies),
            way,
        )
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        try:
            answer = opener.open(request, timeout=SECONDS)
        except HTTPError as error:
            if "infinite loop" in str(error.msg) or error.headers.get("location"):
                raise AssertionError(f"{url} leads in circles: {[url, *way.visited]}") from error
            answer = error
        try:
            yield answer, [url, *way.visited]
        finally:
            answer.close()

    def open(self, url: str, form: Mapping[str, str] | None = None) -> Page:
        """Open an address, or send a form to it, and follow where that leads."""
        body = urlencode(form).encode() if form is not None else None
        with self._ask(url, body, OPENED, "GET" if form is None else "POST") as (answer, visited):
            return Page(answer.status, answer.read().decode(errors="replace"), visited)

    def submit(self, page: Page, **given: str) -> Page:
        """Fill in the form of a page, and send it."""
        action, fields = page.form
        return self.open(action, {**fields, **given})

    def call(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> tuple[int, Any]:
        """Ask an API as a script of a page does; give the status and the JSON that came back."""
        data = json.dumps(body).encode() if body is not None else None
        with self._ask(url, data, {**BY_A_SCRIPT, **headers}, method) as (answer, _):
            text = answer.read()
            return answer.status, json.loads(text) if text.strip() else None

    def events(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the events of a stream as they come, as a script of a page gets them."""
        asked = {**BY_A_SCRIPT, "Accept": "text/event-stream", **(headers or {})}
        with self._ask(url, None, asked, "GET") as (answer, _):
            for line in answer:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def cookie(self, name: str, path: str) -> str:
        """Give the value of the cookie that is sent to a path and no other path sees better; `` where there is none."""
        found = [one for one in self.cookies if one.name == name and path.startswith(one.path)]
        return str(max(found, key=lambda one: len(one.path)).value) if found else ""
