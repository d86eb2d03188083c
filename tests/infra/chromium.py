# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A real browser, as people have one: Debian's Chromium by Playwright, and what a person does in it.

BinderHub's page is that of 0.1.0, the notebook's that of JupyterLab 4.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Error, Page, Playwright, expect

# Nothing but what the tests open is asked for. No certificate is waved through.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH, HEIGHT = 1280, 800
STEP_SECONDS, LAUNCH_SECONDS = 45, 240
LOOK_SECONDS = 0.1
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.S)
KERNEL_IDLE = re.compile(r"^(?!No Kernel).+ \| Idle$")
# The terminal fills its lines up with blanks.
LOG = """() => [
    (document.querySelector("#log")?.innerText ?? "").split("\\n").map(line => line.replaceAll("\\u00a0", " ").trimEnd()),
    !(document.querySelector("#phase-failed")?.classList.contains("hidden") ?? true),
]"""


def trust(home: Path, ca_files: Sequence[str]) -> None:
    """Make the database in which Chromium looks for CAs besides its own, and put the site's there."""
    database = home / ".pki/nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    for file in ca_files:
        for number, text in enumerate(CERTIFICATE.findall(Path(file).read_text())):
            name = f"{Path(file).stem}-{number}"
            subprocess.run(
                [*certutil, "-A", "-n", name, "-t", "C,,", "-a"], input=text, text=True, check=True
            )


@contextmanager
def window(playwright: Playwright, program: str, home: Path, ca_files: Sequence[str]) -> Iterator[Page]:
    """Open the browser of somebody who has never opened one, with an empty page.

    Args:
        home: an empty folder for what the browser keeps.
        ca_files: PEM files of CAs that this person trusts besides those that Chromium brings.
    """
    trust(home, ca_files)
    context = playwright.chromium.launch_persistent_context(
        str(home / "profile"),
        executable_path=program,
        headless=True,
        args=FLAGS,
        # Nothing else of whoever runs the tests, such as a proxy.
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        viewport={"width": WIDTH, "height": HEIGHT},
    )
    context.set_default_timeout(STEP_SECONDS * 1000)
    expect.set_options(timeout=STEP_SECONDS * 1000)
    try:
        yield context.pages[0]
    finally:
        context.close()


@dataclass
class Log:
    """The log of a launch as it was on the page: its lines, and when each was seen first, in seconds."""

    seen: dict[str, float] = field(default_factory=dict)

    @property
    def looks(self) -> list[float]:
        """The times at which there were new lines."""
        return sorted(set(self.seen.values()))

    def add(self, lines: Sequence[str], seconds: float) -> None:
        """Note what is on the page now."""
        for line in lines:
            if line:
                self.seen.setdefault(line, seconds)


def fill_in(page: Page, provider: str, repository: str, ref: str) -> None:
    """Fill in the form of BinderHub's page."""
    page.locator("#url-type-btn button").click()
    page.locator(f"#provider_prefix_sel li[value={provider}]").click()
    page.locator("#repository").fill(repository)
    page.locator("#ref").fill(ref)


def launch(page: Page, picture: Path | None = None) -> Log:
    """Send the form, open the log, and look at it until JupyterLab is there.

    Args:
        picture: file for a picture of the page when the log has some lines.
    """
    log, page_url = Log(), page.url
    begun = time.monotonic()
    page.locator("#submit").click()
    page.locator("#toggle-logs").click()
    while page.url == page_url:
        try:
            lines, failed = page.evaluate(LOG)
        except Error:
            # The page is about to be another one.
            lines, failed = [], False
        seconds = time.monotonic() - begun
        log.add(lines, seconds)
        assert not failed, f"the launch failed: {list(log.seen)}"
        assert seconds < LAUNCH_SECONDS, f"nothing is launched after {seconds:.0f} s: {list(log.seen)}"
        if picture and any("pushing layer" in line for line in lines):
            page.screenshot(path=picture)
            picture = None
        page.wait_for_timeout(LOOK_SECONDS * 1000)
    expect(page.locator(".jp-DirListing-content")).to_be_visible()
    return log


def open_notebook(page: Page, name: str) -> None:
    """Open a notebook from JupyterLab's list of files, and wait until its kernel has said that it is there."""
    page.locator(".jp-DirListing-itemText", has_text=name).dblclick()
    expect(page.locator("#jp-main-statusbar").get_by_text(KERNEL_IDLE)).to_be_visible()
    # Asked of everybody who is there for the first time.
    if (news := page.get_by_role("button", name="Hide notification")).count():
        news.first.click()


def run_cell(page: Page, number: int, code: str = "") -> str:
    """Type code into a code cell of the notebook, or leave what is in it, run it, and return what it printed."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    cell.locator(".cm-content").click()
    if code:
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    output = cell.locator(".jp-OutputArea-output")
    expect(output).to_be_visible()
    # The number comes when the kernel has done all of it.
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
    return output.inner_text().strip()
