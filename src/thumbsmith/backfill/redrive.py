"""Dead letters: what each was about, why it may have failed, and its way back into the queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from thumbsmith.backfill.clients import Message, Queue, receive_all
from thumbsmith.bulk.explain import Explanation, explain
from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import StoreError
from thumbsmith.events import KeyChanged, Unreadable, parse_event_text

# Seconds for which what was received is hidden from others: more than looking at it and sending it on takes.
HIDDEN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter: the objects that it is about, how those stand where that was looked at, and what became of it.

    `readable` is False where nobody understands it: it is left where it is.
    """

    message: Message
    changes: tuple[KeyChanged, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    unexplained: str | None = None
    readable: bool = True
    sent: bool = False


def redrive(dead: Queue, target: Queue | None, scope: Scope | None, most: int) -> Iterator[DeadLetter]:
    """Yield up to so many dead letters; each that can be read is sent to `target` first, and then deleted.

    In this order, so that none is lost: one that is sent twice does no harm. Without a target nothing is changed, and
    what was looked at can be received again at once. Keys are explained by `scope`, where there is one. Raises
    StoreError where a queue fails.
    """
    if target is None:
        messages = list(receive_all(dead, HIDDEN, most))  # before any is given back, which would be received again
        for message in messages:
            dead.hide(message, 0)
            yield _read(message, scope)
        return
    for message in receive_all(dead, HIDDEN, most):
        letter = _read(message, scope)
        if letter.readable:
            target.send([message.body])
            dead.delete(message)
        yield replace(letter, sent=letter.readable)


def source_queue(dead: Queue) -> Queue:
    """Return the one queue whose dead letters come here. Raises StoreError, not transient, where there is not one."""
    source_queues = dead.source_queues()
    if len(source_queues) == 1:
        return source_queues[0]
    found = ", ".join(each.name for each in source_queues) or "none"
    raise StoreError(f"{dead.name}: expected one queue whose dead letters come here, found {found}", transient=False)


def _read(message: Message, scope: Scope | None) -> DeadLetter:
    said = list(parse_event_text(message.body))
    changes = tuple(each for each in said if isinstance(each, KeyChanged))
    readable = not any(isinstance(each, Unreadable) for each in said)
    if scope is None:
        return DeadLetter(message=message, changes=changes, readable=readable)
    try:
        explanations = tuple(explain(scope, key) for key in _keys(changes, scope))
    except StoreError as error:
        return DeadLetter(message=message, changes=changes, readable=readable, unexplained=str(error))
    return DeadLetter(message=message, changes=changes, explanations=explanations, readable=readable)


def _keys(changes: tuple[KeyChanged, ...], scope: Scope) -> Iterator[str]:
    """Yield the keys of the source, among those of the objects that a message is about."""
    bucket, prefix = scope.source.s3_location or (None, "")
    for hint in changes:
        if bucket in {None, hint.bucket} and hint.key.startswith(prefix):
            yield hint.key.removeprefix(prefix)
