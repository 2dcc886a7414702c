"""Which messages make a function list the renditions of a key before it writes."""

from collections.abc import Iterator

import pytest

from tests.aws.scene import CREATED, Scene, eventbridge_event, notification, queued, record, sns_message
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from thumbsmith.events import backfill_message
from thumbsmith.store import ObjectInfo
from thumbsmith.store.memory import MemoryStore


class Listed(MemoryStore):
    """A store that counts the listings of a key."""

    __slots__ = ("listings",)

    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Count the listing."""
        self.listings.append(key)
        return super().children(key)


@pytest.fixture
def listed(scene: Scene) -> Listed:
    """Return the destination of the function."""
    store = Listed("dst")
    object.__setattr__(store, "listings", [])
    scene.destination = store
    scene.upload("a.jpg")
    return store


@pytest.mark.parametrize(
    "body",
    [
        notification("a.jpg"),
        eventbridge_event("a.jpg"),
        sns_message(notification("a.jpg")),
        backfill_message("src", "a.jpg", new_at=CREATED),
    ],
    ids=["S3", "EventBridge", "SNS", "backfill"],
)
def test_a_new_source_is_made_without_a_listing(scene: Scene, listed: Listed, body: object) -> None:
    """The first delivery of the report of a new object lists nothing, nor that of a source that has no thumbnails."""
    assert scene.call(queued(body)) == {"batchItemFailures": []}
    assert scene.complete_keys() == {"a.jpg"}
    assert listed.listings == []


def test_a_replaced_source_is_made_without_a_listing(scene: Scene, listed: Listed) -> None:
    """The manifest names the renditions of the source before: one that is no longer made is deleted."""
    scene.recipe = type(scene.recipe).loads("[variants.small]\nwidth = 16\nformats = ['source']\n")
    scene.call(queued(notification("a.jpg")))
    scene.upload("a.jpg", data=picture(kind="png"))
    scene.call(queued(notification("a.jpg")))
    assert {info.key for info in listed.list()} == {"a.jpg/small.png", "a.jpg/manifest.json"}
    assert listed.listings == []


@pytest.mark.parametrize(
    "event",
    [
        queued(notification("a.jpg"), receives=2),
        queued(backfill_message("src", "a.jpg")),
        queued(backfill_message("src", "a.jpg", new_at=CREATED), receives=2),
        queued(backfill_message("src", "a.jpg", new_at="2023-11-14T22:03:19Z")),
        queued({"Records": [record("a.jpg", created="2023-11-14T21:00:00.000Z")]}),
        queued({"Records": [record("a.jpg", created="2023-11-14T23:00:00.000Z")]}),
        queued({"Records": [record("a.jpg", created="2023-11-14T22:13:19")]}),
        queued({"Records": [record("a.jpg", created="soon")]}),
        queued({"Records": [record("a.jpg", created=None)]}),
        queued({"Records": [record("a.jpg", "ObjectTagging:Put")]}),
        queued(notification("a.jpg"), backfill_message("src", "a.jpg")),
        notification("a.jpg"),
    ],
    ids=[
        "redelivered",
        "backfill",
        "redelivered backfill",
        "redriven backfill",
        "redriven",
        "clock ahead",
        "no time zone",
        "unreadable time",
        "no time",
        "tags",
        "two messages",
        "direct call",
    ],
)
def test_any_other_request_lists_the_renditions(scene: Scene, listed: Listed, event: object) -> None:
    """An earlier run may have ended before its commit, so that the manifest does not name all renditions."""
    scene.call(event)
    assert scene.complete_keys() == {"a.jpg"}
    assert listed.listings == ["a.jpg"]


def test_a_repeated_message_lists_the_renditions(scene: Scene, listed: Listed) -> None:
    """A source that has the recorded etag is compared with what is stored: a deleted rendition is made again."""
    scene.call(queued(notification("a.jpg")))
    listed.delete("a.jpg/icon.webp")
    scene.call(queued(notification("a.jpg")))
    assert scene.complete_keys() == {"a.jpg"}
    assert listed.listings == ["a.jpg"]


def test_a_deleted_source_lists_the_renditions(scene: Scene, listed: Listed) -> None:
    """All renditions of a deleted source are deleted, also those that no manifest names."""
    scene.call(queued(notification("a.jpg")))
    listed.put("a.jpg/old.webp", b"left by an earlier release", HEADERS)
    scene.source.delete("a.jpg")
    scene.call(queued(notification("a.jpg")))
    assert list(listed.list()) == []
