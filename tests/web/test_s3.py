"""The application over buckets: clients upload straight to S3 by presigned requests."""

import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from tests.web.serving import run_application, url
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope

pytestmark = needs_servers


@pytest.fixture
def scope(seaweedfs: str) -> Scope:
    """Return two stores in one bucket of a server that checks signatures."""
    return Scope(
        source=open_store(f"{seaweedfs}/in"),
        destination=open_store(f"{seaweedfs}/out"),
        recipe=Recipe.loads("[variants.small]\nwidth = 30\nformats = ['webp', 'jpeg']"),
    )


def _request_upload(client: httpx.Client, name: str, size: int) -> dict:
    answer = client.post("/uploads", json={"name": name, "type": "image/png", "bytes": size})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_presigned_upload_becomes_thumbnails(scope: Scope):
    """An image that was uploaded to the bucket gets thumbnails on request, and can be deleted."""
    data = picture(kind="png")
    with run_application(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        granted = _request_upload(client, "a b/é.png", len(data))
        upload = granted["upload"]
        assert not upload["url"].startswith(url(address))
        assert client.get(f"/images/{granted['key']}").status_code == 404
        assert (
            httpx.request(upload["method"], upload["url"], content=data, headers=upload["headers"]).status_code == 200
        )
        manifest = client.get(f"/images/{granted['key']}?wait=30").json()
        assert manifest["status"] == "ok"
        for kind in ("image/webp", "image/jpeg"):
            answer = client.get(f"/renditions/{granted['key']}/small", headers={"Accept": kind})
            assert answer.headers["content-type"] == kind
        assert [each["key"] for each in client.get("/images").json()["images"]] == [granted["key"]]
        assert client.delete(f"/images/{granted['key']}").status_code == 204
        assert client.get("/images").json()["images"] == []
        assert list(scope.destination.list()) == []


def test_a_direct_upload_goes_through_the_server(scope: Scope):
    """PUT and POST store an image in the bucket, with its media type, and refuse a taken name."""
    data = picture(kind="png")
    with run_application(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        assert client.put("/images/put/é.png?wait=30", content=data).status_code == 201
        assert client.put("/images/put/é.png", content=data).status_code == 409
        answer = client.post("/images?wait=30", files={"file": ("form.png", data, "image/png")})
        assert (answer.status_code, answer.json()["source"]["key"]) == (201, "form.png")
        known = client.get("/images/form.png").headers
        assert parsedate_to_datetime(known["last-modified"]).timestamp() > time.time() - 600
        rendition = client.get("/renditions/form.png/small").headers
        assert parsedate_to_datetime(rendition["last-modified"]).timestamp() > time.time() - 600


@pytest.mark.parametrize(
    ("content", "headers"),
    [(b"abcd", {}), (b"ab", {}), (b"abc", {"Content-Type": "text/html"}), (b"abc", {"Content-Type": "image/jpeg"})],
)
def test_size_and_type_are_signed(scope: Scope, content: bytes, headers: dict[str, str]):
    """S3 refuses another size or type than granted."""
    with run_application(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        upload = _request_upload(client, "bound.png", 3)["upload"]
        answer = httpx.put(upload["url"], content=content, headers={**upload["headers"], **headers})
        assert answer.status_code == 403
        assert scope.source.head("bound.png") is None


def test_another_key_and_a_late_upload_are_refused(scope: Scope):
    """A presigned URL is valid for one key and for a limited time."""
    request = scope.source.presigned_put("x.png", "image/png", 3, replace=False, seconds=1)
    other = request.url.replace("x.png", "y.png")
    assert httpx.put(other, content=b"abc", headers=dict(request.headers)).status_code == 403
    time.sleep(2.5)
    assert httpx.put(request.url, content=b"abc", headers=dict(request.headers)).status_code == 403


def test_an_upload_cannot_be_repeated(scope: Scope):
    """S3 refuses to replace the object with a second upload by the same URL."""
    with run_application(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        upload = _request_upload(client, "once.png", 3)["upload"]
        assert httpx.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 200
        assert httpx.put(upload["url"], content=b"xyz", headers=upload["headers"]).status_code == 412
        without = {name: value for name, value in upload["headers"].items() if name != "If-None-Match"}
        assert httpx.put(upload["url"], content=b"xyz", headers=without).status_code == 403
