"""The updates that the application makes in the background: of single keys on request, and of the watched folder."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from thumbsmith.bulk.changes import changes
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import sync, without_mass_delete
from thumbsmith.bulk.watch import ReportedFailures, WatchResult, follow
from thumbsmith.errors import MassDeletionRefused, ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.converge import Renderer, Result
from thumbsmith.reconcile.protocol import Outcome

# A key that failed is not tried again within this time, even if clients keep asking for it.
RETRY_SECONDS: Final = 2.0

# The number of failed keys that are remembered. The oldest is dropped first.
_MAX_FAILURES: Final = 1_000

# The pause before a source folder that disappeared is looked for again.
_MISSING_FOLDER_SECONDS: Final = 5.0

log = logging.getLogger("thumbsmith.web")


class BackgroundUpdater:
    """An `Updater` that converges keys in its own threads: several keys at once, but each key once at a time.

    Must be closed.
    """

    def __init__(self, scope: Scope, renderer: Renderer, threads: int, count: Callable[[Result], None]) -> None:
        """Set up the threads. `count` is called with the result of every update."""
        self.scope = scope
        self._current = scope.pinned()
        self._renderer = renderer
        self._count = count
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="thumbsmith-update")
        self._condition = threading.Condition()  # guards the fields below
        self._locked: set[str] = set()
        self._queued: dict[str, Future[Outcome]] = {}
        self._running: dict[str, Future[Outcome]] = {}
        self._failed: OrderedDict[str, tuple[float, ThumbsmithError]] = OrderedDict()
        self._unscanned = 0  # sources that the running scan has not checked yet
        self._reported = ReportedFailures()
        self._stopped = threading.Event()
        self._has_new_recipe = threading.Event()  # since the last scan began
        self._watcher: threading.Thread | None = None

    def enqueue(self, key: str) -> bool:
        """Queue an update that begins after now. Return True: this process makes it."""
        self._enqueue(key)
        return True

    def ensure_queued(self, key: str) -> Future[Outcome] | None:
        """Return the future of the update that is queued or running; queue one if there is none.

        Return None if the key failed less than RETRY_SECONDS ago.
        """
        with self._condition:
            future = self._queued.get(key) or self._running.get(key)
            failed_at, _ = self._failed.get(key, (-RETRY_SECONDS, None))
        if future is None and time.monotonic() - failed_at >= RETRY_SECONDS:
            future = self._enqueue(key)
        return future

    async def wait(self, key: str, seconds: float) -> None:
        """Queue the key if necessary, and wait until its update has ended or failed, for at most `seconds`."""
        future = self.ensure_queued(key)
        if future:
            waiting = asyncio.wrap_future(future)
            # asyncio warns about an exception that is never retrieved. `failure` returns it.
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([waiting], timeout=seconds)

    def failure(self, key: str) -> ThumbsmithError | None:
        """Return why the key failed: a transient error for RETRY_SECONDS, another one until an update succeeds."""
        failed_at, error = self._failed.get(key, (0.0, None))
        is_current = error and (not error.transient or time.monotonic() - failed_at < RETRY_SECONDS)
        return error if is_current else None

    def load(self) -> tuple[int, int]:
        """Return how many keys wait for an update, in the queue or in the running scan, and how many are being updated.

        The keys that a scan is updating count as waiting.
        """
        with self._condition:
            return len(self._queued) + self._unscanned, len(self._running)

    def use_recipe(self, recipe: Recipe) -> None:
        """Make all updates that begin after now by this recipe. A watched folder is scanned again."""
        with self._condition:
            self.scope = replace(self.scope, recipe=recipe)
            self._current = replace(self._current, recipe=recipe)
            self._has_new_recipe.set()

    def follow_source(self) -> None:
        """Start to watch the source in a thread if it is a folder, so that files that others put there are updated."""
        folder = self.scope.source.local_root
        if folder is not None:
            self._watcher = threading.Thread(target=self._watch, args=(folder,), name="thumbsmith-watch")
            self._watcher.start()

    def close(self) -> None:
        """Cancel the updates that are queued, and wait for those that are running."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._watcher:
            self._watcher.join()

    def _enqueue(self, key: str) -> Future[Outcome]:
        with self._condition:
            future = self._queued.get(key)
            if future is None:
                future = self._queued[key] = Future()
                self._pool.submit(self._run, key, future)
            return future

    def _run(self, key: str, future: Future[Outcome]) -> None:
        """Make one queued update, in a thread of the pool."""
        with self._key_locked(key):
            with self._condition:
                self._queued.pop(key, None)
                self._running[key] = future
            outcome: Outcome | None = None
            error: BaseException | None = None
            try:
                result = self._converge(key)
                outcome, error = result.outcome, result.error
            except BaseException as unexpected:
                error = unexpected
            with self._condition:
                self._running.pop(key, None)
            if outcome:
                future.set_result(outcome)
            else:
                future.set_exception(error)

    @contextmanager
    def _key_locked(self, key: str) -> Iterator[None]:
        """Lock the key: two updates at once are safe, but would do the same work twice."""
        with self._condition:
            self._condition.wait_for(lambda: key not in self._locked)
            self._locked.add(key)
        try:
            yield
        finally:
            with self._condition:
                self._locked.discard(key)
                self._condition.notify_all()

    def _converge(self, key: str) -> Result:
        current = self._current
        result = current.attempt(key, self._renderer)
        if self._current.recipe is not current.recipe and not self._stopped.is_set():
            self._enqueue(key)  # a new recipe came meanwhile
        self._count(result)
        self._log_failure(key, result.error)
        with self._condition:
            self._failed.pop(key, None)
            if result.error:
                self._failed[key] = time.monotonic(), result.error
                while len(self._failed) > _MAX_FAILURES:
                    self._failed.popitem(last=False)
        return result

    def _log_failure(self, key: str, error: ThumbsmithError | None) -> None:
        """Log why the key failed, unless the last log line for it says the same. None: the key did not fail."""
        reason = error.about(key) if error else None
        with self._condition:
            is_new = self._reported.is_new(key, reason)
        if is_new:
            log.warning("failed %r: %s", key, reason)

    def _watch(self, folder: str) -> None:
        """Follow the folder until `close`, in the thread of the watcher."""
        while not self._stopped.is_set():
            try:
                for _ in self._follow(folder):  # failures are logged already
                    pass
            except ThumbsmithError as error:  # for example, a changed link leads into the destination
                # When the interpreter ends, no thread can be started any more, before `close` is called.
                if threading.main_thread().is_alive():
                    log.warning("%s; trying again every %d seconds", error, _MISSING_FOLDER_SECONDS)
                self._stopped.wait(_MISSING_FOLDER_SECONDS)

    def _follow(self, folder: str) -> Iterator[WatchResult]:
        return follow(
            self.scope,
            self._reports(folder),
            folder=folder,
            renderer=self._renderer,
            threads=self._threads,
            sync=self._sync,
            converge=self._update_now,
        )

    def _reports(self, folder: str) -> Iterator[frozenset[str] | None]:
        """Yield the changes of the folder; None, for a scan, also when there is a new recipe."""
        for changed in changes(folder, self._stopped.is_set, lambda sentence: log.warning("%s", sentence)):
            yield changed
            if self._has_new_recipe.is_set():
                yield None

    def _update_now(self, key: str) -> Result:
        with self._key_locked(key):
            return self._converge(key)

    def _sync(self) -> bool | None:
        """Update everything. Return whether nothing failed, or None if the updater is closed.

        If most sources are missing, the folder may be unmounted: then no thumbnails are deleted.
        """

        def warn(refusal: MassDeletionRefused) -> None:
            log.warning("%s: no thumbnails are deleted. Is the folder of the sources in place?", refusal.finding)

        with self._condition:
            scope = self._current = self.scope.pinned()
            self._has_new_recipe.clear()
        return without_mass_delete(scope, self._sync_scope, warn)

    def _sync_scope(self, scope: Scope) -> bool | None:
        failed = False
        with self._condition:
            self._reported.next_scan()

        def stop() -> bool:
            return self._stopped.is_set() or self._has_new_recipe.is_set()

        with scan(scope) as found, self._counting(found.sources):
            for result in sync(found, renderer=self._renderer, threads=self._threads, stop=stop, lock=self._key_locked):
                failed = failed or result.error is not None
                self._count(result)
                with self._condition:
                    self._unscanned = max(0, self._unscanned - 1)
                self._log_failure(result.key, result.error)
        return None if self._stopped.is_set() else not failed

    @contextmanager
    def _counting(self, sources: int) -> Iterator[None]:
        """Count the sources of a scan as waiting; none when it has ended or failed."""
        with self._condition:
            self._unscanned = sources
        try:
            yield
        finally:
            with self._condition:
                self._unscanned = 0
