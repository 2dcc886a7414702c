"""S3 Batch Operations: tasks, one for each object of a manifest, and what became of them for the job's report.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_plus

from thumbsmith.aws.invocation import HandedBack, Invocation
from thumbsmith.aws.work import Done
from thumbsmith.errors import ThumbsmithError
from thumbsmith.events import Hint, Other, Unreadable

# Version 2 names the bucket instead of its ARN, and passes on what whoever made the job adds.
VERSIONS: Final = frozenset({"1.0", "2.0"})

# A job fails as a whole where half of its tasks do: what is no failure of ours may not count as one.
SUCCEEDED: Final = "Succeeded"
TEMPORARY: Final = "TemporaryFailure"
PERMANENT: Final = "PermanentFailure"

# S3 keeps at most so many characters of a result for its report.
_MAX_RESULT: Final = 1024


def carry_out(payload: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
    """Carry out the tasks of a job, and return the result of each.

    Raises HandedBack for a version of the payload that is not known.
    """
    version = payload["invocationSchemaVersion"]
    if version not in VERSIONS:
        known = " and ".join(sorted(VERSIONS))
        raise HandedBack(f"invocationSchemaVersion: known are {known}, found {version!a}")
    results: dict[str, tuple[str, str]] = {}
    for task in payload["tasks"]:
        for other in invocation.take([_said_in(task)], task["taskId"]):
            results[task["taskId"]] = _refused(other)
    for done in invocation.carry_out():
        results.update(dict.fromkeys(invocation.askers[done.job.key], _result(done)))
    return {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": PERMANENT,
        "invocationId": payload["invocationId"],
        "results": [
            {"taskId": task, "resultCode": code, "resultString": words[:_MAX_RESULT]}
            for task, (code, words) in results.items()
        ],
    }


def _said_in(task: dict[str, Any]) -> Hint | Unreadable:
    """Return the key that a task is about: encoded as HTML forms are. Which version of it is of no interest."""
    bucket = task.get("s3Bucket") or str(task.get("s3BucketArn")).rpartition(":")[2]
    try:
        return Hint(bucket, unquote_plus(task["s3Key"], errors="strict"))
    except UnicodeDecodeError:
        return Unreadable(f"a key that is not UTF-8: {task['s3Key']!a}")


def _refused(other: Other | Unreadable) -> tuple[str, str]:
    """Return the result of a task that is about no source: a mistake of whoever made the job where its bucket is."""
    if isinstance(other, Unreadable):
        return PERMANENT, other.detail
    return PERMANENT if other.reason == "foreign_bucket" else SUCCEEDED, f"ignored:{other.reason}"


def _result(done: Done) -> tuple[str, str]:
    """Return the result of a task whose key was made right, or was not. That an object is gone is no failure."""
    if done.outcome:
        code = f":{done.outcome.code}" if done.outcome.code else ""
        return SUCCEEDED, f"{done.outcome.status}{code}"
    for_good = isinstance(done.error, ThumbsmithError) and not done.error.transient
    return PERMANENT if for_good else TEMPORARY, str(done.error)
