"""Every payload of the corpus ends as its manifest says."""

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
class End:
    """What the manifest's words mean: sources that are there, those that have thumbnails in the end, and the rest.

    `before` have thumbnails at the beginning although their source is gone by now. `again`: the message is delivered
    again. `told`: the reasons that are logged for what was ignored.
    """

    sources: tuple[str, ...] = ()
    pictured: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    again: bool = False
    told: tuple[str, ...] = ()


A = ("a.jpg",)
MADE = End(A, A)
GONE = End(before=A)
POISON = End(A, again=True)
ENDS = {
    "test_event": End(A, told=("test_event",)),
    "put": End(("a/b.jpg",), ("a/b.jpg",)),
    "put_space_plus": End(("red flower+1.jpg",), ("red flower+1.jpg",)),
    "put_double_encoded": End(("a%2Fb%20c.jpg", "a/b c.jpg"), ("a%2Fb%20c.jpg",)),
    "put_unicode": End(("фото/日本/e\u0301\u0301.jpg", "фото/日本/é\u0301.jpg"), ("фото/日本/é\u0301.jpg",)),
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
    "unknown_event": End(A, told=("other_event",)),
    "major_version_3": POISON,
    "minor_version_99": MADE,
    "folder_marker": End(("a/",), told=("folder",)),
    "five_tb": MADE,  # the event's size is not trusted: the store is asked
    "size_lies": MADE,
    "multi_records": End(TEN, TEN),
    "mixed_poison": End(("ok.jpg", "ok2.jpg"), ("ok.jpg", "ok2.jpg"), again=True),
    "empty_records": End(A),
    "null_records": POISON,
    "not_json": POISON,
    "empty_body": POISON,
    "json_scalar": POISON,
    "deep_json": POISON,
    "eventbridge_created": End(("red flower+1.jpg",), ("red flower+1.jpg",)),
    "eventbridge_deleted": GONE,
    "sns_wrapped": MADE,
    "dest_bucket_event": End(A, told=("loop_guard",)),
    "foreign_bucket": End(A, told=("foreign_bucket",)),
    "future_time": MADE,
    "sfn_dmap": POISON,  # of a service that is none of ours
}
APART = {"zero_size", "batch_1_0", "batch_2_0", "batch_9_9"}


def text_of(name: str) -> str:
    """Return the content of a file of the corpus."""
    return (CORPUS / "events" / f"{name}.json").read_text()


def bodies_of(name: str) -> list[Any]:
    """Return the messages that a file holds: several where it is a list of them."""
    text = text_of(name)
    return json.loads(text) if name.startswith(("reorder", "seq_len", "seq_case")) else [text]


def test_all_of_the_corpus_is_there():
    """No payload is left out."""
    listed = (CORPUS / "events" / "MANIFEST.jsonl").read_text().splitlines()
    names = {json.loads(line)["file"].removeprefix("events/").removesuffix(".json") for line in listed}
    assert names == ENDS.keys() | APART
    assert len(names) == 42


@pytest.mark.parametrize("name", ENDS)
def test_a_payload_ends_as_the_manifest_says(name: str, scene: Scene, capsys: pytest.CaptureFixture[str]):
    """From a queue: the right thumbnails, the right messages handed back, and what was ignored is told."""
    end = ENDS[name]
    scene.upload(*end.before)
    scene.call(queued({"Records": [_created(key) for key in end.before]}))
    for key in end.before:
        scene.source.delete(key)
    assert scene.pictured() == set(end.before)
    scene.upload(*end.sources)
    lines(capsys)
    answer = scene.call(queued(*bodies_of(name)))
    assert scene.pictured() == set(end.pictured)
    assert bool(failed(answer)) == end.again
    told = lines(capsys)
    assert tuple(line["reason"] for line in told if line["event"] == "ignored") == end.told
    assert any(line["event"] == "unreadable" for line in told) == end.again
    assert len([line for line in told if line["event"] == "image"]) == len(set(end.pictured + end.before))


@pytest.mark.parametrize("name", ["major_version_3", "mixed_poison", "null_records", "json_scalar", "sfn_dmap"])
def test_poison_that_comes_directly_fails_the_invocation(name: str, scene: Scene):
    """Then Lambda tries it again and puts it where somebody looks; nothing is returned that looks like success."""
    scene.upload(*ENDS[name].sources)
    with pytest.raises(EventFailed):
        scene.call(json.loads(text_of(name)))
    assert scene.pictured() == set(ENDS[name].pictured)


def test_the_second_of_two_wins(scene: Scene):
    """Whatever the sequencers say: the thumbnails are of what is there now."""
    for name in ("seq_len", "seq_case"):
        for color in ("#ff0000", "#0000ff"):
            scene.upload("a.jpg", data=picture(color))
        scene.call(queued(*bodies_of(name)))
        info = scene.source.head("a.jpg")
        assert info is not None
        assert scene.manifest("a.jpg")["source"]["etag"] == info.etag
        assert scene.manifest("a.jpg")["placeholder"]["color"].endswith("fe")


def test_an_empty_source_is_rejected(scene: Scene):
    """The event's size says so too, but it is the store's that counts."""
    scene.upload("a.jpg", data=b"")
    assert failed(scene.call(queued(text_of("zero_size")))) == []
    assert scene.manifest("a.jpg")["rejection"]["code"] == "empty"


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_tasks_of_both_versions_succeed(version: str, scene: Scene):
    """Of S3 Batch Operations: its key is decoded, and the answer repeats what identifies the call."""
    scene.upload("red flower.jpg")
    answer = scene.call(json.loads(text_of(f"batch_{version.replace('.', '_')}")))
    assert answer == {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": "i",
        "results": [{"taskId": "t", "resultCode": "Succeeded", "resultString": "made"}],
    }
    assert scene.pictured() == {"red flower.jpg"}


def test_tasks_of_another_version_are_refused(scene: Scene):
    """The error names the version."""
    with pytest.raises(EventFailed, match=r"found '9\.9'"):
        scene.call(json.loads(text_of("batch_9_9")))


def _created(key: str) -> dict[str, Any]:
    what = {"bucket": {"name": "src"}, "object": {"key": key}}
    return {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": what}
