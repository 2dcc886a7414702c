"""One invocation: the keys that its payload is about, each made right once, and the answer to whoever asked.

S3 Batch Operations: tasks, one for each object of a manifest, and what became of them for the job's report.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html

What the function answers to an event of whatever kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from urllib.parse import unquote_plus

from thumbsmith.aws.converger import Converger, Deadline, KeyJob, KeyResult
from thumbsmith.aws.telemetry import Telemetry
from thumbsmith.errors import EventFailed, ThumbsmithError
from thumbsmith.events import Event, Ignored, KeyChanged, Unreadable, parse_event_text, parse_events


@dataclass(slots=True)
class Invocation:
    """Collects what is to be done, for whoever asks: a message by its id, a task by its, or nobody in particular."""

    converger: Converger
    telemetry: Telemetry
    deadline: Deadline
    jobs: dict[str, KeyJob] = field(default_factory=dict)
    requesters: dict[str, list[str]] = field(default_factory=dict)

    def take(
        self, said: Iterable[Event], asker: str = "", sent: float | None = None, *, redelivered: bool = False
    ) -> list[Ignored | Unreadable]:
        """Take note of all keys; tell of the rest, and return it."""
        rest: list[Ignored | Unreadable] = []
        for each in said:
            found = self.converger.settings.key_of(each) if isinstance(each, KeyChanged) else each
            if isinstance(found, str):
                self._ask(KeyJob(found, isinstance(each, KeyChanged) and each.restored, sent, redelivered), asker)
                continue
            if isinstance(found, Unreadable):
                self.telemetry.unreadable(found.detail, asker or None)
            else:
                self.telemetry.ignored(found)
            rest.append(found)
        return rest

    def carry_out(self) -> list[KeyResult]:
        """Make all keys right; tell of each as it is done, and return them."""
        done = []
        for each in self.converger.converge_all(self.jobs.values(), self.deadline) if self.jobs else ():
            self.telemetry.image(each)
            done.append(each)
        return done

    def _ask(self, job: KeyJob, asker: str) -> None:
        """Take note of a key; where it was asked for before, that is one job, as old as the older of them."""
        known = self.jobs.setdefault(job.key, job)
        sent = [each for each in (known.sent, job.sent) if each is not None]
        self.jobs[job.key] = replace(
            known,
            retry=known.retry or job.retry,
            sent=min(sent, default=None),
            redelivered=known.redelivered or job.redelivered,
        )
        self.requesters.setdefault(job.key, []).append(asker)


def deliver(records: list[Any], invocation: Invocation) -> dict[str, Any]:
    """Carry out a batch of a queue's messages; return those that are to be delivered again.

    A message is done when all of its keys are. What Lambda makes of the answer:
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    failed: set[str] = set()
    for record in records:
        message = record["messageId"]
        rest = invocation.take(_said_in(record), message, _sent(record), redelivered=_is_again(record))
        if any(isinstance(each, Unreadable) for each in rest):
            failed.add(message)
    for done in invocation.carry_out():
        if done.error:
            failed.update(invocation.requesters[done.job.key])
    messages = [record["messageId"] for record in records]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in dict.fromkeys(messages) if each in failed]}


def answer(payload: object, invocation: Invocation) -> dict[str, Any]:
    """Carry out an event that no queue stands before; return what became of its keys.

    Raises EventFailed where something is left to do: an event that was sent asynchronously is then sent twice more.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    unreadable = [each.detail for each in invocation.take(parse_events(payload)) if isinstance(each, Unreadable)]
    done = invocation.carry_out()
    failed = [f"{each.job.key!a}: {each.error}" for each in done if each.error]
    if failed or unreadable:
        first, *rest = [*failed, *unreadable]
        raise EventFailed(f"{first}{f' (and {len(rest)} more)' if rest else ''}")
    outcomes = [(each.job.key, each.outcome) for each in done if each.outcome]
    return {"images": [{"key": key, "outcome": it.status, "code": it.code} for key, it in outcomes]}


def _said_in(record: dict[str, Any]) -> Iterable[Event]:
    body = record.get("body")
    return parse_event_text(body) if isinstance(body, str) else [Unreadable("a message without a body")]


def _is_again(record: dict[str, Any]) -> bool:
    """Return whether a message was delivered before."""
    return str(record.get("attributes", {}).get("ApproximateReceiveCount", "1")) != "1"


def _sent(record: dict[str, Any]) -> float | None:
    """Return when a message was sent, in epoch seconds; None where it does not say."""
    sent = str(record.get("attributes", {}).get("SentTimestamp", ""))
    return int(sent) / 1000 if sent.isdecimal() else None


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

    Raises EventFailed for a version of the payload that is not known.
    """
    version = payload["invocationSchemaVersion"]
    if version not in VERSIONS:
        known = " and ".join(sorted(VERSIONS))
        raise EventFailed(f"invocationSchemaVersion: known are {known}, found {version!a}")
    results: dict[str, tuple[str, str]] = {}
    for task in payload["tasks"]:
        for other in invocation.take([_said_in_task(task)], task["taskId"]):
            results[task["taskId"]] = _refused(other)
    for done in invocation.carry_out():
        results.update(dict.fromkeys(invocation.requesters[done.job.key], _result(done)))
    return {
        "invocationSchemaVersion": version,
        "treatMissingKeysAs": PERMANENT,
        "invocationId": payload["invocationId"],
        "results": [
            {"taskId": task, "resultCode": code, "resultString": words[:_MAX_RESULT]}
            for task, (code, words) in results.items()
        ],
    }


def _said_in_task(task: dict[str, Any]) -> KeyChanged | Unreadable:
    """Return the key that a task is about: encoded as HTML forms are. Which version of it is of no interest."""
    bucket = task.get("s3Bucket") or str(task.get("s3BucketArn")).rpartition(":")[2]
    try:
        return KeyChanged(bucket, unquote_plus(task["s3Key"], errors="strict"))
    except UnicodeDecodeError:
        return Unreadable(f"a key that is not UTF-8: {task['s3Key']!a}")


def _refused(other: Ignored | Unreadable) -> tuple[str, str]:
    """Return the result of a task that is about no source: a mistake of whoever made the job where its bucket is."""
    if isinstance(other, Unreadable):
        return PERMANENT, other.detail
    return PERMANENT if other.reason == "foreign_bucket" else SUCCEEDED, f"ignored:{other.reason}"


def _result(done: KeyResult) -> tuple[str, str]:
    """Return the result of a task whose key was made right, or was not. That an object is gone is no failure."""
    if done.outcome:
        code = f":{done.outcome.code}" if done.outcome.code else ""
        return SUCCEEDED, f"{done.outcome.status}{code}"
    for_good = isinstance(done.error, ThumbsmithError) and not done.error.transient
    return PERMANENT if for_good else TEMPORARY, str(done.error)


class Context(Protocol):
    """What is used of Lambda's context: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    @property
    def function_name(self) -> str:
        """Return the function's name."""
        ...

    @property
    def aws_request_id(self) -> str:
        """Return what this invocation is called in logs."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the process."""
        ...


def handle(event: Any, context: Context, converger: Converger) -> dict[str, Any]:
    """Return the answer to an event of any kind that is known. Raises EventFailed if no answer can say what failed.

    To a queue's messages that is which of them failed, see `deliver`; to a job of S3 Batch Operations the result of
    each task, see `batch_operations`; to anything else what became of the keys, see `answer`.
    """
    invocation = Invocation(
        converger,
        Telemetry(context.function_name, context.aws_request_id),
        Deadline.after(context.get_remaining_time_in_millis() / 1000, converger.settings.recipe.limits),
    )
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            return deliver(records, invocation)
        case {"invocationSchemaVersion": _}:
            return carry_out(event, invocation)
    return answer(event, invocation)
