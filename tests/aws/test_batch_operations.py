"""Tasks of S3 Batch Operations: each has a result that says whether to try again, and why."""

from typing import Any

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Context, Scene
from thumbsmith.aws.invocation import PERMANENT, SUCCEEDED, TEMPORARY
from thumbsmith.errors import StoreError


def task(key: str, bucket: str = "src", number: int = 0) -> dict[str, Any]:
    """Return a task about an encoded key."""
    return {"taskId": f"t{number}", "s3Key": key, "s3VersionId": None, "s3BucketArn": f"arn:aws:s3:::{bucket}"}


def job(*tasks: dict[str, Any]) -> dict[str, Any]:
    """Return what S3 calls the function with."""
    return {"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks": list(tasks)}


def results(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the results of an answer."""
    return [(each["taskId"], each["resultCode"], each["resultString"]) for each in answer["results"]]


def result(scene: Scene, key: str, bucket: str = "src") -> tuple[str, str]:
    """Return code and words of the result of one task."""
    ((_, code, words),) = results(scene.call(job(task(key, bucket))))
    return code, words


def test_keys_are_decoded_once(scene: Scene):
    """They come encoded as HTML forms are."""
    scene.upload("ü a+b%20.jpg")
    assert result(scene, "%C3%BC+a%2Bb%2520.jpg") == (SUCCEEDED, "made")
    assert result(scene, "%C3%BC+a%2Bb%2520.jpg") == (SUCCEEDED, "fresh")
    assert scene.pictured() == {"ü a+b%20.jpg"}
    assert result(scene, "%FF.jpg") == (PERMANENT, "a key that is not UTF-8: '%FF.jpg'")


def test_a_bad_picture_does_not_fail_its_job(scene: Scene):
    """A job in which half of the tasks fail is stopped: a rejection is a result like any other."""
    scene.upload("a.jpg", data=b"")
    assert result(scene, "a.jpg") == (SUCCEEDED, "rejected:empty")


def test_what_is_gone_is_no_failure(scene: Scene):
    """A manifest is older than the bucket: thumbnails of what is gone are removed."""
    scene.upload("a.jpg")
    scene.call(job(task("a.jpg")))
    scene.source.delete("a.jpg")
    assert result(scene, "a.jpg") == (SUCCEEDED, "deleted")
    assert result(scene, "a.jpg") == (SUCCEEDED, "absent")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("busy", transient=True), TEMPORARY),
        (StoreError("busy", transient=False), PERMANENT),
        (ZeroDivisionError("busy"), TEMPORARY),
    ],
)
def test_failures_say_whether_to_try_again(error: Exception, code: str, scene: Scene):
    """As the error does; what nobody named may pass."""
    scene.source = Faulty("src", faults={"a.jpg": raising(error)})
    assert result(scene, "a.jpg") == (code, "busy")


def test_what_is_no_source(scene: Scene):
    """A manifest of a whole bucket names folders too; a job over another bucket is a mistake, and fails."""
    assert result(scene, "a/") == (SUCCEEDED, "ignored:folder")
    assert result(scene, "a.jpg", "dst") == (SUCCEEDED, "ignored:loop_guard")
    assert result(scene, "a.jpg", "other") == (PERMANENT, "ignored:foreign_bucket")


def test_every_task_has_one_result(scene: Scene):
    """Also where two are about one key, and where there was no time for it."""
    scene.upload("a.jpg", "b.jpg")
    tasks = job(task("a.jpg", number=1), task("a/", number=2), task("a.jpg", number=3), task("b.jpg", number=4))
    assert sorted(results(scene.call(tasks))) == [
        ("t1", SUCCEEDED, "made"),
        ("t2", SUCCEEDED, "ignored:folder"),
        ("t3", SUCCEEDED, "made"),
        ("t4", SUCCEEDED, "made"),
    ]
    late = results(scene.call(tasks, Context(milliseconds=0)))
    assert sorted((name, code) for name, code, _ in late) == [
        ("t1", TEMPORARY),
        ("t2", SUCCEEDED),
        ("t3", TEMPORARY),
        ("t4", TEMPORARY),
    ]
