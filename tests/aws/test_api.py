"""The API's function, called as API Gateway calls it, over stores in memory."""

import base64
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.aws.test_start import NO_FILES, python
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from tests.servers.fixtures import needs_servers
from thumbsmith import Recipe, converge, open_store
from thumbsmith.aws.api import Gateway
from thumbsmith.store import Store
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web.app_on_aws import app_on_aws
from thumbsmith.web.renditions import PIECE_BYTES
from thumbsmith.web.settings import WebSettings
from thumbsmith.worker import shared

RECIPE = Recipe.loads(
    "[variants.small]\nwidth = 30\nformats = ['webp', 'jpeg']\n[variants.large]\nwidth = 300\nformats = ['png']"
)
PHOTO = (files("thumbsmith") / "samples" / "coffee.webp").read_bytes()

# Keys, and the `rawPath` of their percent-encoded path: an HTTP API decodes all but "%25".
PATHS = {
    "a b.jpg": "/images/a b.jpg",
    "100%.jpg": "/images/100%25.jpg",
    "%2B.jpg": "/images/%252B.jpg",
    "Été/naïve+1.jpg": "/images/Été/naïve+1.jpg",
    "a#b?.jpg": "/images/a#b?.jpg",
    "🐈&=.jpg": "/images/🐈&=.jpg",
}

LOADED = """
import sys
import thumbsmith.aws.api
print("\\n".join(sys.modules))
"""


class Api:
    """An API between two stores, and requests to it."""

    def __init__(self, source: Store, destination: Store, settings: WebSettings, largest: int) -> None:
        """Make the API."""
        self.source, self.destination = source, destination
        self.gateway = Gateway(app_on_aws(source, destination, RECIPE, settings, max_body_bytes=largest))

    def put(self, key: str, data: bytes | None = None) -> None:
        """Put a source without an event."""
        self.source.put(key, picture() if data is None else data, HEADERS)

    def make(self, key: str) -> None:
        """Make the thumbnails of a source, as the other function does."""
        converge(key, self.source, self.destination, RECIPE, renderer=shared())

    def __call__(
        self, path: str, method: str = "GET", *, query: str = "", body: bytes = b"", **headers: str
    ) -> dict[str, Any]:
        """Return the answer to a request."""
        return self.gateway.answer(event(path, method, query, body, headers))


def event(path: str, method: str, query: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return API Gateway's event for a request, in payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "abc.execute-api.eu-central-1.amazonaws.com"}
        | {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}},
        **({"body": base64.b64encode(body).decode(), "isBase64Encoded": True} if body else {}),
    }


def json_of(answer: Mapping[str, Any]) -> Any:
    """Return the JSON in an answer."""
    assert not answer["isBase64Encoded"]
    return json.loads(answer["body"])


@pytest.fixture
def make() -> Iterator[Callable[..., Api]]:
    """Return a function that makes an API, by default over empty stores in memory."""
    with contextlib.ExitStack() as stack:

        def made(
            source: Store | None = None, destination: Store | None = None, *, largest: int = 20_000, **settings: Any
        ) -> Api:
            given = WebSettings(**({"hosts": None, "max_wait": 5.0} | settings))
            api = Api(source or MemoryStore("source"), destination or MemoryStore("destination"), given, largest)
            stack.callback(api.gateway.close)
            return api

        yield made


@pytest.fixture
def api(make: Callable[..., Api]) -> Api:
    """Return an API over empty stores."""
    return make()


@pytest.mark.parametrize("key", PATHS)
def test_every_key_is_found_by_its_path(api: Api, key: str):
    """Every key is found after API Gateway decoded its path."""
    api.put(key)
    api.make(key)
    answer = api(PATHS[key])
    assert (answer["statusCode"], json_of(answer)["source"]["key"]) == (200, key)


def test_a_picture_is_sent_as_bytes(api: Api):
    """A thumbnail is sent in base64, in the accepted format; 304, 206 and HEAD work too."""
    api.put("a.jpg")
    api.make("a.jpg")
    for kind in ("image/webp", "image/jpeg"):
        answer = api("/renditions/a.jpg/small", accept=kind)
        assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, kind)
        content = base64.b64decode(answer["body"])
        assert content == api.destination.open(f"a.jpg/small.{ {'image/webp': 'webp'}.get(kind, 'jpg') }").data
        assert answer["headers"]["x-content-type-options"] == "nosniff"
        etag = answer["headers"]["etag"]
        assert api("/renditions/a.jpg/small", accept=kind, if_none_match=etag)["statusCode"] == 304
        part = api("/renditions/a.jpg/small", accept=kind, range="bytes=1-3")
        assert (part["statusCode"], base64.b64decode(part["body"])) == (206, content[1:4])
        head = api("/renditions/a.jpg/small", "HEAD", accept=kind)
        assert (head["statusCode"], head["body"], head["headers"]["content-length"]) == (200, "", str(len(content)))


def test_a_large_picture_is_sent_whole(make: Callable[..., Api]):
    """A thumbnail that is read in several parts arrives complete."""
    api = make(largest=1 << 20)
    noise = Image.frombytes("RGB", (400, 400), random.Random(1).randbytes(400 * 400 * 3))
    out = BytesIO()
    noise.save(out, "png")
    api.put("noise.png", out.getvalue())
    api.make("noise.png")
    content = base64.b64decode(api("/renditions/noise.png/large.png")["body"])
    assert len(content) > PIECE_BYTES
    assert content == api.destination.open("noise.png/large.png").data


def test_it_waits_for_thumbnails_in_the_making(api: Api):
    """The answer is 202 while thumbnails are in the making; with `?wait=` it is 200, or 202 when the time is over."""
    api.put("a.jpg")
    assert json_of(api("/images/a.jpg"))["status"] == "making"
    began = time.monotonic()
    assert api("/images/a.jpg", query="wait=0.5")["statusCode"] == 202
    assert time.monotonic() - began >= 0.5
    maker = threading.Timer(0.3, api.make, ["a.jpg"])
    maker.start()
    assert api("/images/a.jpg", query="wait=30")["statusCode"] == 200
    maker.join()


def test_a_missing_rendition_is_waited_for(api: Api):
    """A rendition of a new source is sent once it is made; without a source the answer is 404."""
    api.put("a.jpg")
    maker = threading.Timer(0.3, api.make, ["a.jpg"])
    maker.start()
    assert api("/renditions/a.jpg/small.webp")["statusCode"] == 200
    maker.join()
    assert api("/renditions/b.jpg/small.webp")["statusCode"] == 404


def test_waiting_ends_with_the_source(api: Api):
    """If the source is deleted during the wait, the answer is 404."""
    api.put("a.jpg")
    remover = threading.Timer(0.3, api.source.delete, ["a.jpg"])
    remover.start()
    assert api("/images/a.jpg", query="wait=30")["statusCode"] == 404
    remover.join()


def test_delete_deletes_the_source(api: Api):
    """DELETE deletes the source at once; the function that receives its event deletes the thumbnails."""
    api.put("a.jpg")
    api.make("a.jpg")
    assert api("/images/a.jpg", "DELETE")["statusCode"] == 204
    assert api.source.head("a.jpg") is None
    assert api("/images/a.jpg")["statusCode"] == 404


def test_only_hosted_routes_exist(api: Api):
    """There is no page, preview, session or direct upload, and the OpenAPI document lists none."""
    for path, method in (("/", "GET"), ("/previews", "POST"), ("/session", "POST"), ("/uploads/x", "PUT")):
        assert api(path, method)["statusCode"] == 404
    paths = json_of(api("/openapi.json"))["paths"]
    assert set(paths) == {
        "/uploads", "/images/{key}", "/images", "/renditions/{key}/{variant}", "/recipe", "/recipe/check", "/health"
    }  # fmt: skip
    assert set(paths["/renditions/{key}/{variant}"]) == {"get", "head"}
    assert api("/health")["statusCode"] == 200


def test_configured_origins_are_allowed(make: Callable[..., Api]):
    """A page with a configured origin may use the API; any other gets 403."""
    api = make(origins=frozenset({"https://shop.example"}))
    assert api("/images", origin="https://shop.example")["statusCode"] == 200
    assert api("/images", origin="https://other.example")["statusCode"] == 403


def test_a_bug_is_logged_and_answered_with_500(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A bug is a 500 without details for the client, and a traceback in the log."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(MemoryStore, "head", fail)
    answer = api("/images/a.jpg")
    assert answer["statusCode"] == 500
    assert "secret" not in answer["body"]
    logged = json.loads(capsys.readouterr().out)
    assert (logged["event"], logged["error"]) == ("fault", "ZeroDivisionError")


def test_an_upload_is_a_presigned_request(make: Callable[..., Api], monkeypatch: pytest.MonkeyPatch):
    """An upload is a request to the bucket whose signature covers key, type and size, for 15 minutes."""
    source = open_store("s3://source/in/")
    monkeypatch.setattr(type(source), "head", lambda *_: None)
    wish = json.dumps({"name": "a b.jpg", "type": "image/jpeg", "bytes": 3}).encode()
    answer = make(source)("/uploads", "POST", body=wish, content_type="application/json")
    assert answer["statusCode"] == 201
    upload = json_of(answer)["upload"]
    assert upload["method"] == "PUT"
    assert upload["headers"] == {"Content-Type": "image/jpeg", "If-None-Match": "*"}
    assert "/source/in/a%20b.jpg?" in upload["url"]
    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match" in upload["url"]
    assert "X-Amz-Expires=900" in upload["url"]


@needs_servers
def test_a_large_rendition_is_redirected(make: Callable[..., Api], seaweedfs: str):
    """A thumbnail too large for an answer is a redirect to the bucket; a range or HEAD is answered here."""
    api = make(destination=open_store(f"{seaweedfs}/out/"))
    api.put("a.jpg", PHOTO)
    api.make("a.jpg")
    answer = api("/renditions/a.jpg/large.png")
    assert (answer["statusCode"], answer["body"], answer["headers"]["cache-control"]) == (307, "", "no-store")
    content = api.destination.open("a.jpg/large.png").read(0, 1 << 20)
    assert len(content) > 20_000
    assert httpx.get(answer["headers"]["location"]).content == content
    assert httpx.get(answer["headers"]["location"].replace("large", "small")).status_code == 403
    part = api("/renditions/a.jpg/large.png", range="bytes=1-4")
    assert (part["statusCode"], base64.b64decode(part["body"])) == (206, content[1:5])
    assert api("/renditions/a.jpg/large.png", "HEAD")["statusCode"] == 200


def test_what_is_loaded():
    """The API loads no workers, image library, HTTP server, watcher or command, and no botocore yet."""
    settings = {"THUMBSMITH_SOURCE": "s3://source", "THUMBSMITH_DESTINATION": "s3://destination"}
    loaded = set(python(LOADED, measured=False, **settings, **NO_FILES).split())
    absent = {"PIL", "pi_heif", "uvicorn", "httptools", "watchfiles", "click", "rich", "aws_cdk", "botocore", "httpx"}
    assert not absent & loaded
    assert (
        not {"thumbsmith.web.app_local", "thumbsmith.web.background", "thumbsmith.worker.pool", "thumbsmith.bulk.sync"}
        & loaded
    )


def test_settings_come_from_the_environment(tmp_path: Path):
    """Environment variables name the stores, the recipe and the origins; nothing else is needed."""
    settings = {
        "THUMBSMITH_SOURCE": str(tmp_path / "in"),
        "THUMBSMITH_DESTINATION": f"file://{tmp_path}/out",
        "THUMBSMITH_RECIPE": "[variants.tiny]\nwidth = 3",
        "THUMBSMITH_ORIGINS": "https://shop.example, https://other.example",
    }
    request = event("/recipe", "GET", "", b"", {"origin": "https://other.example"})
    code = f"import json\nfrom thumbsmith.aws.api import handler\nprint(json.dumps(handler({request!r}, None)))"
    answer = json.loads(python(code, **settings, **NO_FILES))
    assert answer["headers"]["access-control-allow-origin"] == "https://other.example"
    assert [each["name"] for each in json_of(answer)["variants"]] == ["tiny"]


def test_invalid_settings_are_reported():
    """An error in the settings is logged when the module loads, and raised by each call."""
    code = "import thumbsmith.aws.api as api\ntry: api.handler({}, None)\nexcept Exception as e: print(e)"
    logged, raised = python(code, **NO_FILES).splitlines()
    assert json.loads(logged)["detail"] == raised == "THUMBSMITH_SOURCE: expected s3://BUCKET/PREFIX, found nothing"
