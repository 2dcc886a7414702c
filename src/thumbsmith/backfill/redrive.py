"""Messages of a dead-letter queue: which keys each names, why it may have failed, and sending it back to its queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from thumbsmith.backfill.clients import Message, Queue
from thumbsmith.bulk.explain import Explanation, explain
from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import StoreError
from thumbsmith.events import KeyChanged, Unreadable, parse_event_text

# Received messages are hidden from other receivers for this time: longer than explaining and sending them takes.
HIDDEN_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message of a dead-letter queue.

    `changes` are the objects that it names. `explanations` describe those of their keys that are in the source;
    `unexplained` is the error if the stores could not be read. A message that is not `readable` stays in the queue.
    `sent` says that it was sent back.
    """

    message: Message
    changes: tuple[KeyChanged, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    unexplained: str | None = None
    readable: bool = True
    sent: bool = False


def redrive(dead: Queue, target: Queue | None, scope: Scope | None, limit: int) -> Iterator[DeadLetter]:
    """Yield up to `limit` messages; send each readable one to `target`, and then delete it from `dead`.

    In this order no message is lost, and sending one twice is harmless. Without a target nothing is changed, and all
    messages become visible again at once. With a scope, the state of each key is explained. Raises StoreError if a
    queue fails.
    """
    if target is None:
        messages = list(dead.receive_all(HIDDEN_SECONDS, limit))  # first all: a visible one would be received again
        for message in messages:
            dead.hide(message, 0)
            yield _read(message, scope)
        return
    for message in dead.receive_all(HIDDEN_SECONDS, limit):
        letter = _read(message, scope)
        if letter.readable:
            target.send([message.body])
            dead.delete(message)
        yield replace(letter, sent=letter.readable)


def source_queue(dead: Queue) -> Queue:
    """Return the queue whose failed messages are moved to `dead`.

    Raises StoreError, not transient, if there is no such queue, or more than one, or if the service does not say.
    """
    try:
        queues = dead.source_queues()
    except StoreError as error:
        raise StoreError(f"{error}; name the queue to send to with --to", transient=error.transient) from error
    if len(queues) == 1:
        return queues[0]
    found = ", ".join(each.name for each in queues) or "none"
    raise StoreError(
        f"{dead.name}: expected one queue with this dead-letter queue, found {found}; name it with --to",
        transient=False,
    )


def _read(message: Message, scope: Scope | None) -> DeadLetter:
    events = list(parse_event_text(message.body))
    changes = tuple(each for each in events if isinstance(each, KeyChanged))
    readable = not any(isinstance(each, Unreadable) for each in events)
    if scope is None:
        return DeadLetter(message=message, changes=changes, readable=readable)
    try:
        explanations = tuple(explain(scope, key) for key in _source_keys(changes, scope))
    except StoreError as error:
        return DeadLetter(message=message, changes=changes, readable=readable, unexplained=str(error))
    return DeadLetter(message=message, changes=changes, explanations=explanations, readable=readable)


def _source_keys(changes: tuple[KeyChanged, ...], scope: Scope) -> Iterator[str]:
    """Yield the keys of those objects that are in the source."""
    bucket, prefix = scope.source.s3_location or (None, "")
    for change in changes:
        if bucket in {None, change.bucket} and change.key.startswith(prefix):
            yield change.key.removeprefix(prefix)
