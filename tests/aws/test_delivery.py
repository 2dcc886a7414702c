"""A message is acknowledged when its keys are done, and retried otherwise, in every envelope."""

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import (
    Scene,
    eventbridge_event,
    failed,
    image_lines,
    lines,
    notification,
    queued,
    record,
    sns_message,
)
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from thumbsmith import open_store
from thumbsmith.errors import EventFailed, StoreError
from thumbsmith.store import Headers
from thumbsmith.worker import Workers

BUSY = StoreError("the store is busy", transient=True)
KEYS = ["a b+c/ü&=.jpg", "100%25.jpg", "%C3%BC.jpg", "+.jpg", "a./b.jpg", "//x.jpg", "\N{OWL}.jpg", "line\nbreak.jpg"]


@pytest.fixture
def faulty(scene: Scene) -> Faulty:
    """Return the scene's source as a store with faults."""
    scene.source = Faulty("src")
    return scene.source


@pytest.mark.parametrize("way", ["s3", "eventbridge", "sns", "sns of eventbridge"])
@pytest.mark.parametrize("queue", [True, False])
def test_every_envelope_gives_the_same_keys(way: str, queue: bool, scene: Scene):
    """Each service encodes keys differently; the thumbnails are always those of the exact key."""
    scene.upload(*KEYS)
    for key in KEYS:
        event = eventbridge_event(key) if way.endswith("eventbridge") else notification(key)
        if way.startswith("sns") and queue:
            event = sns_message(event)
        elif way.startswith("sns"):
            sns = {"Message": sns_message(event)["Message"]}
            event = {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]}
        answer = scene.call(queued(event) if queue else event)
        if queue:
            assert failed(answer) == []
        else:
            assert answer == {"images": [{"key": key, "outcome": "made", "code": None}]}
    assert scene.complete_keys() == set(KEYS)


def test_events_are_only_hints(scene: Scene):
    """A deletion event for an existing source makes thumbnails; a creation event without a source deletes them."""
    scene.upload("there.jpg", "gone.jpg")
    scene.call(notification("gone.jpg"))
    scene.source.delete("gone.jpg")
    scene.call(queued({"Records": [record("there.jpg", "ObjectRemoved:Delete")]}, notification("gone.jpg")))
    assert scene.complete_keys() == {"there.jpg"}
    assert {info.key.partition("/")[0] for info in scene.destination.list()} == {"there.jpg"}


def test_tags_are_hints_too(scene: Scene):
    """A tag event of an opted-out source deletes its thumbnails."""
    for event in ({"Records": [record("a.jpg", "ObjectTagging:Put")]}, eventbridge_event("a.jpg", "Object Tags Added")):
        scene.upload("a.jpg")
        scene.call(notification("a.jpg"))
        off = Headers(content_type="image/jpeg", metadata={"thumbs": "off"})
        scene.source.put("a.jpg", picture(), off)
        assert failed(scene.call(queued(event))) == []
        assert list(scene.destination.list()) == []


def test_a_restored_object_is_tried_again(scene: Scene):
    """A restored archived object is tried again, although its rejection is recorded."""
    scene.upload("a.jpg", data=b"no picture")
    retried = {"Records": [record("a.jpg", "ObjectRestore:Completed")]}
    assert scene.call(notification("a.jpg"))["images"][0]["code"] == "unsupported_format"
    rendered = []
    scene.renderer = Counting(scene.renderer, rendered)
    scene.call(notification("a.jpg"))
    assert rendered == []
    scene.call(retried)
    scene.call(eventbridge_event("a.jpg", "Object Restore Completed"))
    assert len(rendered) == 2


class Counting:
    """Workers that record the calls of `render`."""

    def __init__(self, workers: object, rendered: list) -> None:
        self.workers, self.rendered = workers, rendered

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Record the call, and render."""
        self.rendered.append(wanted)
        return self.workers.render(reader, recipe, wanted, until=until)


def test_one_key_is_one_job(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Several events about one key are one job, and all their messages are acknowledged."""
    scene.upload("a.jpg")
    answer = scene.call(queued(*[notification("a.jpg", "a.jpg")] * 3, eventbridge_event("a.jpg")))
    assert failed(answer) == []
    assert [line["key"] for line in image_lines(capsys)] == ["a.jpg"]


def test_a_rejected_picture_is_acknowledged(scene: Scene):
    """A rejection is recorded, and its message is acknowledged."""
    scene.upload("a.jpg", data=b"no picture")
    assert failed(scene.call(queued(notification("a.jpg")))) == []
    assert scene.manifest("a.jpg")["rejection"]["code"] == "unsupported_format"


def test_one_failure_among_ten(scene: Scene, faulty: Faulty):
    """Of ten messages, only the one with a failed key is retried, and it succeeds later."""
    keys = [f"{number}.jpg" for number in range(10)]
    scene.upload(*keys)
    faulty.faults["3.jpg"] = raising(BUSY)
    batch = queued(*(notification(key) for key in keys))
    assert failed(scene.call(batch)) == ["m3"]
    assert scene.complete_keys() == {*keys} - {"3.jpg"}
    faulty.faults.clear()
    assert failed(scene.call(batch)) == []
    assert scene.complete_keys() == {*keys}


def test_all_messages_with_a_failed_key_are_retried(scene: Scene, faulty: Faulty):
    """Each message that contains a failed key is retried."""
    scene.upload("a.jpg", "b.jpg", "c.jpg")
    faulty.faults["a.jpg"] = raising(BUSY)
    batch = queued(notification("a.jpg", "b.jpg"), notification("b.jpg", "c.jpg"), notification("c.jpg", "a.jpg"))
    assert failed(scene.call(batch)) == ["m0", "m2"]
    assert scene.complete_keys() == {"b.jpg", "c.jpg"}


def test_a_bug_is_logged_and_retried(scene: Scene, faulty: Faulty, capsys: pytest.CaptureFixture[str]):
    """A bug is logged with its traceback in one line, and affects no other key."""
    scene.upload("a.jpg", "b.jpg")
    faulty.faults["a.jpg"] = raising(ZeroDivisionError("a mistake"))
    assert failed(scene.call(queued(notification("a.jpg", "b.jpg"), notification("b.jpg")))) == ["m0"]
    (line,) = [line for line in image_lines(capsys) if line["outcome"] == "failed"]
    assert (line["code"], line["error"], line["detail"]) == ("bug", "ZeroDivisionError", "a mistake")
    assert "in fail\n" in line["traceback"]


def test_a_direct_call_fails_by_an_error(scene: Scene, faulty: Faulty):
    """A direct call with a failed key raises an error after it has done the others."""
    scene.upload("a.jpg", "b.jpg", "c.jpg")
    faulty.faults.update({"a.jpg": raising(BUSY), "b.jpg": raising(BUSY)})
    with pytest.raises(EventFailed, match=r"the store is busy \(and 1 more\)"):
        scene.call(notification("a.jpg", "b.jpg", "c.jpg"))
    assert scene.complete_keys() == {"c.jpg"}


def test_closed_workers_reject_nothing(scene: Scene):
    """An error of the workers records no rejection, and the message is retried."""
    closed = Workers(count=1)
    closed.close()
    scene.renderer = closed
    scene.upload("a.jpg")
    assert failed(scene.call(queued(notification("a.jpg")))) == ["m0"]
    assert list(scene.destination.list()) == []


def test_a_message_without_a_body_is_retried(scene: Scene):
    """A message without a body is unreadable, so it is retried."""
    batch = queued("")
    del batch["Records"][0]["body"]
    assert failed(scene.call(batch)) == ["m0"]


@pytest.mark.parametrize("event", [{}, None, 3, {"Records": [{"eventSource": "aws:kinesis"}]}, {"source": "aws.ec2"}])
def test_unknown_events_are_errors(event: object, scene: Scene):
    """An unknown event in a direct call is an error."""
    with pytest.raises(EventFailed, match=r"unknown (event|record)"):
        scene.call(event)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (record("a.jpg", "ObjectAcl:Put"), "other_event"),
        (record("a.jpg", "Replication:OperationFailedReplication"), "other_event"),
        (eventbridge_event("a.jpg", "Object Access Tier Changed"), "other_event"),
        (record("a.jpg", bucket="srcs"), "foreign_bucket"),
        (record("a.jpg/icon.webp", bucket="dst"), "loop_guard"),
        (record("folder/"), "folder"),
    ],
)
def test_ignored_events_are_acknowledged(event: dict, reason: str, scene: Scene, capsys: pytest.CaptureFixture[str]):
    """An ignored event is logged and acknowledged, and changes no key."""
    scene.upload("a.jpg")
    event = event if "detail" in event else {"Records": [event]}
    assert failed(scene.call(queued(event))) == []
    assert scene.call(event) == {"images": []}
    assert [line["reason"] for line in lines(capsys)] == [reason, reason]
    assert scene.complete_keys() == set()


def test_folders_are_stores_too(scene: Scene, tmp_path):
    """The last name of a folder's path is its bucket in events."""
    scene.source, scene.destination = open_store(tmp_path / "src"), open_store(tmp_path / "dst")
    scene.source.put("a/b.jpg", picture(), HEADERS)
    assert scene.call(notification("a/b.jpg"))["images"][0]["outcome"] == "made"
    assert scene.complete_keys() == {"a/b.jpg"}
