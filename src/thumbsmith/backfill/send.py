"""Sends the keys of a scan to a queue, and follows until the functions have handled them.

Keys are sent in several batches at once, no faster than a rate and within a budget. Each is recorded in the sent log.
Afterwards `drain` follows the queue until it is empty, and `remaining` scans for keys that still need work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from thumbsmith.backfill.clients import MAX_BATCH_MESSAGES, QueueDepth
from thumbsmith.backfill.sent_log import SentLog
from thumbsmith.bulk.cost import NOTHING, ORPHAN, Amount, Model, Totals, source_amount
from thumbsmith.bulk.parallel import each, wait_or_stop
from thumbsmith.bulk.scan import KeyJoin, PendingKey, Scope, batched, scan
from thumbsmith.bulk.status import KeyStatus, inspect
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.reconcile.decide import State

# Batches that are sent at the same time. If this process is killed, their keys may be sent once more.
THREADS: Final = 8

# The number of keys for one lookup in the sent log.
_WINDOW_KEYS: Final = 1_000

# The pause between two reads of the queue's depth.
PAUSE_SECONDS: Final = 1.0

# SQS counts approximately: the queue is empty after this number of empty counts in a row.
EMPTY_COUNTS: Final = 3

# Counts are consistent "at least 1 minute after the producers stop sending messages":
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
CONSISTENT_SECONDS: Final = 60.0

# The number of failures in a row after which reading the depth fails.
_MAX_FAILURES: Final = 10


class Sender(Protocol):
    """Accepts up to ten messages at once: `Queue`."""

    def send(self, bodies: Sequence[str]) -> None:
        """Send the messages. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLimits:
    """Limits of one run; None is no limit.

    `max_usd` is the most that the run may cost by the model in US dollars, including `spent`. `rate` is in messages a
    second. Raises UsageError for a value out of range.
    """

    max_usd: float | None = None
    rate: float | None = None
    spent: float = 0.0

    def __post_init__(self) -> None:
        if self.max_usd is not None and self.max_usd < 0:
            raise UsageError(f"--max-usd: expected 0 or more, found {self.max_usd:g}")
        if self.rate is not None and self.rate <= 0:
            raise UsageError(f"--rate: expected more than 0, found {self.rate:g}")


NO_LIMITS: Final = SendLimits()


@dataclass(slots=True)
class SentTotals:
    """The number of keys sent so far, and of those not sent: already in flight, or sent too often already."""

    amount: Amount = NOTHING
    keys: int = 0
    in_flight: int = 0
    given_up: int = 0
    over_budget: bool = False


@dataclass(slots=True)
class KeySender:
    """Sends the pending keys of a scan.

    `message` makes the message for a key. `empty` says that the queue was empty before.
    """

    sender: Sender
    message: Callable[[PendingKey], str]
    sent_log: SentLog
    model: Model
    limits: SendLimits = NO_LIMITS
    empty: bool = True
    sent: SentTotals = field(default_factory=SentTotals)

    def run(self, listing: KeyJoin, stop: Callable[[], bool], threads: int = THREADS) -> Iterator[SentTotals]:
        """Send all pending keys in the listing's order; yield the totals after each batch.

        Begins no batch after `stop` returned True. Raises StoreError if a batch cannot be sent. The sent log contains
        every batch that was sent before.
        """
        for batch in each(self._send, self._paced_batches(listing, stop), threads=threads, stop=stop):
            self.sent_log.add(batch)
            self.sent.keys += len(batch)
            self.sent.amount += _amount(batch)
            yield self.sent

    def _send(self, batch: list[PendingKey]) -> list[PendingKey]:
        self.sender.send([self.message(pending) for pending in batch])
        return batch

    def _paced_batches(self, listing: KeyJoin, stop: Callable[[], bool]) -> Iterator[list[PendingKey]]:
        """Yield batches no faster than the rate, until the budget is used up."""
        rate = self.limits.rate
        size = min(MAX_BATCH_MESSAGES, max(1, int(rate))) if rate else MAX_BATCH_MESSAGES
        due, planned = time.monotonic(), NOTHING
        for window in batched(listing.pending(), _WINDOW_KEYS):
            classified = self.sent_log.classify(window, empty=self.empty)
            self.sent.in_flight += classified.in_flight
            self.sent.given_up += classified.given_up
            for batch in batched(classified.to_send, size):
                affordable = self._affordable(planned, batch)
                if affordable:
                    wait_or_stop(due - time.monotonic(), stop)
                    if stop():
                        return
                    due = max(due, time.monotonic() - 1) + (len(affordable) / rate if rate else 0)
                    planned += _amount(affordable)
                    yield affordable
                if len(affordable) < len(batch):
                    self.sent.over_budget = True
                    return

    def _affordable(self, planned: Amount, batch: list[PendingKey]) -> list[PendingKey]:
        """Return the first keys of a batch that fit into the budget together with what is planned already."""
        if self.limits.max_usd is None:
            return batch
        for number in range(len(batch), 0, -1):
            if self._dollars(planned + _amount(batch[:number])) <= self.limits.max_usd:
                return batch[:number]
        return []

    def _dollars(self, amount: Amount) -> float:
        return self.limits.spent + self.model.bill(amount).total


def amount_of(listing: KeyJoin) -> Amount:
    """Return the amount of work of all pending keys in a listing, for the cost model."""
    total = NOTHING
    for window in batched(listing.pending(), _WINDOW_KEYS):
        total += _amount(window)
    return total


def _amount(batch: Sequence[PendingKey]) -> Amount:
    return sum(map(_amount_of_key, batch), NOTHING)


def _amount_of_key(pending: PendingKey) -> Amount:
    return source_amount(pending.size, new=pending.untouched) if pending.listed else ORPHAN


class HasDepth(Protocol):
    """Counts its remaining messages: `Queue`."""

    def depth(self) -> QueueDepth:
        """Return the number of messages. Raises StoreError."""
        ...


def drain(
    queue: HasDepth, stop: Callable[[], bool], pause: float = PAUSE_SECONDS, counts: int = EMPTY_COUNTS
) -> Iterator[QueueDepth]:
    """Yield the queue's depth until it was 0 for `counts` times in a row, or `stop` returns True.

    Raises StoreError if the depth cannot be read: at once for a permanent error, else after ten failures in a row.
    """
    empty = failures = 0
    while not stop() and empty < counts:
        try:
            depth = queue.depth()
        except StoreError as error:
            failures += 1
            if not error.transient or failures >= _MAX_FAILURES:
                raise
        else:
            failures = 0
            empty = 0 if depth.total else empty + 1
            yield depth
        if empty < counts:
            wait_or_stop(pause, stop)


@dataclass(slots=True)
class Remaining:
    """The state of all keys after a backfill: totals, the number of keys that still need work, the first of them."""

    totals: Totals = field(default_factory=Totals)
    keys: int = 0
    first: list[KeyStatus] = field(default_factory=list)


def remaining(scope: Scope, stop: Callable[[], bool], samples: int = 10) -> Remaining:
    """Scan both stores; return the totals and the keys that still need work. Raises StoreError, Stopped.

    A source that is opted out, or that was deleted since it was listed, needs no work.
    """
    found = Remaining()
    with scan(scope, stop) as scanned:
        found.totals.ignored = scanned.join.ignored
        for status in inspect(scanned, stop=stop):
            if _needs_work(status, scope):
                found.keys += 1
                if len(found.first) < samples:
                    found.first.append(status)
            found.totals.add(status)
    return found


def _needs_work(status: KeyStatus, scope: Scope) -> bool:
    if status.error or (status.orphaned and status.source is None):
        return True
    if status.state in {State.MISSING, State.STALE}:
        now = scope.source.head(status.key)
        return now is not None and not now.opted_out
    return False
