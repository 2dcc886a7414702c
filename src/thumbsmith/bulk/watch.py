"""When to do what: keys wait until they stand still, failures until they may have passed. Pure: times are given.

A folder followed: whatever happens in it is a hint to make a key right, once the key stands still.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Final

from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import StoreError, ThumbsmithError
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.recipe.selection import is_hidden
from thumbsmith.reconcile.converge import Renderer, converge
from thumbsmith.reconcile.effects import Outcome
from thumbsmith.store.base import Visitor

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
class Debouncer:
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
class RescanSchedule:
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


# Seconds for which size and times of a file stay the same before it is taken to be whole. A file that a slower writer
# leaves alone for longer is made of what is there, and again after the next write.
QUIET: Final = 0.5

# Seconds for which a file may change all the time before it is made of what is there. Long enough for most uploads.
LONGEST: Final = 30.0

# Keys that are handed to each thread ahead, so that none waits for the next tick of the folder's changes.
AHEAD: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchResult:
    """What became of a key: an outcome or an error; `beneath` are keys to look at, where it was a folder's."""

    key: str
    outcome: Outcome | None = None
    error: ThumbsmithError | None = None
    beneath: tuple[str, ...] = ()


@dataclass(slots=True)
class Reported:
    """Failures that were reported, by key: each is reported once, until it ends or has another reason."""

    _before: dict[str, str] = field(default_factory=dict)
    _now: dict[str, str] = field(default_factory=dict)

    def is_new(self, key: str, failure: str | None) -> bool:
        """Take note of why the key failed, None where it did not; return whether that is to be reported."""
        known = self._before.pop(key, None)
        known = self._now.pop(key, None) or known
        if failure is None:
            return False
        self._now[key] = failure
        return known != failure

    def next_round(self) -> None:
        """Take note that everything is looked at again: what does not fail then has ended."""
        self._before, self._now = self._now, {}


def follow(  # noqa: PLR0913 - a shell chooses each
    scope: Scope,
    changes: Iterable[frozenset[str] | None],
    *,
    folder: str,
    renderer: Renderer,
    threads: int,
    sync: Callable[[], bool | None],
    quiet: float = QUIET,
    make_right: Callable[[str], Outcome] | None = None,
) -> Iterator[WatchResult]:
    """Make right what changes in the source, the folder at this path, for as long as `changes` says what does.

    A key is looked at once it stood still for `quiet` seconds, or changed for LONGEST; yields what became of each.
    `sync` is called where changes may have gone unseen, and every few minutes; it makes everything right, and returns
    whether it did, or None to end. Keys that were begun are finished at the end. `make_right` is what is done to a key:
    by default `converge`.
    """

    def converged(key: str) -> Outcome:
        return converge(key, scope.source, scope.destination, scope.recipe, renderer=renderer, options=scope.options)

    rounds = RescanSchedule()
    with ThreadPoolExecutor(threads, thread_name_prefix="thumbsmith") as pool:
        keys = _Keys(scope, folder, make_right or converged, pool, threads, quiet)
        for changed in changes:
            rounds.wanted = rounds.wanted or changed is None
            for key in changed or ():
                keys.hint(key)
            if rounds.due(started := time.monotonic()):
                yield from keys.finished()  # what sync does to a key, no thread does at the same time
                done = sync()
                if done is None:
                    return
                rounds.ended(started, time.monotonic(), failed=not done)
            keys.begin()
            yield from keys.done()
        yield from keys.finished()


# What cannot be read is reported by the next look at everything.
_PATIENT: Final = Visitor(enters=lambda folder: not is_hidden(f"{folder}/"), unreadable=lambda _key, _error: None)


@dataclass(slots=True)
class _Keys:
    """The keys that wait and those in hand. No key is in hand twice."""

    scope: Scope
    folder: str
    converge: Callable[[str], Outcome]
    pool: ThreadPoolExecutor
    threads: int
    quiet: float
    settling: Debouncer = field(init=False)
    in_hand: dict[Future[WatchResult], str] = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures)

    def __post_init__(self) -> None:
        self.settling = Debouncer(self._state, self.quiet, LONGEST)

    def hint(self, key: str) -> None:
        """Take note that something happened to the key, unless nothing under it can be a source."""
        if not is_hidden(key):
            self.settling.hint(key, time.monotonic())

    def begin(self) -> None:
        """Take keys that stand still in hand, as many as there is room for."""
        now, busy = time.monotonic(), set(self.in_hand.values())
        for key in islice(self.settling.settled(now), AHEAD * self.threads - len(busy)):
            if key in busy:
                self.settling.hint(key, now)
            else:
                self.in_hand[self.pool.submit(copy_context().run, self._make_right, key)] = key

    def done(self) -> Iterator[WatchResult]:
        """Yield what became of the keys that are done."""
        for future in [each for each in self.in_hand if each.done()]:
            del self.in_hand[future]
            followed = future.result()
            self._note(followed)
            yield followed

    def finished(self) -> Iterator[WatchResult]:
        """Yield what became of all that has begun, as each is done; what has not waits again."""
        for future in [each for each in self.in_hand if each.cancel()]:
            self.settling.later(self.in_hand.pop(future), time.monotonic())
        while self.in_hand:
            wait(self.in_hand, return_when=FIRST_COMPLETED)
            yield from self.done()

    def _note(self, followed: WatchResult) -> None:
        """Take note of what is to be looked at next: what lies beneath, or the key itself where it failed for now."""
        for key in followed.beneath:
            self.hint(key)
        if followed.error is None or not followed.error.transient:
            self.failures.forget(followed.key)
        elif (pause := self.failures.pause(followed.key)) is not None:
            self.settling.later(followed.key, time.monotonic() + pause)

    def _make_right(self, key: str) -> WatchResult:
        try:
            outcome = self.converge(key)
            return WatchResult(key=key, outcome=outcome, beneath=tuple(self._beneath(key, outcome)))
        except ThumbsmithError as error:
            return WatchResult(key=key, error=error)

    def _beneath(self, key: str, outcome: Outcome) -> Iterator[str]:
        """Yield the keys beneath one that is no source: of the folder that it is, and of one that it was.

        A folder that is moved comes and goes as a whole; and in a new one, files may lie before it is watched.
        """
        if outcome.status not in {"absent", "deleted"}:
            return
        if Path(self.folder, key).is_dir():
            yield from (info.key for info in self.scope.source.list(f"{key}/", visitor=_PATIENT))
        if outcome.status == "absent" and not self.scope.options.keep_orphans:
            owners = (
                info.key.rpartition("/")
                for info in self.scope.destination.as_destination().list(f"{key}/", visitor=_PATIENT)
            )
            yield from dict.fromkeys(owner for owner, _, name in owners if owner != key and is_managed_name(name))

    def _state(self, key: str) -> str | None:
        """Return what tells one state of a source from another."""
        try:
            found = self.scope.source.head(key)
        except StoreError as error:
            return str(error)
        return found.etag if found else None
