"""One invocation of the function, as a list of steps from the payload to the answer.

The function is called by a queue (SQS), by a job of S3 Batch Operations, or directly with an event. Each caller has a
list of steps. The lists differ at both ends: how requests are parsed, and how they are answered.

- A retry is decided in `decide_retries` (queue and direct calls) and in `decide_task_results` (Batch Operations).
- A message is acknowledged in `acknowledge_messages`: every message except those that must be retried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote_plus

from thumbsmith.dispatch.converger import Converger, Deadline, KeyJob, KeyResult
from thumbsmith.dispatch.telemetry import Telemetry
from thumbsmith.dispatch.traces import Trace
from thumbsmith.environment import FIRST_DELIVERY_SECONDS
from thumbsmith.errors import EventFailed, ThumbsmithError
from thumbsmith.events import Event, Ignored, KeyChanged, Unreadable, parse_event_text, parse_events

# Reads and completes the state of an invocation.
Step: TypeAlias = "Callable[[Invocation], None]"


def handle(event: Any, context: Context, converger: Converger) -> dict[str, Any]:
    """Return the answer to an event of any supported kind.

    For a queue: the messages to deliver again. For a Batch Operations job: the result of each task. For a direct call:
    the outcome of each key. Raises EventFailed where the answer cannot express a failure.
    """
    telemetry = Telemetry(context.function_name, context.aws_request_id)
    seconds, limits = context.get_remaining_time_in_millis() / 1000, converger.settings.recipe.limits
    deadline = Deadline.after(seconds, limits, converger.core_share)
    return Invocation(converger, telemetry, deadline, event).run()


def steps_for(payload: Any) -> tuple[Step, ...]:
    """Return the steps for the caller of the function that sends such a payload."""
    match payload:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return (
                parse_messages,  # requests
                check_keys,  # jobs: keys in the source's bucket and prefix
                converge_in_time,  # results, one for each key; an opted-out source gets no thumbnails
                record_results,  # log lines and metrics
                decide_retries,  # which requests are delivered again
                acknowledge_messages,  # the answer: all others are deleted from the queue
            )
        case {"invocationSchemaVersion": _}:
            return (
                parse_tasks,
                check_keys,
                converge_in_time,
                record_results,
                decide_task_results,
                answer_job,
            )
    return CALL_STEPS


class Context(Protocol):
    """The parts of Lambda's context that are used: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    @property
    def function_name(self) -> str:
        """Return the function's name."""
        ...

    @property
    def aws_request_id(self) -> str:
        """Return the identifier of this invocation in the logs."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the process."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A queue message, a Batch Operations task, or a direct call, with the events that were parsed from it.

    `sent` is the time when it was sent, in epoch seconds. `redelivered`: an earlier delivery was not acknowledged.
    """

    id: str
    events: tuple[Event, ...]
    sent: float | None = None
    redelivered: bool = False


@dataclass(slots=True)
class Invocation:
    """The state that the steps share. Each step reads the fields above its own, and fills its own."""

    converger: Converger
    telemetry: Telemetry
    deadline: Deadline
    payload: Any

    # parse_messages, parse_tasks, parse_call
    requests: list[Request] = field(default_factory=list)

    # check_keys: one job for each key, the requests that wait for it, and events without a job, with their request
    jobs: dict[str, KeyJob] = field(default_factory=dict)
    requesters: dict[str, list[str]] = field(default_factory=dict)
    skipped: list[tuple[str, Ignored | Unreadable]] = field(default_factory=list)

    # converge_in_time: yields each result as soon as its key is done; record_results: all of them
    running: Iterator[KeyResult] = field(default_factory=lambda: iter(()))
    results: list[KeyResult] = field(default_factory=list)

    # decide_retries: identifiers of requests; decide_task_results: code and text of each task
    retries: set[str] = field(default_factory=set)
    task_results: dict[str, tuple[str, str]] = field(default_factory=dict)

    # acknowledge_messages, answer_job, answer_call
    answer: dict[str, Any] = field(default_factory=dict)

    def run(self, steps: tuple[Step, ...] | None = None) -> dict[str, Any]:
        """Run the steps in order, and return the answer. Raises EventFailed as the steps do.

        None are the steps for the payload.
        """
        for step in steps or steps_for(self.payload):
            step(self)
        return self.answer


# Parse: from the payload to requests with events.


def parse_messages(invocation: Invocation) -> None:
    """Parse the body and the attributes of each queue message."""
    for record in invocation.payload["Records"]:
        body, attributes = record.get("body"), record.get("attributes", {})
        sent = str(attributes.get("SentTimestamp", ""))
        invocation.requests.append(
            Request(
                record["messageId"],
                tuple(parse_event_text(body)) if isinstance(body, str) else (Unreadable("a message without a body"),),
                sent=int(sent) / 1000 if sent.isdecimal() else None,
                redelivered=str(attributes.get("ApproximateReceiveCount", "1")) != "1",
            )
        )


def parse_tasks(invocation: Invocation) -> None:
    """Parse the tasks of a Batch Operations job. Raises EventFailed for an unknown version of the payload."""
    version = invocation.payload["invocationSchemaVersion"]
    if version not in TASK_VERSIONS:
        known = " and ".join(sorted(TASK_VERSIONS))
        raise EventFailed(f"invocationSchemaVersion: expected {known}, found {version!a}")
    for task in invocation.payload["tasks"]:
        invocation.requests.append(Request(task["taskId"], (_event_of_task(task),)))


def parse_call(invocation: Invocation) -> None:
    """Parse an event that was sent without a queue. It is one request without an identifier."""
    invocation.requests.append(Request("", tuple(parse_events(invocation.payload))))


def _event_of_task(task: dict[str, Any]) -> KeyChanged | Unreadable:
    """Return the key of a task. It is encoded like a field of an HTML form; its version does not matter here."""
    bucket = task.get("s3Bucket") or str(task.get("s3BucketArn")).rpartition(":")[2]
    try:
        return KeyChanged(bucket, unquote_plus(task["s3Key"], errors="strict"))
    except UnicodeDecodeError:
        return Unreadable(f"a key that is not UTF-8: {task['s3Key']!a}")


# Process: the same steps for all callers.


def check_keys(invocation: Invocation) -> None:
    """Make a job of each key inside the source; log and count all other events, of other buckets for example.

    Only the store knows whether a source is opted out: `converge` checks that.
    """
    for request in invocation.requests:
        for event in request.events:
            found = invocation.converger.settings.key_of(event) if isinstance(event, KeyChanged) else event
            if isinstance(event, KeyChanged) and isinstance(found, str):
                retry = event.restored or event.retry
                job = KeyJob(found, retry, request.sent, request.redelivered, _is_new(event, request))
                _add_job(invocation, job, request.id)
            elif isinstance(found, Unreadable):
                invocation.telemetry.unreadable(found.detail, request.id or None)
                invocation.skipped.append((request.id, found))
            elif isinstance(found, Ignored):
                invocation.telemetry.ignored(found)
                invocation.skipped.append((request.id, found))


def _is_new(event: KeyChanged, request: Request) -> bool:
    """Return whether a queue received the message moments after the time at which nothing was made of the object.

    A message from a dead-letter queue is sent again much later, and its number of deliveries begins again. A direct
    call has no such number. Where the clock of the sender is wrong, the time says nothing.
    """
    if event.new_at is None or request.sent is None:
        return False
    try:
        new_at = datetime.fromisoformat(event.new_at)
    except ValueError:
        return False
    return new_at.tzinfo is not None and abs(request.sent - new_at.timestamp()) < FIRST_DELIVERY_SECONDS


def _add_job(invocation: Invocation, job: KeyJob, requester: str) -> None:
    """Add a job. Several requests for one key become one job, with the time of the oldest request."""
    known = invocation.jobs.setdefault(job.key, job)
    times = [each for each in (known.sent, job.sent) if each is not None]
    invocation.jobs[job.key] = replace(
        known,
        retry=known.retry or job.retry,
        sent=min(times, default=None),
        redelivered=known.redelivered or job.redelivered,
        is_new=known.is_new and job.is_new,
    )
    invocation.requesters.setdefault(job.key, []).append(requester)


def converge_in_time(invocation: Invocation) -> None:
    """Converge all keys, several at once, as far as the deadline allows."""
    if invocation.jobs:
        invocation.running = invocation.converger.converge_all(invocation.jobs.values(), invocation.deadline)


def record_results(invocation: Invocation) -> None:
    """Log and trace each result as soon as its key is done; count all of them at the end."""
    trace = Trace.of_invocation()
    for result in invocation.running:
        invocation.telemetry.image(result)
        if trace:
            trace.record(result)
        invocation.results.append(result)
    invocation.telemetry.images(invocation.results)


# Queue messages and direct calls: a request is done once all of its keys have an outcome.


def decide_retries(invocation: Invocation) -> None:
    """Retry each request that is unreadable in part, or of which a key has an error: transient or permanent.

    The queue limits the number of deliveries, and then moves the message to the dead-letter queue.
    """
    for request_id, event in invocation.skipped:
        if isinstance(event, Unreadable):
            invocation.retries.add(request_id)
    for result in invocation.results:
        if result.error:
            invocation.retries.update(invocation.requesters[result.job.key])


def acknowledge_messages(invocation: Invocation) -> None:
    """Acknowledge all messages but those to retry: Lambda deletes each message that the answer does not name.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    messages = dict.fromkeys(request.id for request in invocation.requests)
    failures = [{"itemIdentifier": message} for message in messages if message in invocation.retries]
    invocation.answer = {"batchItemFailures": failures}


def answer_call(invocation: Invocation) -> None:
    """Answer with the outcome of each key. Raises EventFailed if the call must be retried.

    Lambda retries an asynchronous call up to two times after an error.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    if invocation.retries:
        failed = [f"{result.job.key!a}: {result.error}" for result in invocation.results if result.error]
        unreadable = [event.detail for _, event in invocation.skipped if isinstance(event, Unreadable)]
        first, *rest = [*failed, *unreadable]
        raise EventFailed(f"{first}{f' (and {len(rest)} more)' if rest else ''}")
    outcomes = [(result.job.key, result.outcome) for result in invocation.results if result.outcome]
    invocation.answer = {"images": [{"key": key, "outcome": it.status, "code": it.code} for key, it in outcomes]}


# The steps for an event that was sent without a queue.
CALL_STEPS: Final[tuple[Step, ...]] = (
    parse_call,
    check_keys,
    converge_in_time,
    record_results,
    decide_retries,
    answer_call,
)


# Tasks of S3 Batch Operations: https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html

# Version 2.0 gives the bucket's name instead of its ARN, and passes on user arguments.
TASK_VERSIONS: Final = frozenset({"1.0", "2.0"})

# S3 stops a job once half of its tasks have failed. So a result that is not our failure must not count as one.
SUCCEEDED: Final = "Succeeded"
TEMPORARY: Final = "TemporaryFailure"
PERMANENT: Final = "PermanentFailure"

# S3 keeps this many characters of a result for the report.
_MAX_RESULT_CHARACTERS: Final = 1024


def decide_task_results(invocation: Invocation) -> None:
    """Decide the result of each task: S3 retries a temporary failure, and reports everything else."""
    for task_id, event in invocation.skipped:
        invocation.task_results[task_id] = _result_of_skipped(event)
    for result in invocation.results:
        invocation.task_results.update(dict.fromkeys(invocation.requesters[result.job.key], _result_of_key(result)))


def answer_job(invocation: Invocation) -> None:
    """Answer with the result of each task."""
    invocation.answer = {
        "invocationSchemaVersion": invocation.payload["invocationSchemaVersion"],
        "treatMissingKeysAs": PERMANENT,
        "invocationId": invocation.payload["invocationId"],
        "results": [
            {"taskId": task_id, "resultCode": code, "resultString": text[:_MAX_RESULT_CHARACTERS]}
            for task_id, (code, text) in invocation.task_results.items()
        ],
    }


def _result_of_skipped(event: Ignored | Unreadable) -> tuple[str, str]:
    """Return the result of a task without a source. A job over another bucket is a mistake, so its tasks fail."""
    if isinstance(event, Unreadable):
        return PERMANENT, event.detail
    return PERMANENT if event.reason == "foreign_bucket" else SUCCEEDED, f"ignored:{event.reason}"


def _result_of_key(result: KeyResult) -> tuple[str, str]:
    """Return the result of a task with a source. A rejection or a deleted source is a success."""
    if result.outcome:
        code = f":{result.outcome.code}" if result.outcome.code else ""
        return SUCCEEDED, f"{result.outcome.status}{code}"
    permanent = isinstance(result.error, ThumbsmithError) and not result.error.transient
    return PERMANENT if permanent else TEMPORARY, str(result.error)
