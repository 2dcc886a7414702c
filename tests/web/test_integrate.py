"""The snippets of docs/integrate.md run as they are written."""

import asyncio
import contextlib
import re
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import django
import httpx
import pytest
from django.conf import settings as django_settings
from django.template import Context, Engine
from fastapi import FastAPI
from playwright.sync_api import expect

from tests.pictures import picture
from tests.web.browser import chromium, needs_chromium, opened
from tests.web.serving import Served, served, url
from thumbsmith.web import WebSettings

PAGE = (Path(__file__).parents[2] / "docs" / "integrate.md").read_text()
TOKEN = "0123456789abcdef-only-for-tests"
HERE = "http://127.0.0.1:8080"
SITE = "http://your.site"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def _module(code: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(code, name, "exec"), module.__dict__)
    return module


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    """Return a server with a token."""
    with served(tmp_path, WebSettings(token=TOKEN)) as running:
        yield running


def test_fastapi(guarded: Served, monkeypatch: pytest.MonkeyPatch):
    """An application asks for leave to upload for its user, and shows the manifest."""
    (code,) = (each for each in _blocks("python") if "FastAPI" in each)
    monkeypatch.setenv("THUMBSMITH_URL", url(guarded.address))
    monkeypatch.setenv("THUMBSMITH_TOKEN", TOKEN)
    asyncio.run(_use(_module(code, "site_with_fastapi").app, url(guarded.address)))


async def _use(app: FastAPI, thumbsmith: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE, timeout=60) as client:
        data = picture()
        wish = {"name": "a b.png", "type": "image/png", "bytes": len(data)}
        granted = (await client.post("/photos", json=wish)).json()
        upload = granted["upload"]
        async with httpx.AsyncClient(base_url=thumbsmith) as browser:
            sent = await browser.put(upload["url"], content=data, headers=upload["headers"])
        assert sent.status_code == 201
        assert (await client.get(f"/photos/{granted['key']}")).json()["status"] == "ok"
        assert (await client.get("/photos/none.png")).status_code == 404
        assert (await client.post("/photos", json={**wish, "type": "text/html"})).status_code == 415


def test_django(guarded: Served, monkeypatch: pytest.MonkeyPatch):
    """A template shows an image in every format, escaped, and nothing where there is none."""
    guarded.client.headers["Authorization"] = f"Bearer {TOKEN}"
    key = guarded.upload("django.png")
    (code,) = (each for each in _blocks("python") if "django" in each)
    monkeypatch.chdir(guarded.folder)
    if not django_settings.configured:
        django_settings.configure()
        django.setup()
    tags = _module(code, "thumbsmith_tags")
    engine = Engine()
    engine.template_libraries["thumbsmith"] = tags.register
    show = "{% load thumbsmith %}{% thumbnail key alt=alt %}"
    html = engine.from_string(show).render(Context({"key": key, "alt": 'A "b" <c>'}))
    assert html.startswith('<picture><source type="image/')
    assert html.count("<source ") == 3
    assert "A &quot;b&quot; &lt;c&gt;" in html
    for path in re.findall(r"/thumbs/([^?\" ]+)", html):
        assert (guarded.thumbnails / path).is_file()
    assert engine.from_string(show).render(Context({"key": "none.png", "alt": ""})) == ""


@contextlib.contextmanager
def _site(html: list[str]) -> Iterator[str]:
    """Serve a page from another origin on this machine; give the origin. What is in the list last is the page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = html[-1].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@needs_chromium
def test_plain_html(tmp_path: Path):
    """A page of another site shows a picture and uploads one, where it is allowed to."""
    html = _blocks("html")
    with _site(html) as origin, served(tmp_path, WebSettings(origins=frozenset({origin}))) as running:
        html.append(html[0].replace(HERE, url(running.address)))
        running.upload("photo.jpg")
        with chromium() as browser, browser.new_context() as profile:
            watched = opened(profile, f"{origin}/")
            page = watched.page
            page.wait_for_function("document.querySelector('img').naturalWidth > 0")
            page.locator("input").set_input_files(
                {"name": "theirs.png", "mimeType": "image/png", "buffer": picture(size=(90, 60), kind="png")}
            )
            expect(page.get_by_role("status")).to_have_text("4 thumbnails", timeout=30_000)
            assert not [each for each in watched.complaints if "favicon" not in each]
        assert (running.thumbnails / "theirs.png" / "small.avif").is_file()
