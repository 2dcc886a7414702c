"""What the fleet has done: how many messages are left, and in the end how every key stands.

Keys sent to a queue: several batches at once, at no more than a rate, within a budget, and each noted when it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from thumbsmith.backfill.clients import QueueDepth
from thumbsmith.backfill.sent_log import SentLog
from thumbsmith.bulk.cost import GONE, NOTHING, Amount, Model, source
from thumbsmith.bulk.join import KeyJoin, PendingKey, batched
from thumbsmith.bulk.parallel import each, wait_or_stop
from thumbsmith.bulk.scan import Scope, inspect, scan
from thumbsmith.bulk.status import KeyStatus, Totals
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.reconcile.decide import State

# Seconds between two looks.
PAUSE: Final = 1.0

# SQS counts about right: a queue was empty when it said so at this many looks in a row.
EMPTY_LOOKS: Final = 3

# "at least 1 minute after the producers stop sending messages" the counts are consistent:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
CONSISTENT_SECONDS: Final = 60.0

# Failures to look in a row after which it is told.
_FAILURES: Final = 10


class HasDepth(Protocol):
    """Whoever can say how many messages are left: `Queue`."""

    def depth(self) -> QueueDepth:
        """Return how many. Raises StoreError."""
        ...


@dataclass(slots=True)
class Remaining:
    """How all keys stand now: `totals`, and those that are not right, the first of them with their reasons."""

    totals: Totals = field(default_factory=Totals)
    keys: int = 0
    first: list[KeyStatus] = field(default_factory=list)


def drain(
    queue: HasDepth, stop: Callable[[], bool], pause: float = PAUSE, looks: int = EMPTY_LOOKS
) -> Iterator[QueueDepth]:
    """Yield how many messages are left, again and again until there were none for some looks, or `stop` says True.

    Raises StoreError where the queue cannot be looked at for long.
    """
    empty = failures = 0
    while not stop() and empty < looks:
        try:
            depth = queue.depth()
        except StoreError as error:
            failures += 1
            if not error.transient or failures >= _FAILURES:
                raise
        else:
            failures = 0
            empty = 0 if depth.total else empty + 1
            yield depth
        if empty < looks:
            wait_or_stop(pause, stop)


def remaining(scope: Scope, stop: Callable[[], bool], samples: int = 10) -> Remaining:
    """Return how every key stands now, by listings and manifests. Raises StoreError, Stopped.

    A source that is opted out, or gone since it was listed, is right without thumbnails.
    """
    found = Remaining()
    with scan(scope, stop) as surveyed:
        for standing in inspect(surveyed, stop=stop):
            if not _is_right(standing, scope):
                found.keys += 1
                if len(found.first) < samples:
                    found.first.append(standing)
            found.totals.add(standing)
    return found


def _is_right(standing: KeyStatus, scope: Scope) -> bool:
    if standing.error or (standing.orphaned and standing.source is None):
        return False
    if standing.state in {State.MISSING, State.STALE}:
        now = scope.source.head(standing.key)
        return now is None or now.opted_out
    return True


# Batches on their way at once: so many keys times ten may be sent again where this process is killed.
THREADS: Final = 8

BATCH: Final = 10

# Keys looked up in the ledger at once.
_WINDOW: Final = 1_000


class Sender(Protocol):
    """Whoever takes up to ten messages: `Queue`."""

    def send(self, bodies: Sequence[str]) -> None:
        """Send them. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLimits:
    """US dollars that a run may cost by the model, of which so many are spent; messages a second. None is no limit."""

    max_usd: float | None = None
    rate: float | None = None
    spent: float = 0.0

    def __post_init__(self) -> None:
        """Raise UsageError for what is no limit."""
        if self.max_usd is not None and self.max_usd < 0:
            raise UsageError(f"--max-usd: expected 0 or more, found {self.max_usd:g}")
        if self.rate is not None and self.rate <= 0:
            raise UsageError(f"--rate: expected more than 0, found {self.rate:g}")


NO_LIMITS: Final = SendLimits()


@dataclass(slots=True)
class SentTotals:
    """What was sent so far, and what was not: in flight already, sent often enough, or beyond the budget."""

    amount: Amount = NOTHING
    keys: int = 0
    in_flight: int = 0
    given_up: int = 0
    over_budget: bool = False


@dataclass(slots=True)
class KeySender:
    """Sends what a survey deferred. `message` makes what is sent of a key; `empty` says that the queue was, before."""

    sender: Sender
    message: Callable[[str], str]
    ledger: SentLog
    model: Model
    limits: SendLimits = NO_LIMITS
    empty: bool = True
    sent: SentTotals = field(default_factory=SentTotals)

    def run(self, listing: KeyJoin, stop: Callable[[], bool], threads: int = THREADS) -> Iterator[SentTotals]:
        """Send all keys; yield what was sent so far after each batch. Once `stop` says True no further one is begun.

        The order is that of the listing. Raises StoreError where a batch cannot be sent; what was sent is noted.
        """
        for batch in each(self._send, self._paced(listing, stop), threads=threads, stop=stop):
            self.ledger.note(batch)
            self.sent.keys += len(batch)
            self.sent.amount += _amount(batch)
            yield self.sent

    def _send(self, batch: list[PendingKey]) -> list[PendingKey]:
        self.sender.send([self.message(todo.key) for todo in batch])
        return batch

    def _paced(self, listing: KeyJoin, stop: Callable[[], bool]) -> Iterator[list[PendingKey]]:
        """Yield batches as the rate allows, until the budget is used up."""
        rate = self.limits.rate
        size = min(BATCH, max(1, int(rate))) if rate else BATCH
        due, planned = time.monotonic(), NOTHING
        for window in batched(listing.deferred(), _WINDOW):
            sorted_ = self.ledger.classify(window, empty=self.empty)
            self.sent.in_flight += sorted_.in_flight
            self.sent.given_up += sorted_.given_up
            for batch in batched(sorted_.send, size):
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
        """Return the first keys of a batch that the budget allows, on top of what is planned."""
        if self.limits.max_usd is None:
            return batch
        for number in range(len(batch), 0, -1):
            if self._dollars(planned + _amount(batch[:number])) <= self.limits.max_usd:
                return batch[:number]
        return []

    def _dollars(self, amount: Amount) -> float:
        return self.limits.spent + self.model.bill(amount).total


def _amount(batch: Sequence[PendingKey]) -> Amount:
    return sum((source(todo.size) if todo.listed else GONE for todo in batch), NOTHING)


def amount_of(listing: KeyJoin) -> Amount:
    """Return what all that a survey deferred amounts to."""
    total = NOTHING
    for window in batched(listing.deferred(), _WINDOW):
        total += _amount(window)
    return total
