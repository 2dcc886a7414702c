"""The application over buckets: uploads go straight there, by presigned requests that are bound."""

import time

import httpx
import pytest

from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from tests.web.serving import serving, url
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope

pytestmark = needs_servers


@pytest.fixture
def scope(seaweedfs: str) -> Scope:
    """Return a source and a destination in one bucket of a server that checks signatures."""
    return Scope(
        source=open_store(f"{seaweedfs}/in"),
        destination=open_store(f"{seaweedfs}/out"),
        recipe=Recipe.loads("[variants.small]\nwidth = 30\nformats = ['webp', 'jpeg']"),
    )


def _grant(client: httpx.Client, name: str, size: int) -> dict:
    answer = client.post("/uploads", json={"name": name, "type": "image/png", "bytes": size})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_presigned_upload_becomes_thumbnails(scope: Scope):
    """Uploaded without us in between, converged when it is asked for, negotiated, deleted."""
    data = picture(kind="png")
    with serving(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        granted = _grant(client, "a b/é.png", len(data))
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


@pytest.mark.parametrize(
    ("content", "headers"),
    [(b"abcd", {}), (b"ab", {}), (b"abc", {"Content-Type": "text/html"}), (b"abc", {"Content-Type": "image/jpeg"})],
)
def test_size_and_type_are_bound_in(scope: Scope, content: bytes, headers: dict[str, str]):
    """Another size or type than granted is refused by the bucket itself."""
    with serving(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        upload = _grant(client, "bound.png", 3)["upload"]
        answer = httpx.put(upload["url"], content=content, headers={**upload["headers"], **headers})
        assert answer.status_code == 403
        assert scope.source.head("bound.png") is None


def test_another_key_or_a_later_time_is_refused(scope: Scope):
    """The signature is for one key, and runs out."""
    request = scope.source.presigned_put("x.png", "image/png", 3, replace=False, seconds=1)
    other = request.url.replace("x.png", "y.png")
    assert httpx.put(other, content=b"abc", headers=dict(request.headers)).status_code == 403
    time.sleep(2.5)
    assert httpx.put(request.url, content=b"abc", headers=dict(request.headers)).status_code == 403


def test_an_upload_is_not_repeated(scope: Scope):
    """Replay: the bucket has the object already, and refuses to replace it."""
    with serving(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        upload = _grant(client, "once.png", 3)["upload"]
        assert httpx.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 200
        assert httpx.put(upload["url"], content=b"xyz", headers=upload["headers"]).status_code == 412
        without = {name: value for name, value in upload["headers"].items() if name != "If-None-Match"}
        assert httpx.put(upload["url"], content=b"xyz", headers=without).status_code == 403
