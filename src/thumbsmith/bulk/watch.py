"""Follow a folder: converge each key that changes, and scan everything now and then.

A change is only a hint at a key. The key is converged once its file has stopped changing. What fails is tried again
later. The classes that decide when are pure: they receive the time as an argument.
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
from thumbsmith.reconcile.converge import Renderer, Result
from thumbsmith.store.base import Visitor

# A file counts as complete if its size and times stay the same for this long. If a slower writer pauses for longer, the
# incomplete file is converged, and again after the next write.
QUIET_SECONDS: Final = 0.5

# A file that never stops changing is converged after this time. It is long enough for most uploads.
MAX_WAIT_SECONDS: Final = 30.0

# Keys in the queue of each thread, so that no thread waits for the next report of changes.
QUEUED_KEYS_PER_THREAD: Final = 32

# Everything is scanned this often without any change: it finds what the watch missed.
RESCAN_SECONDS: Final = 300.0

# Scans without a reason take at most this share of the time, but happen at least every MAX_RESCAN_SECONDS.
MAX_SCAN_SHARE: Final = 1 / 20
MAX_RESCAN_SECONDS: Final = 3600.0

# A key that fails is tried this often, over two to four minutes. After that, the next scan tries it.
MAX_TRIES: Final = 8

# After this many doublings a delay is longer than RESCAN_SECONDS. More could overflow.
_MAX_DOUBLINGS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchResult(Result):
    """The result for one key. `descendants` are keys to check next if the key is, or was, a folder."""

    descendants: tuple[str, ...] = ()


def follow(  # noqa: PLR0913 - each caller chooses all of them
    scope: Scope,
    changes: Iterable[frozenset[str] | None],
    *,
    folder: str,
    renderer: Renderer,
    threads: int,
    sync: Callable[[], bool | None],
    quiet_seconds: float = QUIET_SECONDS,
    converge: Callable[[str], Result] | None = None,
) -> Iterator[WatchResult]:
    """Converge what changes in the source, which is the folder at this path, until `changes` ends. Yield the results.

    A key is converged once it has not changed for `quiet_seconds`, or after MAX_WAIT_SECONDS. `sync` converges
    everything. It is called if changes may have been missed, and every few minutes; it returns whether nothing failed,
    or None to stop. At the end, the keys in progress are finished. `converge` replaces `scope.attempt`.
    """
    schedule, current = RescanSchedule(), scope.pinned()

    def attempt(key: str) -> Result:
        return current.attempt(key, renderer)

    with ThreadPoolExecutor(threads, thread_name_prefix="thumbsmith") as pool:
        keys = _Keys(scope, folder, converge or attempt, pool, threads, quiet_seconds)
        for changed in changes:
            schedule.requested = schedule.requested or changed is None
            for key in changed or ():
                keys.hint(key)
            if schedule.is_due(started := time.monotonic()):
                yield from keys.finish()  # so that no thread converges a key while sync does
                current = scope.pinned()
                done = sync()
                if done is None:
                    return
                schedule.finished(started, time.monotonic(), failed=not done)
            keys.start()
            yield from keys.results()
        yield from keys.finish()


# The next scan reports what cannot be read.
_IGNORE_UNREADABLE: Final = Visitor(
    enters=lambda folder: not is_hidden(f"{folder}/"), unreadable=lambda _key, _error: None
)


@dataclass(slots=True)
class _Keys:
    """The waiting keys, and those in progress. No key is in progress twice."""

    scope: Scope
    folder: str
    converge: Callable[[str], Result]
    pool: ThreadPoolExecutor
    threads: int
    quiet_seconds: float
    debouncer: Debouncer = field(init=False)
    running: dict[Future[WatchResult], str] = field(default_factory=dict)
    failures: RetryCounter = field(init=False)

    def __post_init__(self) -> None:
        self.debouncer = Debouncer(self._state, self.quiet_seconds, MAX_WAIT_SECONDS)
        self.failures = RetryCounter()

    def hint(self, key: str) -> None:
        """Record that the key may have changed, unless no source can be under it."""
        if not is_hidden(key):
            self.debouncer.hint(key, time.monotonic())

    def start(self) -> None:
        """Start to converge keys that no longer change, as many as the threads' queues take."""
        now, busy = time.monotonic(), set(self.running.values())
        for key in islice(self.debouncer.ready(now), QUEUED_KEYS_PER_THREAD * self.threads - len(busy)):
            if key in busy:
                self.debouncer.hint(key, now)
            else:
                self.running[self.pool.submit(copy_context().run, self._converge, key)] = key

    def results(self) -> Iterator[WatchResult]:
        """Yield the results of the keys that are done."""
        for future in [each for each in self.running if each.done()]:
            del self.running[future]
            result = future.result()
            self._schedule_next(result)
            yield result

    def finish(self) -> Iterator[WatchResult]:
        """Wait for the keys in progress and yield their results. Keys that were only queued wait again."""
        for future in [each for each in self.running if each.cancel()]:
            self.debouncer.schedule(self.running.pop(future), time.monotonic())
        while self.running:
            wait(self.running, return_when=FIRST_COMPLETED)
            yield from self.results()

    def _schedule_next(self, result: WatchResult) -> None:
        """Schedule what follows from a result: its descendants, or the key itself after a transient error."""
        for key in result.descendants:
            self.hint(key)
        if result.error is None or not result.error.transient:
            self.failures.reset(result.key)
        elif (delay := self.failures.next_delay(result.key)) is not None:
            self.debouncer.schedule(result.key, time.monotonic() + delay)

    def _converge(self, key: str) -> WatchResult:
        result = self.converge(key)
        try:
            descendants = tuple(self._descendants(result))
        except ThumbsmithError as error:
            return WatchResult(key=key, error=error)
        return WatchResult(key=key, outcome=result.outcome, error=result.error, descendants=descendants)

    def _descendants(self, result: Result) -> Iterator[str]:
        """Yield the keys under one that is no source: of the folder that it is, and of the folder that it was.

        A folder can be moved or deleted as a whole. In a new folder, files may be written before the watch covers it.
        """
        key = result.key
        if result.word not in {"absent", "deleted"}:
            return
        if Path(self.folder, key).is_dir():
            yield from (info.key for info in self.scope.source.list(f"{key}/", visitor=_IGNORE_UNREADABLE))
        if result.word == "absent" and not self.scope.options.keep_orphans:
            destination = self.scope.destination.as_destination()
            objects = (info.key.rpartition("/") for info in destination.list(f"{key}/", visitor=_IGNORE_UNREADABLE))
            yield from dict.fromkeys(owner for owner, _, name in objects if owner != key and is_managed_name(name))

    def _state(self, key: str) -> str | None:
        """Return a value that differs between two states of the source."""
        try:
            found = self.scope.source.head(key)
        except StoreError as error:
            return str(error)
        return found.etag if found else None


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: float
    state: object
    latest: float


@dataclass(slots=True)
class Debouncer:
    """Keys that changed. Each waits until it has not changed for `quiet_seconds`, or for `max_seconds` in all.

    `state_of` returns a value that differs between two states of a key: the state of a growing file differs each time.
    """

    state_of: Callable[[str], object]
    quiet_seconds: float
    max_seconds: float = math.inf
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _queue: list[tuple[float, str]] = field(default_factory=list)  # a heap, including entries that are outdated

    def __len__(self) -> int:
        """Return the number of waiting keys."""
        return len(self._waiting)

    def hint(self, key: str, now: float) -> None:
        """Record that the key may have changed."""
        waiting = self._waiting.get(key)
        latest = now + self.max_seconds
        self._wait(key, now + self.quiet_seconds, min(waiting.latest, latest) if waiting else latest)

    def schedule(self, key: str, due: float) -> None:
        """Yield the key from `ready` at `due` or a little later, unless it is waiting already."""
        if key not in self._waiting:
            self._wait(key, due, due + self.max_seconds)

    def ready(self, now: float) -> Iterator[str]:
        """Yield and remove the keys that no longer change; those with the longest wait first."""
        while self._queue and self._queue[0][0] <= now:
            due, key = heappop(self._queue)
            waiting = self._waiting.get(key)
            if waiting is None or waiting.due != due:
                continue
            if now < waiting.latest and self.state_of(key) != waiting.state:
                self._wait(key, now + self.quiet_seconds, waiting.latest)
            else:
                del self._waiting[key]
                yield key

    def _wait(self, key: str, due: float, latest: float) -> None:
        due = min(due, latest)
        self._waiting[key] = _Waiting(due, self.state_of(key), latest)
        heappush(self._queue, (due, key))


@dataclass(slots=True)
class RetryCounter:
    """Counts consecutive failures of each key. After MAX_TRIES, the next scan tries the key."""

    _failures: Counter[str] = field(default_factory=Counter)

    def next_delay(self, key: str) -> float | None:
        """Count a failure of the key; return in how many seconds to try again, or None."""
        self._failures[key] += 1
        if self._failures[key] < MAX_TRIES:
            return retry_delay(self._failures[key])
        self.reset(key)
        return None

    def reset(self, key: str) -> None:
        """Forget the failures of the key."""
        del self._failures[key]


@dataclass(slots=True)
class RescanSchedule:
    """When to scan everything: if changes may have been missed, after a failure, and every few minutes.

    Between two scans there is a pause, as long as the last scan, but at most RESCAN_SECONDS.
    """

    requested: bool = True
    failures: int = 0
    _earliest: float = -math.inf
    _latest: float = -math.inf

    def is_due(self, now: float) -> bool:
        """Return whether to scan now."""
        return now >= (self._earliest if self.requested else self._latest)

    def finished(self, started: float, now: float, *, failed: bool) -> None:
        """Record a scan. After a failure the next one is sooner."""
        duration = now - started
        self.failures = self.failures + 1 if failed else 0
        self.requested = failed
        self._earliest = now + max(min(duration, RESCAN_SECONDS), retry_delay(self.failures + 2) if failed else 0)
        self._latest = now + max(RESCAN_SECONDS, min(duration / MAX_SCAN_SHARE, MAX_RESCAN_SECONDS))


def retry_delay(failures: int) -> float:
    """Return how many seconds to wait after this many consecutive failures: 1, 2, 4 and so on, or up to twice that.

    At most RESCAN_SECONDS. The random part keeps keys that failed together from being tried together.
    """
    return min(random.uniform(1, 2) * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), RESCAN_SECONDS)  # noqa: S311 - no secret


@dataclass(slots=True)
class ReportedFailures:
    """The failures that were reported, by key. Each is reported once, until it ends or its reason changes."""

    _last_scan: dict[str, str] = field(default_factory=dict)
    _since: dict[str, str] = field(default_factory=dict)

    def is_new(self, key: str, failure: str | None) -> bool:
        """Record why the key failed, None if it did not; return whether to report it."""
        known = self._last_scan.pop(key, None)
        known = self._since.pop(key, None) or known
        if failure is None:
            return False
        self._since[key] = failure
        return known != failure

    def next_scan(self) -> None:
        """Record that a scan begins: failures that it does not repeat have ended."""
        self._last_scan, self._since = self._since, {}
