"""Thumbnails on demand: made only for signed URLs."""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from PIL import Image

from tests.cli.command import Command
from tests.pictures import picture
from tests.web.serving import RunningServer, run_server
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.signing import signature, signed_path
from thumbsmith.web import WebSettings
from thumbsmith.web.on_demand import MAX_CACHED_OF_SOURCE, CachedThumbnail, OnDemandCache

SECRET = "a secret to sign with"
OPTIONS = {"width": 20, "height": 10, "fit": "cover", "format": "png"}


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server with thumbnails on demand that also requires a token."""
    settings = WebSettings(signing_secret=SECRET, token="a token of some length")
    with run_server(tmp_path_factory.mktemp("signing"), settings) as server:
        for name in ("photo.png", "other.png", "Été/a b%.png"):
            path = server.sources / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture(size=(60, 40), kind="png"))
        (server.sources / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        yield server


def path(key: str = "photo.png", options: dict[str, Any] = OPTIONS, seconds: int = 60, secret: str = SECRET) -> str:
    """Return a signed URL without the server."""
    return signed_path(key, options, secret=secret, expires=int(time.time()) + seconds)


def altered(address: str, **more: str) -> str:
    """Return the URL with other query parameters and its old signature."""
    parts = urlsplit(address)
    return f"{parts.path}?{urlencode({**dict(parse_qsl(parts.query)), **more})}"


@pytest.mark.parametrize("key", ["photo.png", "Été/a b%.png"])
def test_a_signed_url_gives_its_thumbnail(signing: RunningServer, key: str):
    """It needs no token, may be cached until it expires, and supports HEAD and If-None-Match."""
    address = path(key)
    answer = signing.client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (20, 10)
    assert 0 < int(answer.headers["cache-control"].partition("max-age=")[2]) <= 60
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = signing.client.head(address)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(answer.content)))
    known = signing.client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert known.status_code == 304


def test_a_changed_url_is_refused(signing: RunningServer):
    """A wrong secret, key, option or time, an extra option, and a damaged or missing signature get 403."""
    good = path()
    wrong = [
        path(secret="another secret to sign with"),
        good.replace("photo.png", "other.png"),
        altered(good, width="21"),
        altered(good, quality="1"),
        altered(good, expires=str(int(time.time()) + 9_999)),
        altered(good, signature=""),
        altered(good, signature="é"),
        good[:-1],
        good.partition("&signature")[0],
        altered(good, signature=signature("photo.png", {"width": "20"}, SECRET)),
    ]
    assert signing.client.get(good).status_code == 200
    for address in wrong:
        answer = signing.client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature"), address


def test_a_key_cannot_imitate_an_option(signing: RunningServer):
    """A key whose text looks like options does not have the signature of these options."""
    good = dict(parse_qsl(urlsplit(path(options={"width": 20})).query))
    for key in ("photo.png?width=20", "width=20\nphoto.png", "photo.png?expires=1&width=20"):
        address = f"/on-demand/{key}".replace("?", "%3F").replace("\n", "%0A")
        answer = signing.client.get(f"{address}?{urlencode({name: good[name] for name in ('expires', 'signature')})}")
        assert answer.status_code == 403


def test_a_url_expires(signing: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """After its time a URL gets 403, also for a cached thumbnail; an invalid time counts as expired."""
    address = path(options=OPTIONS | {"width": 19}, seconds=3600)
    assert signing.client.get(address).status_code == 200
    later = time.time() + 3601
    monkeypatch.setattr("thumbsmith.web.on_demand.time", SimpleNamespace(time=lambda: later))
    for each in (address, path(seconds=0), path(seconds=-5)):
        answer = signing.client.get(each)
        assert (answer.status_code, answer.json()["code"]) == (403, "expired")
    for expires in ("soon", "", "-1", "9" * 20, "٣"):
        signed = {"width": "20", "expires": expires}
        query = urlencode({**signed, "signature": signature("photo.png", signed, SECRET)})
        assert signing.client.get(f"/on-demand/photo.png?{query}").json()["code"] == "expired"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "width"),
        ({"format": "webp"}, "width"),
        ({"width": 20, "fit": "cover"}, "width"),
        ({"width": 20, "height": 20, "fit": "outside"}, "fit"),
        ({"width": 0}, "width"),
        ({"width": 2049}, "2048"),
        ({"width": 20, "height": 16384}, "height"),
        ({"width": "20\nformats = ['png']"}, "width"),
        ({"width": 20, "format": "gif"}, "formats"),
        ({"width": 20, "quality": 101}, "quality"),
        ({"width": 20, "gravity": "up"}, "gravity"),
        ({"width": 20, "background": "red"}, "background"),
    ],
)
def test_invalid_options_are_refused(signing: RunningServer, options: dict[str, Any], word: str):
    """A size above the limit and a value that no recipe accepts get 400 with a sentence, although signed."""
    answer = signing.client.get(path(options=options))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query")
    assert word in answer.json()["detail"]


@pytest.mark.parametrize("query", ["widht=20", "width=20&width=20", "v=1"])
def test_unknown_and_repeated_parameters_are_refused(signing: RunningServer, query: str):
    """They get 400 before the signature is checked."""
    assert signing.client.get(f"/on-demand/photo.png?{query}").status_code == 400


def test_options_work_as_in_a_recipe(signing: RunningServer):
    """Each option has the effect of the recipe field of the same name."""
    options = {"width": 50, "height": 50, "fit": "contain", "gravity": "north", "enlarge": True, "quality": 60}
    answer = signing.client.get(path(options=options | {"background": "#00ff00", "format": "jpeg", "sharpen": 0.5}))
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (50, 50)
        red, green, _ = image.getpixel((25, 47))
        assert green > 200 > red
    assert signing.client.get(path(options={"width": 9, "height": 9, "fit": "cover", "gravity": "0.2,1"})).is_success


def test_a_missing_side_is_limited_too(signing: RunningServer):
    """The height of a tall image does not exceed the limit if only the width is given."""
    (signing.sources / "tall.png").write_bytes(picture(size=(4, 3_000), kind="png"))
    answer = signing.client.get(path("tall.png", {"width": 2000, "format": "png"}))
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == 2048


def test_a_missing_or_broken_source(signing: RunningServer):
    """A signed URL gets 404 for a missing or hidden file, and 422 for a broken image."""
    (signing.sources / ".hidden.png").write_bytes(picture(kind="png"))
    for key in ("none.png", ".hidden.png", "../sources/photo.png", "/etc/passwd"):
        assert signing.client.get(path(key)).status_code == 404
    assert signing.client.get(path("broken.png")).status_code == 422


def test_a_replaced_source_gives_a_new_thumbnail(signing: RunningServer):
    """A cached thumbnail is used only for its version of the source."""
    (signing.sources / "new.png").write_bytes(picture("#ff0000", size=(60, 40), kind="png"))
    before = signing.client.get(path("new.png"))
    assert signing.client.get(path("new.png")).content == before.content
    (signing.sources / "new.png").write_bytes(picture("#0000ff", size=(60, 40), kind="png"))
    assert signing.client.get(path("new.png")).content != before.content


def test_it_is_off_without_a_secret(server: RunningServer):
    """By default the route does not exist, and the OpenAPI document does not contain it."""
    server.upload("photo.png", replace=True)
    assert server.client.get(path()).status_code == 404
    assert "/on-demand/{key}" not in server.client.get("/openapi.json").json()["paths"]


def test_the_openapi_document_contains_it(signing: RunningServer):
    """With a secret, the OpenAPI document describes GET and HEAD."""
    operations = signing.client.get("/openapi.json").json()["paths"]["/on-demand/{key}"]
    assert set(operations) == {"get", "head"}


def test_the_cache_is_limited():
    """The cache drops the oldest thumbnails of one source, and of all sources above the byte limit."""
    cache = OnDemandCache()
    for number in range(MAX_CACHED_OF_SOURCE + 3):
        cache.put(("a.jpg", "etag", str(number)), CachedThumbnail(b"x" * 10, "image/png", '"e"'))
    cache.put(("b.jpg", "etag", "0"), CachedThumbnail(b"x" * 10, "image/png", '"e"'))
    assert cache.get(("a.jpg", "etag", "2")) is None
    assert cache.get(("a.jpg", "etag", "3")) is not None
    assert cache.get(("b.jpg", "etag", "0")) is not None
    for number in range(3):
        cache.put(("c.jpg", "etag", str(number)), CachedThumbnail(b"x" * (30 << 20), "image/png", '"e"'))
    assert cache.get(("c.jpg", "etag", "0")) is None
    assert cache.get(("c.jpg", "etag", "2")) is not None


def test_short_secrets_are_refused():
    """Server and signing refuse a short secret; signing refuses an unknown option."""
    with pytest.raises(ValueError, match="secret"):
        WebSettings(signing_secret="short")
    with pytest.raises(UsageError, match="secret"):
        path(secret="short")
    with pytest.raises(RecipeError, match="widht"):
        path(options={"widht": 3})


def test_the_example_in_the_docs_signs(tmp_path: Path):
    """The Python of docs/api.md signs a URL that a server with the same secret accepts."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "signed_path" in each)
    names: dict[str, Any] = {}
    exec(code, names)
    with run_server(tmp_path, WebSettings(signing_secret="the secret of the server")) as server:
        server.upload("photo.jpg")
        assert server.client.get(names["path"]).headers["content-type"] == "image/webp"


def test_the_command_signs(thumbsmith: Command, signing: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """`thumbsmith sign` prints a URL that the server accepts; a missing secret or a wrong option exits with 2."""
    options = ["photo.png", "width=7", "format=png", "--server", "http://any.example/"]
    assert thumbsmith("sign", *options).code == 2
    monkeypatch.setenv("THUMBSMITH_SIGNING_SECRET", SECRET)
    signed = thumbsmith("sign", *options)
    assert signed.out.startswith("http://any.example/on-demand/photo.png?")
    assert signing.client.get(signed.out.strip().removeprefix("http://any.example")).status_code == 200
    for wrong in ("width", "widht=3"):
        refused = thumbsmith("sign", "photo.png", wrong)
        assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_the_server_signs_urls(signing: RunningServer):
    """The URL shows the thumbnail without a token. Invalid options, times and names are refused before that."""
    token = {"Authorization": "Bearer a token of some length"}
    assert signing.client.post("/on-demand", json={}).status_code == 401
    body = {
        "key": "photo.png",
        "options": {"width": 50, "height": 50, "fit": "cover", "format": "png", "enlarge": True},
    }
    answer = signing.client.post("/on-demand", json={**body, "seconds": 60}, headers=token)
    assert answer.status_code == 200
    assert 0 < answer.json()["expires"] - time.time() <= 61
    shown = signing.client.get(answer.json()["url"])
    assert (shown.status_code, Image.open(io.BytesIO(shown.content)).size) == (200, (50, 50))
    for wrong, status in (
        ({**body, "options": {"width": "x"}}, 400),
        ({**body, "options": {"widht": 5}}, 400),
        ({**body, "options": {"width": [5]}}, 400),
        ({**body, "options": {}}, 400),
        ({**body, "options": []}, 400),
        ({**body, "seconds": 0}, 400),
        ({**body, "key": "none.png"}, 404),
        ({"options": {"width": 5}}, 400),
    ):
        assert signing.client.post("/on-demand", json=wrong, headers=token).status_code == status, wrong
