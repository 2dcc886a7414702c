"""`POST /events`: notifications by HTTP are done, or the sender sends them again."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.aws.scene import record
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from tests.servers.fixtures import needs_servers
from tests.web.serving import RECIPE, run_application, url
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.events import Ignored, KeyChanged, Unreadable, parse_events
from thumbsmith.store import Store
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web import WebSettings
from thumbsmith.web.events import MAX_EVENT_BYTES, Sending

TOKEN = "a token of the server"
EVENTS_TOKEN = "a token only for events"


@dataclass(frozen=True)
class Receiver:
    """A server whose source is in memory: nothing but events tells it of changes."""

    client: httpx.Client
    source: Store
    thumbnails: Path


@contextmanager
def receiver(folder: Path, settings: WebSettings, events_to: Sending | None = None) -> Iterator[Receiver]:
    """Run a server with the source `sources` in memory, and with a folder for thumbnails."""
    source = MemoryStore("sources")
    scope = Scope(source=source, destination=open_store(folder / "thumbnails"), recipe=Recipe.loads(RECIPE))
    with (
        run_application(scope, settings, events_to=events_to) as address,
        httpx.Client(base_url=url(address), timeout=60) as client,
    ):
        yield Receiver(client, source, folder / "thumbnails")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Return a server with a token for events."""
    settings = WebSettings(token=TOKEN, events_token=EVENTS_TOKEN)
    with receiver(tmp_path_factory.mktemp("events"), settings) as running:
        yield running


def send(server: Receiver, body: Any, authorization: str | None = f"Bearer {EVENTS_TOKEN}") -> httpx.Response:
    """Return the answer to a notification."""
    headers = {"Authorization": authorization} if authorization else {}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.client.post("/events", content=content, headers=headers)


def about(*keys: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """Return a notification as MinIO sends it."""
    records = [record(key, f"s3:{name}", bucket="sources") for key in keys]
    return {"EventName": f"s3:{name}", "Key": f"sources/{keys[0]}", "Records": records}


def test_an_answer_means_that_the_thumbnails_are_right(server: Receiver):
    """200 comes when the thumbnails of all keys exist, or are deleted with their source; the metrics count them."""
    for name in ("one.png", "two.png"):
        server.source.put(name, picture(), HEADERS)
    answer = send(server, about("one.png", "two.png"))
    assert (answer.status_code, len(answer.json()["images"])) == (200, 2)
    assert {each["outcome"] for each in answer.json()["images"]} == {"made"}
    assert (server.thumbnails / "one.png" / "manifest.json").exists()
    server.source.delete("one.png")
    answer = send(server, about("one.png", name="ObjectRemoved:Delete"))
    assert answer.json()["images"][0]["outcome"] == "deleted"
    assert not list(server.thumbnails.glob("one.png/*"))


def test_an_event_that_changes_nothing_is_accepted(server: Receiver):
    """Events of other buckets and test events get 200: sending them again would not help."""
    assert send(server, {"Records": [record("x.png", bucket="other")]}).json() == {"images": []}
    assert send(server, {"Event": "s3:TestEvent", "Bucket": "sources"}).status_code == 200


def test_a_failed_key_is_sent_again(server: Receiver):
    """If a key fails, the answer is 503 with Retry-After; after the cause is removed it is 200."""
    server.source.put("blocked.png", picture(), HEADERS)
    server.thumbnails.mkdir(exist_ok=True)
    moved = server.thumbnails.rename(server.thumbnails.with_name("elsewhere"))
    server.thumbnails.write_text("no folder")
    try:
        answer = send(server, about("blocked.png"))
    finally:
        server.thumbnails.unlink()
        moved.rename(server.thumbnails)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert send(server, about("blocked.png")).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        (f"Bearer {TOKEN}", 401),
        (f"Basic {b64encode(b'minio:wrong').decode()}", 401),
        ("Basic !", 401),
        (f"Bearer {EVENTS_TOKEN}", 200),
        (f"Basic {b64encode(f'ceph:{EVENTS_TOKEN}'.encode()).decode()}", 200),
    ],
)
def test_the_token_for_events_is_required(server: Receiver, authorization: str | None, status: int):
    """Only the token for events is accepted, as Bearer or as the password of a URL."""
    assert send(server, {"Event": "s3:TestEvent"}, authorization).status_code == status


def test_the_token_for_events_allows_nothing_else(server: Receiver):
    """With the token for events, no other path can be read or changed."""
    headers = {"Authorization": f"Bearer {EVENTS_TOKEN}"}
    for method, path in (("GET", "/images"), ("DELETE", "/images/two.png"), ("GET", "/metrics")):
        assert server.client.request(method, path, headers=headers).status_code == 401
    assert server.client.get("/events", headers=headers).status_code == 405


def test_a_server_without_a_token_accepts_no_events(tmp_path: Path):
    """Without any token the answer is 403; with the token of the server alone, that one is accepted."""
    with receiver(tmp_path, WebSettings()) as running:
        answer = send(running, {"Event": "s3:TestEvent"})
        assert (answer.status_code, answer.json()["code"]) == (403, "no_token")
    with receiver(tmp_path, WebSettings(token=TOKEN)) as running:
        assert send(running, {"Event": "s3:TestEvent"}, f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"Records": [{}]}', b"\xff", b"[" * 9999])
def test_what_is_no_notification_is_refused(server: Receiver, body: bytes):
    """A body that cannot be read, also in part, gets 400 and one sentence."""
    answer = send(server, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_body")


def test_a_large_body_is_refused(server: Receiver):
    """A body above the limit gets 413."""
    assert send(server, b" " * (MAX_EVENT_BYTES + 1)).status_code == 413


@needs_servers
@pytest.mark.parametrize("kind", ["jetstream", "amqp_queue"])
def test_a_queue_stores_the_events(tmp_path: Path, kind: str, request: pytest.FixtureRequest):
    """With a queue the answer is 202 as soon as it has stored the notification, and the worker gets it unchanged."""
    queue = request.getfixturevalue(kind)
    with receiver(tmp_path, WebSettings(token=TOKEN), events_to=queue) as running:
        answer = send(running, about("a b/é.png"), f"Bearer {TOKEN}")
        assert (answer.status_code, answer.json()) == (202, {"queued": 1})
    (message,) = queue.receive(10)
    assert json.loads(message.body) == about("a b/é.png")


def test_the_events_of_ceph_and_minio_are_understood():
    """Both write records as S3 does. MinIO encodes keys; of Ceph, both readings of a key are checked in the store."""
    minio = record("a b+é.jpg", "s3:ObjectRemoved:Delete", bucket="p") | {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
    }
    assert list(parse_events({"EventName": "s3:x", "Key": "p/x", "Records": [minio]})) == [KeyChanged("p", "a b+é.jpg")]
    ceph = record("plain.jpg", "ObjectLifecycle:Expiration:Current", bucket="p") | {"eventSource": "ceph:s3"}
    assert list(parse_events({"Records": [ceph]})) == [KeyChanged("p", "plain.jpg")]
    ceph["eventName"] = "ObjectSynced:Delete"
    ceph["s3"]["object"]["key"] = "50% a+b.jpg"
    found = list(parse_events({"Records": [ceph]}))
    assert found == [KeyChanged("p", "50% a b.jpg"), KeyChanged("p", "50% a+b.jpg")]
    ceph["s3"]["object"]["key"] = "100%ff.jpg"
    assert list(parse_events({"Records": [ceph]})) == [KeyChanged("p", "100%ff.jpg")]
    ceph["eventName"] = "ObjectLifecycle:Transition:Current"
    assert {type(each) for each in parse_events({"Records": [ceph]})} == {Ignored}


def weed(path: str, kind: str = "create", **message: Any) -> list[Any]:
    """Return the events of a webhook of SeaweedFS."""
    return list(parse_events({"event_type": kind, "key": path, "message": message}))


def test_the_webhooks_of_seaweedfs_are_understood():
    """A file below /buckets is a key, which is not encoded; folders, parts of uploads and other files are ignored."""
    entry = {"name": "é 1+.jpg"}
    folder = {"name": "sub", "is_directory": True}
    assert weed("/buckets/photos/sub/é 1+.jpg", new_entry=entry) == [KeyChanged("photos", "sub/é 1+.jpg")]
    assert weed("/buckets/photos/a.jpg", "delete", old_entry=entry) == [KeyChanged("photos", "a.jpg")]
    assert weed("/buckets/photos/sub", new_entry=folder) == [Ignored("folder", "/buckets/photos/sub")]
    for other in ("/buckets/photos", "/etc/seaweedfs/x", "/buckets/photos/.uploads/1/0001.part"):
        assert weed(other, new_entry=entry) == [Ignored("other_event", other)]
    renamed = weed("/buckets/p/a.jpg", "rename", new_entry={"name": "b.jpg"}, new_parent_path="/buckets/p/c")
    assert renamed == [KeyChanged("p", "a.jpg"), KeyChanged("p", "c/b.jpg")]
    versioned = weed("/buckets/p/a.jpg.versions/v_6a0b", new_entry={"name": "v_6a0b"})
    assert versioned == [KeyChanged("p", "a.jpg")]
    assert weed("/buckets/p/a.jpg.versions", "update", new_entry=folder) == [KeyChanged("p", "a.jpg")]
    assert isinstance(next(parse_events({"event_type": "create", "key": 1, "message": {}})), Unreadable)
