"""Handles the messages of a queue until a stop: the same steps as in the function, without its limits of time.

A message is deleted once its keys are done. Any other message stays in the queue: it is delivered again after the time
for which the queue hides it, and at once if the process is stopping.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from thumbsmith.backfill.clients import Message, Queue, open_queue
from thumbsmith.dispatch.amqp import AmqpQueue, is_amqp
from thumbsmith.dispatch.converger import Converger, Deadline, KeyResult
from thumbsmith.dispatch.invocation import Invocation
from thumbsmith.dispatch.jetstream import JetStreamQueue, is_stream
from thumbsmith.dispatch.telemetry import Telemetry, log_problem
from thumbsmith.errors import Stopped, StoreError
from thumbsmith.lifetime import Lifetime, lifetime

# A received message is invisible to other receivers for a while. This much of that time is reserved for the answer.
ANSWER_SECONDS: Final = 10

# The time to wait for a message: the longest that SQS allows.
WAIT_SECONDS: Final = 20

# The pause after an error of the queue.
PAUSE_SECONDS: Final = 5.0

# After a stop, messages may be deleted or returned for this time.
RETURN_SECONDS: Final = 2.0


class MessageQueue(Protocol):
    """A queue that hides a received message from other receivers, and delivers it again unless it is deleted.

    Every method raises StoreError, transient if a retry may help.
    """

    @property
    def name(self) -> str:
        """Return the name of the queue in logs."""
        ...

    def hidden_seconds(self) -> float:
        """Return how long a received message is hidden from other receivers."""
        ...

    def receive(self, seconds: int) -> list[Message]:
        """Return some messages. Waits up to `seconds` for the first one. Raises Stopped."""
        ...

    def delete(self, message: Message) -> None:
        """Delete a received message."""
        ...

    def hide(self, message: Message, seconds: int) -> None:
        """Hide a received message for this time from now. 0 makes it visible at once."""
        ...


@contextmanager
def opened_queue(address: str) -> Iterator[AmqpQueue | JetStreamQueue | Queue]:
    """Open the queue at sqs://NAME, its URL, nats://HOST:PORT/STREAM, or amqp://HOST:PORT/QUEUE, for a block.

    Raises UsageError for another address, StoreError if there is no such queue.
    """
    if is_stream(address):
        with JetStreamQueue(address) as queue:
            yield queue
    elif is_amqp(address):
        with AmqpQueue(address) as queue:
            yield queue
    else:
        yield open_queue(address)


class Observer(Protocol):
    """What wants to know how the work goes, such as metrics."""

    def received(self, queue: str, error: StoreError | None) -> None:
        """Note that the queue answered, or its error."""
        ...

    def handled(self, results: Sequence[KeyResult], deleted: int, returned: int) -> None:
        """Note the results of some messages, and how many were deleted, and how many are delivered again."""
        ...


class _NoObserver:
    def received(self, queue: str, error: StoreError | None) -> None: ...

    def handled(self, results: Sequence[KeyResult], deleted: int, returned: int) -> None: ...


def consume(
    queue: MessageQueue,
    converger: Converger,
    stop: Callable[[], bool],
    *,
    seconds: int = WAIT_SECONDS,
    max_empty: int = 0,
    observer: Observer | None = None,
) -> int:
    """Handle messages until `stop` returns True or the current lifetime ends; return how many were deleted.

    `seconds` is how long each receive waits for a message. `max_empty`, if not 0, also ends the work after this many
    empty receives in a row. A transient error of the queue is logged, and the queue is tried again after a pause.
    Raises StoreError for a permanent one.
    """
    watching = observer or _NoObserver()
    telemetry = Telemetry(f"queue-{queue.name}", socket.gethostname())
    hidden_seconds: float | None = None
    deleted = empty = 0
    while not stop() and not (max_empty and empty >= max_empty):
        try:
            hidden_seconds = hidden_seconds or queue.hidden_seconds()
            messages = queue.receive(seconds)
            watching.received(queue.name, None)
            empty = 0 if messages else empty + 1
            if messages:
                invocation = _run(messages, converger, telemetry, _deadline(hidden_seconds))
                done = _answer(queue, messages, invocation.retries, stop)
                deleted += done
                watching.handled(invocation.results, done, len(messages) - done)
        except StoreError as error:
            watching.received(queue.name, error)
            log_problem(error)
            if not error.transient:
                raise
            _pause()
        except Stopped:
            break
    return deleted


def _run(messages: Sequence[Message], converger: Converger, telemetry: Telemetry, deadline: Deadline) -> Invocation:
    """Run the steps of the function for these messages."""
    invocation = Invocation(converger, telemetry, deadline, {"Records": [_record(message) for message in messages]})
    invocation.run()
    return invocation


def _answer(queue: MessageQueue, messages: Sequence[Message], retries: set[str], stop: Callable[[], bool]) -> int:
    """Delete the messages that are done; return how many. After a stop, make the others visible at once."""
    deleted = 0
    with Lifetime(time.monotonic() + RETURN_SECONDS).applied() if stop() else lifetime().applied():
        for message in messages:
            if message.id not in retries:
                queue.delete(message)
                deleted += 1
            elif stop():
                queue.hide(message, 0)
    return deleted


def _pause() -> None:
    """Wait after an error of the queue, at most until the end of the current lifetime."""
    lifetime().sleep(PAUSE_SECONDS)


def _deadline(hidden_seconds: float) -> Deadline:
    """Return the deadline for messages that were received now: no other receiver may see them before the answer."""
    usable = max(hidden_seconds - ANSWER_SECONDS, hidden_seconds / 2)
    return Deadline(time.monotonic() + usable, 0, min(ANSWER_SECONDS, hidden_seconds / 2))


def _record(message: Message) -> dict[str, Any]:
    """Return a message in the form in which Lambda passes it to a function.

    Where the queue counts no deliveries, any delivery may be a repeated one. Then the time is left out, without which
    no delivery counts as the first.
    """
    attributes = {"ApproximateReceiveCount": str(message.receives)}
    if message.receives and message.sent is not None:
        attributes["SentTimestamp"] = str(int(1000 * message.sent))
    return {"messageId": message.id, "body": message.body, "attributes": attributes, "eventSource": "aws:sqs"}
