"""A task that works off a queue for as long as it runs: `python -m thumbsmith.aws.task`, in a container or anywhere.

It does what the function does, by the same settings of its environment, with as much memory and time as its machine
has: THUMBSMITH_QUEUE is the URL of its queue. A message is deleted once its keys are right; what failed comes again
when the queue shows it again. Told to stop, by SIGTERM, it finishes what is in hand.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from thumbsmith.aws.converger import THREADS_A_WORKER, Converger, Deadline
from thumbsmith.aws.invocation import Invocation, deliver
from thumbsmith.aws.settings import from_environment
from thumbsmith.aws.telemetry import Telemetry, tell_problem
from thumbsmith.backfill.clients import Message, Queue, open_queue
from thumbsmith.environment import QUEUE, queue_setting
from thumbsmith.errors import StoreError, ThumbsmithError, UsageError
from thumbsmith.worker import Workers, usable_cores

# Seconds of the time for which a message is hidden from others that are left for answering.
ANSWERING: Final = 10

# Seconds to wait for a message, which is the longest that SQS waits, and after a failure of the queue.
WAIT: Final = 20
PAUSE: Final = 5.0


def work(queue: Queue, converger: Converger, stop: Callable[[], bool], *, seconds: int = WAIT, idle: int = 0) -> int:
    """Work off a queue until `stop` says True, or so many looks in a row, if not 0, found nothing; return a count.

    `seconds` is how long a look waits for a message. A queue that fails for now is asked again. Raises StoreError where
    it fails for good.
    """
    hidden = int(queue.attributes(["VisibilityTimeout"]).get("VisibilityTimeout", 30))
    telemetry = Telemetry(f"task-{queue.name}", socket.gethostname())
    done = empty = 0
    while not stop() and not (idle and empty >= idle):
        try:
            messages = queue.receive(seconds)
            empty = 0 if messages else empty + 1
            deadline = Deadline(time.monotonic() + max(hidden - ANSWERING, hidden / 2), 0, min(ANSWERING, hidden / 2))
            done += _carry_out(queue, messages, Invocation(converger, telemetry, deadline)) if messages else 0
        except StoreError as error:
            tell_problem(error)
            if not error.transient:
                raise
            time.sleep(PAUSE)
    return done


def _carry_out(queue: Queue, messages: list[Message], invocation: Invocation) -> int:
    """Make right what messages are about, and delete those that are done; return how many."""
    answer = deliver([_record(message) for message in messages], invocation)
    failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
    finished = [message for message in messages if message.id not in failed]
    for message in finished:
        queue.delete(message)
    return len(finished)


def _record(message: Message) -> dict[str, Any]:
    """Return a message as Lambda would hand it on."""
    attributes = {"ApproximateReceiveCount": str(message.receives)}
    return {"messageId": message.id, "body": message.body, "attributes": attributes, "eventSource": "aws:sqs"}


def main() -> None:
    """Work until told to stop. Raises ThumbsmithError for settings that are none."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        url = queue_setting()
        if url is None:
            raise UsageError(f"{QUEUE}: expected a queue's URL, found nothing")
        settings, count = from_environment(), usable_cores()
        with Workers(count) as workers:
            work(open_queue(url), Converger(settings, workers, THREADS_A_WORKER * count), stopped.is_set)
    except ThumbsmithError as problem:
        tell_problem(problem)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
