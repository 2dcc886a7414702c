"""When to do what: keys wait until they stand still, failures until they may have passed. Pure: times are given."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

# Seconds. Everything is looked at this often although nothing happened: what a watch does not tell is found then.
EVERY: Final = 300.0

# Without a reason to, to look at everything takes at most one part in so many of the time; but it is done this often.
SHARE: Final = 20
AT_LEAST_EVERY: Final = 3600.0

# What fails is tried this often, over two to four minutes, and then again with everything else.
TRIES: Final = 8

# A wait that was doubled so often is longer than EVERY; a power without bounds would be no number one day.
DOUBLINGS: Final = 9


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: float
    seen: object
    latest: float


@dataclass(slots=True)
class Settling:
    """Keys that something happened to, each until it has stood still for `quiet` seconds, or has waited for `longest`.

    `look` returns what tells one state of a key from another: a file that grows is another one at each look.
    """

    look: Callable[[str], object]
    quiet: float
    longest: float = math.inf
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _order: list[tuple[float, str]] = field(default_factory=list)  # with entries that no longer hold

    def __len__(self) -> int:
        """Return how many keys wait."""
        return len(self._waiting)

    def hint(self, key: str, now: float) -> None:
        """Take note that something happened to the key."""
        waiting = self._waiting.get(key)
        latest = now + self.longest
        self._wait(key, now + self.quiet, min(waiting.latest, latest) if waiting else latest)

    def later(self, key: str, due: float) -> None:
        """Give the key out at `due` or a little later, unless it waits already."""
        if key not in self._waiting:
            self._wait(key, due, due + self.longest)

    def settled(self, now: float) -> Iterator[str]:
        """Yield the keys that stand still, the longest waiting first; each is forgotten as it is yielded."""
        while self._order and self._order[0][0] <= now:
            due, key = heappop(self._order)
            waiting = self._waiting.get(key)
            if waiting is None or waiting.due != due:
                continue
            if now < waiting.latest and self.look(key) != waiting.seen:
                self._wait(key, now + self.quiet, waiting.latest)
            else:
                del self._waiting[key]
                yield key

    def _wait(self, key: str, due: float, latest: float) -> None:
        due = min(due, latest)
        self._waiting[key] = _Waiting(due, self.look(key), latest)
        heappush(self._order, (due, key))


@dataclass(slots=True)
class Failures:
    """How often each key failed in a row: after TRIES it is left to the next round."""

    _in_a_row: Counter[str] = field(default_factory=Counter)

    def pause(self, key: str) -> float | None:
        """Take note that the key failed; return in how many seconds to try again, or None."""
        self._in_a_row[key] += 1
        if self._in_a_row[key] < TRIES:
            return backoff(self._in_a_row[key])
        self.forget(key)
        return None

    def forget(self, key: str) -> None:
        """Take note that the key did not fail."""
        del self._in_a_row[key]


@dataclass(slots=True)
class Rounds:
    """When to look at everything: when something may have gone unseen, when it failed, and every few minutes.

    Between two times there is a rest: one as long as the last time took, as far as that is minutes.
    """

    wanted: bool = True
    failures: int = 0
    _earliest: float = -math.inf
    _latest: float = -math.inf

    def due(self, now: float) -> bool:
        """Return whether it is time."""
        return now >= (self._earliest if self.wanted else self._latest)

    def ended(self, started: float, now: float, *, failed: bool) -> None:
        """Take note that everything was looked at; what failed is tried again sooner than the next round."""
        took = now - started
        self.failures = self.failures + 1 if failed else 0
        self.wanted = failed
        self._earliest = now + max(min(took, EVERY), backoff(self.failures + 2) if failed else 0)
        self._latest = now + max(EVERY, min(SHARE * took, AT_LEAST_EVERY))


def backoff(failures: int) -> float:
    """Return how many seconds to wait after so many failures in a row: 1, 2, 4 and so on, or up to twice as much.

    Never more than EVERY. The chance in it keeps those that failed together from coming back together.
    """
    return min(random.uniform(1, 2) * 2.0 ** min(failures - 1, DOUBLINGS), EVERY)  # noqa: S311 - no secret
