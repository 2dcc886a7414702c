"""Chromium of Debian without a window, controlled by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="THE PAGE IS NOT TESTED: no chromium; as root: apt-get install chromium"
)


@dataclass
class RecordedPage:
    """A page with its console warnings, its errors and the URLs that it requested."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def record(self) -> None:
        """Begin to record."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.messages.append(message.text)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)


def faults(page: Page) -> list[dict[str, Any]]:
    """Return what axe-core finds by all rules of WCAG 2.2 AA and its best practices."""
    page.add_style_tag(content="* { transition: none !important }")  # a color in transition is no fault
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": tags}}
    return Axe().run(page, options=options).response["violations"]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser until the end of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: BrowserContext, address: str) -> RecordedPage:
    """Open an address in a new page that is recorded."""
    recorded = RecordedPage(browser.new_page())
    recorded.record()
    recorded.page.goto(address)
    return recorded
