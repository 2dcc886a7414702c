"""What the fleet has done: how many messages are left, and in the end how every key stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from thumbsmith.assess import State
from thumbsmith.errors import StoreError
from thumbsmith.fleet.queue import Depth
from thumbsmith.parallel import wait_or_stop
from thumbsmith.plan import Totals
from thumbsmith.standing import Standing
from thumbsmith.survey import Scope, inspect, survey

# Seconds between two looks.
PAUSE: Final = 1.0

# SQS counts about right: a queue was empty when it said so at this many looks in a row.
EMPTY_LOOKS: Final = 3

# "at least 1 minute after the producers stop sending messages" the counts are consistent:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
CONSISTENT: Final = 60.0

# Failures to look in a row after which it is told.
_FAILURES: Final = 10


class Deep(Protocol):
    """Whoever can say how many messages are left: `Queue`."""

    def depth(self) -> Depth:
        """Return how many. Raises StoreError."""
        ...


@dataclass(slots=True)
class Left:
    """How all keys stand now: `totals`, and those that are not right, the first of them with their reasons."""

    totals: Totals = field(default_factory=Totals)
    keys: int = 0
    first: list[Standing] = field(default_factory=list)


def drain(queue: Deep, stop: Callable[[], bool], pause: float = PAUSE, looks: int = EMPTY_LOOKS) -> Iterator[Depth]:
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


def left(scope: Scope, stop: Callable[[], bool], samples: int = 10) -> Left:
    """Return how every key stands now, by listings and manifests. Raises StoreError, Stopped.

    A source that is opted out, or gone since it was listed, is right without thumbnails.
    """
    found = Left()
    with survey(scope, stop) as surveyed:
        for standing in inspect(surveyed, stop=stop):
            if not _is_right(standing, scope):
                found.keys += 1
                if len(found.first) < samples:
                    found.first.append(standing)
            found.totals.add(standing)
    return found


def _is_right(standing: Standing, scope: Scope) -> bool:
    if standing.error or (standing.orphaned and standing.source is None):
        return False
    if standing.state in {State.MISSING, State.STALE}:
        now = scope.source.head(standing.key)
        return now is None or now.opted_out
    return True
