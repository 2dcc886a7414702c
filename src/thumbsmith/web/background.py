"""Who keeps the thumbnails right while the application runs: keys made right in threads, the source folder followed."""

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

from thumbsmith.bulk import sync as engine
from thumbsmith.bulk.changes import changes
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.watch import Reported, WatchResult, follow
from thumbsmith.errors import MassDeletionRefused, StoreError, ThumbsmithError, UsageError
from thumbsmith.reconcile.converge import Renderer, converge
from thumbsmith.reconcile.effects import Outcome

# A key that failed is left alone for so many seconds, however often it is asked for.
PAUSE: Final = 2.0

# Failures remembered, the oldest forgotten first.
_MAX_FAILURES: Final = 1_000

# Seconds until a source folder that is gone is looked for again.
_GONE: Final = 5.0

log = logging.getLogger("thumbsmith.web")


class Keeper:
    """Makes keys right, each in one thread at a time and any number of them at once: a `Keeping`. Must be closed."""

    def __init__(self, scope: Scope, renderer: Renderer, threads: int) -> None:
        self.scope = scope
        self._renderer = renderer
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="thumbsmith-keeper")
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._waiting: dict[str, Future[Outcome]] = {}
        self._running: dict[str, Future[Outcome]] = {}
        self._failed: OrderedDict[str, tuple[float, ThumbsmithError]] = OrderedDict()
        self._reported = Reported()
        self._stopped = threading.Event()
        self._watch: threading.Thread | None = None

    def changed(self, key: str) -> Future[Outcome]:
        """Have the key made right, beginning after now; return the future of what becomes of it."""
        with self._changed:
            future = self._waiting.get(key)
            if future is None:
                future = self._waiting[key] = Future()
                self._pool.submit(self._run, key, future)
            return future

    def pursued(self, key: str) -> Future[Outcome] | None:
        """Return the future of a key that is not right yet, begun if need be; None where it failed a moment ago."""
        with self._changed:
            future = self._waiting.get(key) or self._running.get(key)
            failed_at, _ = self._failed.get(key, (-PAUSE, None))
        if future is None and time.monotonic() - failed_at >= PAUSE:
            future = self.changed(key)
        return future

    async def settled(self, key: str, seconds: float) -> None:
        """Wait until a key that is not right is done, however that ends, but no longer than so many seconds."""
        future = self.pursued(key)
        if future:
            waiting = asyncio.wrap_future(future)
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody asks how it ended
            await asyncio.wait([waiting], timeout=seconds)

    def failure(self, key: str) -> ThumbsmithError | None:
        """Return why the key failed: what may pass by itself for a moment, anything else until the key is right."""
        when, error = self._failed.get(key, (0.0, None))
        return error if error and (not error.transient or time.monotonic() - when < PAUSE) else None

    def follow(self) -> None:
        """Follow the source from now on, in a thread, where it is a folder: what others put there is made right too."""
        folder = self.scope.source.local_root
        if folder is not None:
            self._watch = threading.Thread(target=self._follow, args=(folder,), name="thumbsmith-watch")
            self._watch.start()

    def close(self) -> None:
        """Begin nothing any more, and wait for what has begun."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._watch:
            self._watch.join()

    def _run(self, key: str, future: Future[Outcome]) -> None:
        with self._alone(key):
            with self._changed:
                self._waiting.pop(key, None)
                self._running[key] = future
            try:
                outcome = self._converge(key)
            except BaseException as error:
                with self._changed:
                    self._running.pop(key, None)
                future.set_exception(error)
            else:
                with self._changed:
                    self._running.pop(key, None)
                future.set_result(outcome)

    def _make_right(self, key: str) -> Outcome:
        with self._alone(key):
            return self._converge(key)

    def _converge(self, key: str) -> Outcome:
        scope = self.scope
        try:
            outcome = converge(
                key, scope.source, scope.destination, scope.recipe, renderer=self._renderer, options=scope.options
            )
        except ThumbsmithError as error:
            self._report(key, error)
            with self._changed:
                self._failed[key] = time.monotonic(), error
                while len(self._failed) > _MAX_FAILURES:
                    self._failed.popitem(last=False)
            raise
        self._report(key, None)
        self._failed.pop(key, None)
        return outcome

    def _report(self, key: str, error: ThumbsmithError | None) -> None:
        """Log why the key failed, once until it does not fail any more."""
        reason = error.about(key) if error else None
        with self._changed:
            is_new = self._reported.is_new(key, reason)
        if is_new:
            log.warning("failed %r: %s", key, reason)

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold the key against other threads: two at once are safe, but would do the same work twice."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._busy)
            self._busy.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(key)
                self._changed.notify_all()

    def _follow(self, folder: str) -> None:
        while not self._stopped.is_set():
            try:
                for _ in self._followed(folder):  # what failed is in the log by now
                    pass
            except (UsageError, StoreError) as error:  # a switched link can lead into the destination
                log.warning("%s; looking again every %d seconds", error, _GONE)
                self._stopped.wait(_GONE)

    def _followed(self, folder: str) -> Iterator[WatchResult]:
        return follow(
            self.scope,
            changes(folder, self._stopped.is_set, lambda sentence: log.warning("%s", sentence)),
            folder=folder,
            renderer=self._renderer,
            threads=self._threads,
            sync=self._sync,
            make_right=self._make_right,
        )

    def _sync(self) -> bool | None:
        """Make everything right; return whether nothing failed, None when stopped.

        Where most sources are gone, as of a folder that something else was mounted on, nothing is deleted.
        """
        try:
            return self._sync_by(self.scope)
        except MassDeletionRefused as refusal:
            log.warning("%s: none of them is deleted. Are the sources in place?", refusal.finding)
            options = replace(self.scope.options, keep_orphans=True)
            return self._sync_by(replace(self.scope, options=options))

    def _sync_by(self, scope: Scope) -> bool | None:
        failed = False
        with self._changed:
            self._reported.next_round()
        stop: Callable[[], bool] = self._stopped.is_set
        with scan(scope) as found:
            for done in engine.sync(found, renderer=self._renderer, threads=self._threads, stop=stop):
                failed = failed or done.error is not None
                self._report(done.key, done.error)
        return None if stop() else not failed
