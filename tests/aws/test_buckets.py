"""Buckets and prefixes: only keys inside the source are handled."""

import pytest

from tests.aws.scene import Scene, eventbridge_event, failed, image_lines, lines, notification, queued
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from tests.servers.fixtures import needs_servers
from thumbsmith import open_store
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.events import Ignored, KeyChanged
from thumbsmith.recipe import Recipe
from thumbsmith.store import Headers


def settings(source: str, destination: str) -> FunctionSettings:
    """Return settings for these addresses; no request is made."""
    return FunctionSettings(source=open_store(source), destination=open_store(destination), recipe=Recipe.default())


@pytest.mark.parametrize(
    ("bucket", "key", "expected"),
    [
        ("b", "in/a.jpg", "a.jpg"),
        ("b", "in//a.jpg", "/a.jpg"),
        ("b", "in/in/a.jpg", "in/a.jpg"),
        ("b", "in/a/", "folder"),
        ("b", "in/", "outside_prefix"),
        ("b", "in", "outside_prefix"),
        ("b", "inn/a.jpg", "outside_prefix"),
        ("b", "a.jpg", "outside_prefix"),
        ("b", "out/a.jpg/icon.webp", "loop_guard"),
        ("c", "in/a.jpg", "foreign_bucket"),
        ("B", "in/a.jpg", "foreign_bucket"),
    ],
)
def test_keys_are_without_the_prefix(bucket: str, key: str, expected: str):
    """The prefix is removed from a key; keys outside it or in another bucket are ignored."""
    found = settings("s3://b/in", "s3://b/out").key_of(KeyChanged(bucket, key))
    assert (found.reason if isinstance(found, Ignored) else found) == expected


def test_a_whole_bucket():
    """Without a prefix, every key of the bucket is a key of the source."""
    assert settings("s3://b", "s3://c").key_of(KeyChanged("b", "in/a.jpg")) == "in/a.jpg"
    loop = settings("s3://b", "s3://c").key_of(KeyChanged("c", "in/a.jpg"))
    assert isinstance(loop, Ignored)
    assert loop.reason == "loop_guard"


@needs_servers
def test_in_a_bucket(scene: Scene, way: str, ministack: str, capsys: pytest.CaptureFixture[str]):
    """In one bucket with two prefixes: make, replace, opt out, make again, delete; own events are ignored."""
    scene.source, scene.destination = open_store(f"{ministack}/in"), open_store(f"{ministack}/out")
    bucket, key = ministack.removeprefix("s3://"), "é (1)+%.jpg"

    def happened() -> str:
        assert failed(scene.call(queued(eventbridge_event(f"in/{key}", bucket=bucket)))) == []
        (line,) = image_lines(capsys)
        return line["outcome"]

    scene.upload(key)
    assert (happened(), happened()) == ("made", "fresh")
    assert scene.complete_keys() == {key}
    scene.upload(key, data=picture("#00ff00"))
    assert happened() == "made"
    scene.source.put(key, picture("#00ff00"), Headers(content_type="image/jpeg", metadata={"thumbs": "off"}))
    assert (happened(), happened()) == ("deleted", "absent")
    scene.source.put(key, picture("#00ff00"), HEADERS)
    assert happened() == "made"
    for info in list(scene.destination.list()):
        scene.call(queued(eventbridge_event(f"out/{info.key}", bucket=bucket)))
    assert {line["reason"] for line in lines(capsys)} == {"loop_guard"}
    scene.source.delete(key)
    assert happened() == "deleted"
    assert list(scene.destination.list()) == []


@needs_servers
def test_a_missing_bucket_deletes_nothing(scene: Scene, ministack: str):
    """A missing bucket is not a deleted source: nothing is deleted, and the message is retried."""
    scene.destination = open_store(ministack)
    scene.upload("a.jpg")
    scene.call(notification("a.jpg"))
    scene.source = open_store("s3://there-is-none")
    event = eventbridge_event("a.jpg", "Object Deleted", "there-is-none")
    assert failed(scene.call(queued(event))) == ["m0"]
    assert scene.complete_keys() == {"a.jpg"}
