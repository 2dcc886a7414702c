"""Every event of the corpus has the effect that the corpus documents."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.aws.scene import Scene, failed, lines, queued
from tests.corpus import CORPUS, needs_corpus
from tests.pictures import picture
from thumbsmith.errors import EventFailed

pytestmark = needs_corpus

TEN = tuple(f"{number}.jpg" for number in range(10))


@dataclass(frozen=True)
class Expected:
    """The expected effect of an event.

    `sources` exist, and `complete` have thumbnails afterwards. `before` had thumbnails, but their source is deleted.
    `retried`: the message is retried. `ignored`: the reasons logged for ignored events.
    """

    sources: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    retried: bool = False
    ignored: tuple[str, ...] = ()


A = ("a.jpg",)
MADE = Expected(A, A)
GONE = Expected(before=A)
POISON = Expected(A, retried=True)
EXPECTED = {
    "test_event": Expected(A, ignored=("test_event",)),
    "put": Expected(("a/b.jpg",), ("a/b.jpg",)),
    "put_space_plus": Expected(("red flower+1.jpg",), ("red flower+1.jpg",)),
    "put_double_encoded": Expected(("a%2Fb%20c.jpg", "a/b c.jpg"), ("a%2Fb%20c.jpg",)),
    "put_unicode": Expected(("фото/日本/e\u0301\u0301.jpg", "фото/日本/é\u0301.jpg"), ("фото/日本/é\u0301.jpg",)),
    "dup": MADE,
    "reorder_create_delete": GONE,
    "reorder_delete_create": MADE,
    "seq_len": MADE,
    "seq_case": MADE,
    "seq_missing": MADE,
    "delete": GONE,
    "delete_marker": GONE,
    "delete_old_version": MADE,
    "lifecycle_expire": GONE,
    "lifecycle_marker": GONE,
    "restore_completed": MADE,
    "unknown_event": Expected(A, ignored=("other_event",)),
    "major_version_3": POISON,
    "minor_version_99": MADE,
    "folder_marker": Expected(("a/",), ignored=("folder",)),
    "five_tb": MADE,  # the size in the event is not used
    "size_lies": MADE,
    "multi_records": Expected(TEN, TEN),
    "mixed_poison": Expected(("ok.jpg", "ok2.jpg"), ("ok.jpg", "ok2.jpg"), retried=True),
    "empty_records": Expected(A),
    "null_records": POISON,
    "not_json": POISON,
    "empty_body": POISON,
    "json_scalar": POISON,
    "deep_json": POISON,
    "eventbridge_created": Expected(("red flower+1.jpg",), ("red flower+1.jpg",)),
    "eventbridge_deleted": GONE,
    "sns_wrapped": MADE,
    "dest_bucket_event": Expected(A, ignored=("loop_guard",)),
    "foreign_bucket": Expected(A, ignored=("foreign_bucket",)),
    "future_time": MADE,
    "sfn_dmap": POISON,  # of an unsupported service
}
APART = {"zero_size", "batch_1_0", "batch_2_0", "batch_9_9"}


def text_of(name: str) -> str:
    """Return the content of a file of the corpus."""
    return (CORPUS / "events" / f"{name}.json").read_text()


def bodies_of(name: str) -> list[Any]:
    """Return the messages in a file: several if it contains a list of them."""
    text = text_of(name)
    return json.loads(text) if name.startswith(("reorder", "seq_len", "seq_case")) else [text]


def test_the_whole_corpus_is_covered():
    """Every event of the corpus is tested."""
    listed = (CORPUS / "events" / "MANIFEST.jsonl").read_text().splitlines()
    names = {json.loads(line)["file"].removeprefix("events/").removesuffix(".json") for line in listed}
    assert names == EXPECTED.keys() | APART
    assert len(names) == 42


@pytest.mark.parametrize("name", EXPECTED)
def test_an_event_has_the_documented_effect(name: str, scene: Scene, capsys: pytest.CaptureFixture[str]):
    """From a queue, each event makes the right thumbnails, retries the right messages, and is logged."""
    expected = EXPECTED[name]
    scene.upload(*expected.before)
    scene.call(queued({"Records": [_created(key) for key in expected.before]}))
    for key in expected.before:
        scene.source.delete(key)
    assert scene.complete_keys() == set(expected.before)
    scene.upload(*expected.sources)
    lines(capsys)
    answer = scene.call(queued(*bodies_of(name)))
    assert scene.complete_keys() == set(expected.complete)
    assert bool(failed(answer)) == expected.retried
    logged = lines(capsys)
    assert tuple(line["reason"] for line in logged if line["event"] == "ignored") == expected.ignored
    assert any(line["event"] == "unreadable" for line in logged) == expected.retried
    assert len([line for line in logged if line["event"] == "image"]) == len(set(expected.complete + expected.before))


@pytest.mark.parametrize("name", ["major_version_3", "mixed_poison", "null_records", "json_scalar", "sfn_dmap"])
def test_an_unreadable_direct_call_fails(name: str, scene: Scene):
    """An unreadable event in a direct call is an error, so that Lambda retries it."""
    scene.upload(*EXPECTED[name].sources)
    with pytest.raises(EventFailed):
        scene.call(json.loads(text_of(name)))
    assert scene.complete_keys() == set(EXPECTED[name].complete)


def test_the_current_source_wins(scene: Scene):
    """The thumbnails are of the current source, in any order of its events."""
    for name in ("seq_len", "seq_case"):
        for color in ("#ff0000", "#0000ff"):
            scene.upload("a.jpg", data=picture(color))
        scene.call(queued(*bodies_of(name)))
        info = scene.source.head("a.jpg")
        assert info is not None
        assert scene.manifest("a.jpg")["source"]["etag"] == info.etag
        assert scene.manifest("a.jpg")["placeholder"]["color"].endswith("fe")


def test_an_empty_source_is_rejected(scene: Scene):
    """An empty source is rejected, by its size in the store."""
    scene.upload("a.jpg", data=b"")
    assert failed(scene.call(queued(text_of("zero_size")))) == []
    assert scene.manifest("a.jpg")["rejection"]["code"] == "empty"


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_tasks_of_both_versions_succeed(version: str, scene: Scene):
    """A Batch Operations task of either version succeeds; its key is decoded."""
    scene.upload("red flower.jpg")
    answer = scene.call(json.loads(text_of(f"batch_{version.replace('.', '_')}")))
    assert answer == {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": "i",
        "results": [{"taskId": "t", "resultCode": "Succeeded", "resultString": "made"}],
    }
    assert scene.complete_keys() == {"red flower.jpg"}


def test_tasks_of_another_version_are_refused(scene: Scene):
    """A task of another version is an error that names the version."""
    with pytest.raises(EventFailed, match=r"found '9\.9'"):
        scene.call(json.loads(text_of("batch_9_9")))


def _created(key: str) -> dict[str, Any]:
    what = {"bucket": {"name": "src"}, "object": {"key": key}}
    return {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": what}
