"""The server that the tests of a module share, and the browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.cli.conftest import thumbsmith
from tests.pictures import picture
from tests.web.browser import RecordedPage, chromium, open_page
from tests.web.serving import RunningServer, run_server, url
from thumbsmith.web import WebSettings

__all__ = ["server", "thumbsmith"]

SAMPLES = Path(__file__).parents[2] / "src" / "thumbsmith" / "samples"

SITE_RECIPE = """
[limits]
max_bytes = 2000000

[variants.icon]
width = 64
height = 64
fit = "cover"

[variants.small]
width = 256
formats = ["avif", "webp", "jpeg"]

[variants.large]
width = 560
formats = ["avif", "jpeg"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server for all tests of a module. Each test uses its own keys."""
    with run_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server with the sample photographs, a transparent image and a rejected file."""
    folder = tmp_path_factory.mktemp("site")
    settings = WebSettings(signing_secret="a secret to sign with", recipe_file=folder / "thumbsmith.toml")
    with run_server(folder, settings, SITE_RECIPE) as running:
        for name in ("astronaut.jpg", "chelsea.jpg", "coffee.webp", "rocket.jpg"):
            running.upload(f"samples/{name}", (SAMPLES / name).read_bytes())
        running.upload("samples/clear.png", picture("#30a0b080", (300, 200), "png"))
        running.upload("bad/notes.png", b"these are notes")
        yield running


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    """Return a running browser for all tests of a module."""
    with chromium() as running:
        yield running


@pytest.fixture
def browser(program: Browser) -> Iterator[BrowserContext]:
    """Return a new profile of the browser that may use the clipboard."""
    permissions = ["clipboard-read", "clipboard-write"]
    with program.new_context(permissions=permissions, viewport={"width": 1280, "height": 900}) as profile:
        yield profile


@pytest.fixture
def recorded(site: RunningServer, browser: BrowserContext) -> Iterator[RecordedPage]:
    """Return the page. After the test, check that it reported no error and used no other server."""
    page = open_page(browser, url(site.address))
    yield page
    assert page.messages == []
    assert all(each.startswith((url(site.address), "blob:", "data:")) for each in page.requests)
    page.page.close()
