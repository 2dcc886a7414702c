"""The examples of docs/integrate.md work as they are written."""

import asyncio
import contextlib
import re
import subprocess
import sys
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
from tests.web.browser import chromium, needs_chromium, open_page
from tests.web.serving import RunningServer, run_server, url
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
def guarded(tmp_path: Path) -> Iterator[RunningServer]:
    """Return a server with a token."""
    with run_server(tmp_path, WebSettings(token=TOKEN)) as running:
        yield running


def test_fastapi(guarded: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """An application requests an upload for its user, and returns the manifest."""
    (code,) = (each for each in _blocks("python") if "FastAPI" in each)
    monkeypatch.setenv("THUMBSMITH_URL", url(guarded.address))
    monkeypatch.setenv("THUMBSMITH_TOKEN", TOKEN)
    asyncio.run(_use_site(_module(code, "site_with_fastapi").app, url(guarded.address)))


async def _use_site(app: FastAPI, thumbsmith: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE, timeout=60) as client:
        data = picture()
        body = {"name": "a b.png", "type": "image/png", "bytes": len(data)}
        answer = (await client.post("/photos", json=body)).json()
        upload = answer["upload"]
        async with httpx.AsyncClient(base_url=thumbsmith) as browser:
            sent = await browser.put(upload["url"], content=data, headers=upload["headers"])
        assert sent.status_code == 201
        assert (await client.get(f"/photos/{answer['key']}")).json()["status"] == "ok"
        assert (await client.get("/photos/none.png")).status_code == 404
        assert (await client.post("/photos", json={**body, "type": "text/html"})).status_code == 415


USE_OF_MOUNTED = """
import asyncio, httpx

async def use():
    headers = {"Authorization": "Bearer a secret that clients send"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://your.site", headers=headers) as client:
        with open("picture.jpg", "rb") as file:
            stored = await client.put("/thumbs/images/a.jpg?wait=60", content=file.read())
        listed = (await client.get("/thumbs/images")).json()["images"]
        shown = await client.get(listed[0]["renditions"][0]["url"])
        print(stored.status_code, shown.status_code, (await client.get("/thumbs/")).status_code)

asyncio.run(use())
"""


def test_mounted(tmp_path: Path):
    """A mounted application makes thumbnails, although its host passes on no lifespan; the process ends by itself."""
    (code,) = (each for each in _blocks("python") if "Mount" in each)
    (tmp_path / "photos").mkdir()
    (tmp_path / "picture.jpg").write_bytes(picture())
    program = [sys.executable, "-c", code + USE_OF_MOUNTED]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.stdout.split(), ran.stderr) == (["201", "200", "200"], "")


def test_django(guarded: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """A template shows an image in every format, escapes its text, and shows nothing for a missing image."""
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
    """Serve the last element of the list as a page of another origin, and return the origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = html[-1].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Do not log requests."""

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
    """A page of an allowed site shows a thumbnail and uploads an image."""
    html = _blocks("html")
    with _site(html) as origin, run_server(tmp_path, WebSettings(origins=frozenset({origin}))) as running:
        html.append(html[0].replace(HERE, url(running.address)))
        running.upload("photo.jpg")
        with chromium() as browser, browser.new_context() as profile:
            recorded = open_page(profile, f"{origin}/")
            page = recorded.page
            page.wait_for_function("document.querySelector('img').naturalWidth > 0")
            page.locator("input").set_input_files(
                {"name": "theirs.png", "mimeType": "image/png", "buffer": picture(size=(90, 60), kind="png")}
            )
            expect(page.get_by_role("status")).to_have_text("4 thumbnails", timeout=30_000)
            assert not [each for each in recorded.messages if "favicon" not in each]
        assert (running.thumbnails / "theirs.png" / "small.avif").is_file()
