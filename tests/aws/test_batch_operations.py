"""Tasks of S3 Batch Operations: each result says whether S3 retries the task, and why."""

from typing import Any

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Context, Scene
from thumbsmith.dispatch.invocation import PERMANENT, SUCCEEDED, TEMPORARY
from thumbsmith.errors import StoreError


def task(key: str, bucket: str = "src", number: int = 0) -> dict[str, Any]:
    """Return a task for an encoded key."""
    return {"taskId": f"t{number}", "s3Key": key, "s3VersionId": None, "s3BucketArn": f"arn:aws:s3:::{bucket}"}


def job(*tasks: dict[str, Any]) -> dict[str, Any]:
    """Return the payload with which S3 calls the function."""
    return {"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks": list(tasks)}


def results(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the results of an answer."""
    return [(each["taskId"], each["resultCode"], each["resultString"]) for each in answer["results"]]


def result(scene: Scene, key: str, bucket: str = "src") -> tuple[str, str]:
    """Return code and text of the result of one task."""
    ((_, code, words),) = results(scene.call(job(task(key, bucket))))
    return code, words


def test_keys_are_decoded_once(scene: Scene):
    """Keys are decoded once, like fields of an HTML form."""
    scene.upload("ü a+b%20.jpg")
    assert result(scene, "%C3%BC+a%2Bb%2520.jpg") == (SUCCEEDED, "made")
    assert result(scene, "%C3%BC+a%2Bb%2520.jpg") == (SUCCEEDED, "fresh")
    assert scene.complete_keys() == {"ü a+b%20.jpg"}
    assert result(scene, "%FF.jpg") == (PERMANENT, "a key that is not UTF-8: '%FF.jpg'")


def test_a_bad_picture_does_not_fail_its_job(scene: Scene):
    """A rejection is a success: S3 stops a job when half of its tasks fail."""
    scene.upload("a.jpg", data=b"")
    assert result(scene, "a.jpg") == (SUCCEEDED, "rejected:empty")


def test_a_deleted_source_is_a_success(scene: Scene):
    """A source that was deleted since the manifest was written is a success; its thumbnails are deleted."""
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
def test_a_failure_is_temporary_or_permanent(error: Exception, code: str, scene: Scene):
    """A transient error and a bug are temporary failures; a permanent error is a permanent one."""
    scene.source = Faulty("src", faults={"a.jpg": raising(error)})
    assert result(scene, "a.jpg") == (code, "busy")


def test_ignored_objects(scene: Scene):
    """A folder or a thumbnail is ignored; a key in another bucket is a permanent failure."""
    assert result(scene, "a/") == (SUCCEEDED, "ignored:folder")
    assert result(scene, "a.jpg", "dst") == (SUCCEEDED, "ignored:loop_guard")
    assert result(scene, "a.jpg", "other") == (PERMANENT, "ignored:foreign_bucket")


def test_every_task_has_one_result(scene: Scene):
    """Each task has one result: also two tasks for one key, and tasks without time left."""
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
