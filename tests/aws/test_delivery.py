"""Messages are done when their keys are, and delivered again when not; whatever way an event came."""

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Scene, announcement, enveloped, failed, lines, notification, queued, record
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
    """Return the scene's source, which fails where a test says so."""
    scene.source = Faulty("src")
    return scene.source


@pytest.mark.parametrize("way", ["s3", "eventbridge", "sns", "sns of eventbridge"])
@pytest.mark.parametrize("queue", [True, False])
def test_every_way_brings_the_same_keys(way: str, queue: bool, scene: Scene):
    """Each service spells keys in its own way: what is made are the thumbnails of the very key."""
    scene.upload(*KEYS)
    for key in KEYS:
        event = announcement(key) if way.endswith("eventbridge") else notification(key)
        if way.startswith("sns") and queue:
            event = enveloped(event)
        elif way.startswith("sns"):
            sns = {"Message": enveloped(event)["Message"]}
            event = {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]}
        answer = scene.call(queued(event) if queue else event)
        if queue:
            assert failed(answer) == []
        else:
            assert answer == {"images": [{"key": key, "outcome": "made", "code": None}]}
    assert scene.pictured() == set(KEYS)


def test_events_are_only_hints(scene: Scene):
    """A deletion of what is there again makes it; a creation of what is gone removes its thumbnails."""
    scene.upload("there.jpg", "gone.jpg")
    scene.call(notification("gone.jpg"))
    scene.source.delete("gone.jpg")
    scene.call(queued({"Records": [record("there.jpg", "ObjectRemoved:Delete")]}, notification("gone.jpg")))
    assert scene.pictured() == {"there.jpg"}
    assert {info.key.partition("/")[0] for info in scene.destination.list()} == {"there.jpg"}


def test_tags_are_hints_too(scene: Scene):
    """Whoever opts out later loses the thumbnails by the event that says so."""
    for event in ({"Records": [record("a.jpg", "ObjectTagging:Put")]}, announcement("a.jpg", "Object Tags Added")):
        scene.upload("a.jpg")
        scene.call(notification("a.jpg"))
        off = Headers(content_type="image/jpeg", metadata={"thumbs": "off"})
        scene.source.put("a.jpg", picture(), off)
        assert failed(scene.call(queued(event))) == []
        assert list(scene.destination.list()) == []


def test_a_restored_object_is_tried_again(scene: Scene):
    """A rejection stands until the source changes; that it can be read now is no change of it."""
    scene.upload("a.jpg", data=b"no picture")
    retried = {"Records": [record("a.jpg", "ObjectRestore:Completed")]}
    assert scene.call(notification("a.jpg"))["images"][0]["code"] == "unsupported_format"
    asked = []
    scene.renderer = Counting(scene.renderer, asked)
    scene.call(notification("a.jpg"))
    assert asked == []
    scene.call(retried)
    scene.call(announcement("a.jpg", "Object Restore Completed"))
    assert len(asked) == 2


class Counting:
    """Workers that write down what they are asked for."""

    def __init__(self, workers: object, asked: list) -> None:
        self.workers, self.asked = workers, asked

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Return what the workers make."""
        self.asked.append(wanted)
        return self.workers.render(reader, recipe, wanted, until=until)


def test_one_key_is_one_job(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """However many messages of a batch speak of it, and all of them are done with it."""
    scene.upload("a.jpg")
    answer = scene.call(queued(*[notification("a.jpg", "a.jpg")] * 3, announcement("a.jpg")))
    assert failed(answer) == []
    assert [line["key"] for line in lines(capsys)] == ["a.jpg"]


def test_a_rejected_picture_is_acknowledged(scene: Scene):
    """It is recorded, and nobody tries it again."""
    scene.upload("a.jpg", data=b"no picture")
    assert failed(scene.call(queued(notification("a.jpg")))) == []
    assert scene.manifest("a.jpg")["rejection"]["code"] == "unsupported_format"


def test_one_failure_among_ten(scene: Scene, faulty: Faulty):
    """Nine are done, one is delivered again, and done when the store is well again."""
    keys = [f"{number}.jpg" for number in range(10)]
    scene.upload(*keys)
    faulty.faults["3.jpg"] = raising(BUSY)
    batch = queued(*(notification(key) for key in keys))
    assert failed(scene.call(batch)) == ["m3"]
    assert scene.pictured() == {*keys} - {"3.jpg"}
    faulty.faults.clear()
    assert failed(scene.call(batch)) == []
    assert scene.pictured() == {*keys}


def test_all_who_asked_for_a_key_that_failed(scene: Scene, faulty: Faulty):
    """Are delivered again; a message is not done while one of its keys is not."""
    scene.upload("a.jpg", "b.jpg", "c.jpg")
    faulty.faults["a.jpg"] = raising(BUSY)
    batch = queued(notification("a.jpg", "b.jpg"), notification("b.jpg", "c.jpg"), notification("c.jpg", "a.jpg"))
    assert failed(scene.call(batch)) == ["m0", "m2"]
    assert scene.pictured() == {"b.jpg", "c.jpg"}


def test_a_mistake_of_ours_is_told_and_handed_back(scene: Scene, faulty: Faulty, capsys: pytest.CaptureFixture[str]):
    """What has no name is a bug: told with where it happened, in one line, and no other key suffers."""
    scene.upload("a.jpg", "b.jpg")
    faulty.faults["a.jpg"] = raising(ZeroDivisionError("a mistake"))
    assert failed(scene.call(queued(notification("a.jpg", "b.jpg"), notification("b.jpg")))) == ["m0"]
    (line,) = [line for line in lines(capsys) if line["outcome"] == "failed"]
    assert (line["code"], line["error"], line["detail"]) == ("bug", "ZeroDivisionError", "a mistake")
    assert "in fail\n" in line["traceback"]


def test_whoever_calls_directly_is_told_by_an_error(scene: Scene, faulty: Faulty):
    """Then Lambda calls again; what could be done is done."""
    scene.upload("a.jpg", "b.jpg", "c.jpg")
    faulty.faults.update({"a.jpg": raising(BUSY), "b.jpg": raising(BUSY)})
    with pytest.raises(EventFailed, match=r"the store is busy \(and 1 more\)"):
        scene.call(notification("a.jpg", "b.jpg", "c.jpg"))
    assert scene.pictured() == {"c.jpg"}


def test_workers_that_are_gone_are_no_fault_of_the_picture(scene: Scene):
    """Nothing is recorded, and the message comes again."""
    closed = Workers(count=1)
    closed.close()
    scene.renderer = closed
    scene.upload("a.jpg")
    assert failed(scene.call(queued(notification("a.jpg")))) == ["m0"]
    assert list(scene.destination.list()) == []


def test_a_message_without_a_body_is_delivered_again(scene: Scene):
    """It is not taken for one that says nothing."""
    batch = queued("")
    del batch["Records"][0]["body"]
    assert failed(scene.call(batch)) == ["m0"]


@pytest.mark.parametrize("event", [{}, None, 3, {"Records": [{"eventSource": "aws:kinesis"}]}, {"source": "aws.ec2"}])
def test_events_of_others_are_errors(event: object, scene: Scene):
    """A function that is wired up wrongly says so instead of doing nothing."""
    with pytest.raises(EventFailed, match=r"no (event|record) that is known"):
        scene.call(event)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (record("a.jpg", "ObjectAcl:Put"), "other_event"),
        (record("a.jpg", "Replication:OperationFailedReplication"), "other_event"),
        (announcement("a.jpg", "Object Access Tier Changed"), "other_event"),
        (record("a.jpg", bucket="srcs"), "foreign_bucket"),
        (record("a.jpg/icon.webp", bucket="dst"), "loop_guard"),
        (record("folder/"), "folder"),
    ],
)
def test_what_changes_nothing_is_acknowledged(
    event: dict, reason: str, scene: Scene, capsys: pytest.CaptureFixture[str]
):
    """Told and counted, and no key is touched."""
    scene.upload("a.jpg")
    event = event if "detail" in event else {"Records": [event]}
    assert failed(scene.call(queued(event))) == []
    assert scene.call(event) == {"images": []}
    assert [line["reason"] for line in lines(capsys)] == [reason, reason]
    assert scene.pictured() == set()


def test_folders_are_stores_too(scene: Scene, tmp_path):
    """Of a folder the last name counts as its bucket."""
    scene.source, scene.destination = open_store(tmp_path / "src"), open_store(tmp_path / "dst")
    scene.source.put("a/b.jpg", picture(), HEADERS)
    assert scene.call(notification("a/b.jpg"))["images"][0]["outcome"] == "made"
    assert scene.pictured() == {"a/b.jpg"}
