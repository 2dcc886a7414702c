"""The application under a path prefix: behind a proxy, and mounted in another application."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.pictures import picture
from tests.web.serving import RunningServer, run_server
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.web import WebSettings, application

TOKEN = "0123456789abcdef-only-for-tests"


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server whose paths begin with /thumbs, and that trusts its proxy."""
    settings = WebSettings(root_path="/thumbs", trusts_proxy=True)
    with run_server(tmp_path_factory.mktemp("prefixed"), settings) as running:
        yield running


@pytest.mark.parametrize("sent", ["", "/thumbs"], ids=["the proxy removes the prefix", "the proxy keeps the prefix"])
def test_urls_contain_the_prefix(prefixed: RunningServer, sent: str):
    """Every URL in an answer begins with the prefix and works, with and without the prefix in the request."""
    client, data = prefixed.client, picture()
    body = {"name": f"a{len(sent)}/b c.png", "type": "image/png", "bytes": len(data)}
    granted = client.post(f"{sent}/uploads", json=body)
    assert granted.headers["location"] == f"/thumbs/images/a{len(sent)}/b%20c.png"
    upload = granted.json()["upload"]
    assert upload["url"].startswith("/thumbs/uploads/")
    assert client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 201
    path = granted.headers["location"].removeprefix("/thumbs")
    assert client.get(f"{sent}{path}?wait=30").status_code == 200
    (image,) = client.get(f"{sent}/images?prefix=a{len(sent)}/").json()["images"]
    for each in image["renditions"]:
        assert each["url"].startswith("/thumbs/renditions/")
        assert client.get(each["url"]).status_code == 200
        assert client.get(each["url"].removeprefix("/thumbs")).status_code == 200


def test_the_page_has_relative_links(prefixed: RunningServer):
    """The prefix alone is redirected to the page; the page and its files load from below it."""
    redirected = prefixed.client.get("/thumbs")
    assert (redirected.status_code, redirected.headers["location"]) == (307, "/thumbs/")
    assert prefixed.client.get("/thumbs/").status_code == 200
    assert prefixed.client.get("/thumbs/page/style.css").status_code == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/other/place", "/other/place"), ("/other/", "/other"), ("//evil.example", "/thumbs"), ("/a b", "/thumbs")],
)
def test_a_trusted_proxy_names_the_prefix(prefixed: RunningServer, given: str, expected: str):
    """X-Forwarded-Prefix is used if it is a path; a value that a browser takes for another host is ignored."""
    body = {"name": "forwarded.png", "type": "image/png", "bytes": 3}
    answer = prefixed.client.post("/uploads", json=body, headers={"X-Forwarded-Prefix": given})
    assert answer.json()["upload"]["url"].startswith(f"{expected}/uploads/")


def test_the_prefix_of_an_unknown_sender_is_ignored(server: RunningServer):
    """Without `trusts_proxy`, X-Forwarded-Prefix has no effect."""
    body = {"name": "forwarded.png", "type": "image/png", "bytes": 3}
    answer = server.client.post("/uploads", json=body, headers={"X-Forwarded-Prefix": "/other"})
    assert answer.json()["upload"]["url"].startswith("/uploads/")


def test_access_is_checked_below_the_prefix(tmp_path: Path):
    """With a token, the public paths stay public and the others stay closed. The cookie is for the prefix only."""
    with run_server(tmp_path, WebSettings(root_path="/thumbs", token=TOKEN)) as running:
        for sent in ("", "/thumbs"):
            assert running.client.get(f"{sent}/health").status_code == 200
            assert running.client.get(f"{sent}/images").status_code == 401
        answer = running.client.post("/thumbs/session", json={"token": TOKEN})
        assert "Path=/thumbs/" in answer.headers["set-cookie"]


@pytest.mark.parametrize("prefix", ["thumbs", "/thumbs/", "/a b", "//x", "/a/../b?", "https://x"])
def test_an_invalid_prefix_is_refused(prefix: str):
    """A prefix that is no plain path raises ValueError."""
    with pytest.raises(ValueError, match="root path"):
        WebSettings(root_path=prefix)


MOUNTED = """
import asyncio, sys
import httpx
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.pictures import picture
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.web import application

scope = Scope(source=open_store("photos"), destination=open_store("thumbs"), recipe=Recipe.default())
host = Starlette(routes=[Mount("/media", application(scope, jobs=1))])

async def use():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://127.0.0.1") as client:
        page = await client.get("/media/")
        assert page.status_code == 200, page
        open("photos/by hand.png", "wb").write(picture())
        for _ in range(600):
            answer = await client.get("/media/images/by%20hand.png?wait=1")
            if answer.status_code == 200:
                break
        listed = (await client.get("/media/images")).json()["images"][0]
        shown = await client.get(listed["renditions"][0]["url"])
        print(answer.status_code, listed["renditions"][0]["url"].partition("?")[0], shown.status_code)

asyncio.run(use())
"""


def test_it_works_mounted_in_another_application(tmp_path: Path):
    """A host that runs no lifespan gets background work with the first request, and its process ends by itself."""
    (tmp_path / "photos").mkdir()
    program = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n{MOUNTED}"]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    status, path, shown = ran.stdout.replace("by%20hand", "by-hand").split()
    assert (status, shown) == ("200", "200")
    assert urlsplit(path).path.startswith("/media/renditions/by-hand.png/")


ENDING = """
import asyncio
import httpx
from starlette.applications import Starlette
from starlette.routing import Mount
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.web import application

scope = Scope(source=open_store("photos"), destination=open_store("thumbs"), recipe=Recipe.default())
host = Starlette(routes=[Mount("/media", application(scope, jobs=1))])

async def use():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://127.0.0.1") as client:
        assert (await client.get("/media/images/0.png?wait=60")).status_code == 200

asyncio.run(use())
"""


def test_a_program_may_end_while_thumbnails_are_made(tmp_path: Path):
    """A program that ends in the middle of the first scan prints no error."""
    (tmp_path / "photos").mkdir()
    for number in range(60):
        (tmp_path / "photos" / f"{number}.png").write_bytes(picture(f"#{number:06x}", (300, 200)))
    ran = subprocess.run(
        [sys.executable, "-c", ENDING], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_an_application_has_one_life(tmp_path: Path):
    """An application whose lifespan has ended says so when it is started again."""
    (tmp_path / "photos").mkdir()
    scope = Scope(source=open_store(tmp_path / "photos"), destination=open_store(tmp_path / "t"), recipe=Recipe())
    app = application(scope, jobs=1)

    async def live() -> list[dict]:
        sent: list[dict] = []
        given = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict:
            return next(given)

        async def send(message: dict) -> None:
            sent.append(message)

        with contextlib.suppress(RuntimeError):
            await app({"type": "lifespan", "state": {}}, receive, send)
        return sent

    assert [each["type"] for each in asyncio.run(live())] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    (failed,) = asyncio.run(live())
    assert "call application() again" in failed["message"]
