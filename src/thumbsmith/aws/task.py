"""A process that handles the messages of a queue until it is stopped: `python -m thumbsmith.aws.task`.

It runs in a container or on any machine, with the settings and the steps of the function, but without its limits of
memory and time. THUMBSMITH_QUEUE is the URL of the queue. A message is deleted once its keys are done. Any other
message becomes visible in the queue again, and is received again. On SIGTERM the task finishes the current messages.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from thumbsmith.aws.converger import Converger, Deadline
from thumbsmith.aws.invocation import Invocation
from thumbsmith.aws.settings import FunctionSettings
from thumbsmith.aws.telemetry import Telemetry, log_problem
from thumbsmith.backfill.clients import Message, Queue, open_queue
from thumbsmith.environment import LAMBDA_THREADS_PER_CORE, Setting
from thumbsmith.errors import StoreError, ThumbsmithError, UsageError
from thumbsmith.worker import Workers, usable_cores

# A received message is invisible to other receivers for a while. This much of that time is reserved for the answer.
ANSWER_SECONDS: Final = 10

# The time to wait for a message: the longest that SQS allows.
WAIT_SECONDS: Final = 20

# The pause after an error of the queue.
PAUSE_SECONDS: Final = 5.0


def main() -> None:
    """Work until a signal stops the process. An error in the settings is logged, and the exit code is 2."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        url = Setting.QUEUE.read()
        if url is None:
            raise UsageError(f"{Setting.QUEUE}: expected a queue's URL, found nothing")
        settings, count = FunctionSettings.from_environment(), usable_cores()
        with Workers(count) as workers:
            work(open_queue(url), Converger(settings, workers, LAMBDA_THREADS_PER_CORE * count), stopped.is_set)
    except ThumbsmithError as problem:
        log_problem(problem)
        raise SystemExit(2) from None


def work(
    queue: Queue, converger: Converger, stop: Callable[[], bool], *, seconds: int = WAIT_SECONDS, max_empty: int = 0
) -> int:
    """Handle messages until `stop` returns True; return how many were acknowledged.

    `seconds` is how long each receive waits for a message. `max_empty`, if not 0, also ends the work after this many
    empty receives in a row. A transient error of the queue is logged, and the queue is tried again after a pause.
    Raises StoreError for a permanent one.
    """
    visibility = int(queue.attributes(["VisibilityTimeout"]).get("VisibilityTimeout", 30))
    telemetry = Telemetry(f"task-{queue.name}", socket.gethostname())
    acknowledged = empty = 0
    while not stop() and not (max_empty and empty >= max_empty):
        try:
            messages = queue.receive(seconds)
            empty = 0 if messages else empty + 1
            if messages:
                acknowledged += _handle(queue, messages, converger, telemetry, _deadline(visibility))
        except StoreError as error:
            log_problem(error)
            if not error.transient:
                raise
            time.sleep(PAUSE_SECONDS)
    return acknowledged


def _deadline(visibility_seconds: int) -> Deadline:
    """Return the deadline for messages that were received now: no other receiver may see them before the answer."""
    usable = max(visibility_seconds - ANSWER_SECONDS, visibility_seconds / 2)
    return Deadline(time.monotonic() + usable, 0, min(ANSWER_SECONDS, visibility_seconds / 2))


def _handle(
    queue: Queue, messages: list[Message], converger: Converger, telemetry: Telemetry, deadline: Deadline
) -> int:
    """Handle messages with the steps of the function, and delete those that are done; return how many."""
    payload = {"Records": [_record(message) for message in messages]}
    answer = Invocation(converger, telemetry, deadline, payload).run()
    failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
    done = [message for message in messages if message.id not in failed]
    for message in done:
        queue.delete(message)
    return len(done)


def _record(message: Message) -> dict[str, Any]:
    """Return a message in the form in which Lambda passes it to a function."""
    attributes = {"ApproximateReceiveCount": str(message.receives)}
    return {"messageId": message.id, "body": message.body, "attributes": attributes, "eventSource": "aws:sqs"}


if __name__ == "__main__":
    main()
