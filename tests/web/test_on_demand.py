"""Pictures on demand: made for who has a signed address, and for nobody else."""

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
from tests.web.serving import Served, served
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.signing import signature, signed_path
from thumbsmith.web import WebSettings
from thumbsmith.web.on_demand import MAX_CACHED_OF_SOURCE, CachedThumbnail, OnDemandCache

SECRET = "a secret to sign with"
WISH = {"width": 20, "height": 10, "fit": "cover", "format": "png"}


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that makes pictures on demand, and asks for a token besides."""
    settings = WebSettings(signing_secret=SECRET, token="a token of some length")
    with served(tmp_path_factory.mktemp("signing"), settings) as server:
        for name in ("photo.png", "other.png", "Été/a b%.png"):
            path = server.sources / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture(size=(60, 40), kind="png"))
        (server.sources / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        yield server


def path(key: str = "photo.png", wish: dict[str, Any] = WISH, seconds: int = 60, secret: str = SECRET) -> str:
    """Return a signed address."""
    return signed_path(key, wish, secret=secret, expires=int(time.time()) + seconds)


def altered(address: str, **more: str) -> str:
    """Return an address of which parts of the query are others, with the signature that it had."""
    parts = urlsplit(address)
    return f"{parts.path}?{urlencode({**dict(parse_qsl(parts.query)), **more})}"


@pytest.mark.parametrize("key", ["photo.png", "Été/a b%.png"])
def test_a_signed_address_has_its_picture(signing: Served, key: str):
    """The picture that is said, without the token; kept until the address runs out; HEAD and conditions as ever."""
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


def test_nothing_but_what_was_signed(signing: Served):
    """A wrong secret, another key, option, time or spelling, a further option, half a signature, or none: 403."""
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


def test_a_key_cannot_pass_for_an_option(signing: Served):
    """No key whose name spells options has the signature of an address with these."""
    good = dict(parse_qsl(urlsplit(path(wish={"width": 20})).query))
    for key in ("photo.png?width=20", "width=20\nphoto.png", "photo.png?expires=1&width=20"):
        address = f"/on-demand/{key}".replace("?", "%3F").replace("\n", "%0A")
        answer = signing.client.get(f"{address}?{urlencode({name: good[name] for name in ('expires', 'signature')})}")
        assert answer.status_code == 403


def test_time_runs_out(signing: Served, monkeypatch: pytest.MonkeyPatch):
    """An address is good until its time, and 403 from then on, whether the picture is kept or not."""
    address = path(wish=WISH | {"width": 19}, seconds=3600)
    assert signing.client.get(address).status_code == 200
    later = time.time() + 3601
    monkeypatch.setattr("thumbsmith.web.on_demand.time", SimpleNamespace(time=lambda: later))
    for each in (address, path(seconds=0), path(seconds=-5)):
        answer = signing.client.get(each)
        assert (answer.status_code, answer.json()["code"]) == (403, "expired")
    for expires in ("soon", "", "-1", "9" * 20, "٣"):
        said = {"width": "20", "expires": expires}
        query = urlencode({**said, "signature": signature("photo.png", said, SECRET)})
        assert signing.client.get(f"/on-demand/photo.png?{query}").json()["code"] == "expired"


@pytest.mark.parametrize(
    ("wish", "word"),
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
def test_what_cannot_be_made_is_said(signing: Served, wish: dict[str, Any], word: str):
    """Signed or not, a size beyond the bounds and a value that no recipe takes are 400, with a sentence."""
    answer = signing.client.get(path(wish=wish))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query")
    assert word in answer.json()["detail"]


@pytest.mark.parametrize("query", ["widht=20", "width=20&width=20", "v=1"])
def test_what_means_nothing_is_refused(signing: Served, query: str):
    """An option that is none, or said twice, is 400 before anything is looked at."""
    assert signing.client.get(f"/on-demand/photo.png?{query}").status_code == 400


def test_all_options_are_the_recipes(signing: Served):
    """Each option does what the recipe's field of that name does."""
    wish = {"width": 50, "height": 50, "fit": "contain", "gravity": "north", "enlarge": True, "quality": 60}
    answer = signing.client.get(path(wish=wish | {"background": "#00ff00", "format": "jpeg", "sharpen": 0.5}))
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (50, 50)
        red, green, _ = image.getpixel((25, 47))
        assert green > 200 > red
    assert signing.client.get(path(wish={"width": 9, "height": 9, "fit": "cover", "gravity": "0.2,1"})).is_success


def test_a_side_that_is_left_out_is_bounded_too(signing: Served):
    """A tall picture, of which the width alone is said, has no side beyond the bound."""
    (signing.sources / "tall.png").write_bytes(picture(size=(4, 3_000), kind="png"))
    answer = signing.client.get(path("tall.png", {"width": 2000, "format": "png"}))
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == 2048


def test_a_source_that_is_none(signing: Served):
    """404 for no image, and for a hidden file, however it is signed; 422 with its code for one that is broken."""
    (signing.sources / ".hidden.png").write_bytes(picture(kind="png"))
    for key in ("none.png", ".hidden.png", "../sources/photo.png", "/etc/passwd"):
        assert signing.client.get(path(key)).status_code == 404
    assert signing.client.get(path("broken.png")).status_code == 422


def test_a_replaced_source_has_a_new_picture(signing: Served):
    """What is kept is of one version of the source."""
    (signing.sources / "new.png").write_bytes(picture("#ff0000", size=(60, 40), kind="png"))
    before = signing.client.get(path("new.png"))
    assert signing.client.get(path("new.png")).content == before.content
    (signing.sources / "new.png").write_bytes(picture("#0000ff", size=(60, 40), kind="png"))
    assert signing.client.get(path("new.png")).content != before.content


def test_without_a_secret_there_is_none(server: Served):
    """The route is off by default, and the OpenAPI document does not know it."""
    server.upload("photo.png", replace=True)
    assert server.client.get(path()).status_code == 404
    assert "/on-demand/{key}" not in server.client.get("/openapi.json").json()["paths"]


def test_with_a_secret_it_is_described(signing: Served):
    """The OpenAPI document says what can be asked for."""
    operations = signing.client.get("/openapi.json").json()["paths"]["/on-demand/{key}"]
    assert set(operations) == {"get", "head"}


def test_little_is_kept():
    """Of one source the newest pictures are kept, and what was forgotten takes no memory."""
    kept = OnDemandCache()
    for number in range(MAX_CACHED_OF_SOURCE + 3):
        kept.put(("a.jpg", "etag", str(number)), CachedThumbnail(b"x" * 10, "image/png", '"e"'))
    kept.put(("b.jpg", "etag", "0"), CachedThumbnail(b"x" * 10, "image/png", '"e"'))
    assert kept.get(("a.jpg", "etag", "2")) is None
    assert kept.get(("a.jpg", "etag", "3")) is not None
    assert kept.get(("b.jpg", "etag", "0")) is not None
    for number in range(3):
        kept.put(("c.jpg", "etag", str(number)), CachedThumbnail(b"x" * (30 << 20), "image/png", '"e"'))
    assert kept.get(("c.jpg", "etag", "0")) is None
    assert kept.get(("c.jpg", "etag", "2")) is not None


def test_short_secrets_are_refused(tmp_path: Path):
    """A secret that can be guessed is none, for signing and for serving."""
    with pytest.raises(ValueError, match="secret"):
        WebSettings(signing_secret="short")
    with pytest.raises(UsageError, match="secret"):
        path(secret="short")
    with pytest.raises(RecipeError, match="widht"):
        path(wish={"widht": 3})


def test_the_docs_sign(tmp_path: Path):
    """The Python that docs/api.md shows signs an address that a server with that secret takes."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "signed_path" in each)
    names: dict[str, Any] = {}
    exec(code, names)
    with served(tmp_path, WebSettings(signing_secret="the secret of the server")) as server:
        server.upload("photo.jpg")
        assert server.client.get(names["path"]).headers["content-type"] == "image/webp"


def test_the_command_signs(thumbsmith: Command, signing: Served, monkeypatch: pytest.MonkeyPatch):
    """`thumbsmith sign` prints an address that the server takes; without a secret, or for no option, one sentence."""
    options = ["photo.png", "width=7", "format=png", "--server", "http://any.example/"]
    assert thumbsmith("sign", *options).code == 2
    monkeypatch.setenv("THUMBSMITH_SIGNING_SECRET", SECRET)
    said = thumbsmith("sign", *options)
    assert said.out.startswith("http://any.example/on-demand/photo.png?")
    assert signing.client.get(said.out.strip().removeprefix("http://any.example")).status_code == 200
    for wrong in ("width", "widht=3"):
        refused = thumbsmith("sign", "photo.png", wrong)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
