"""Process many items in threads, with a limit on the items in progress, and stop without breaking off any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from itertools import islice
from time import monotonic, sleep
from typing import Final, TypeVar

from thumbsmith.errors import WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")

_STOP_CHECK_SECONDS: Final = 0.1


def each(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, stop: Callable[[], bool]
) -> Iterator[Result]:
    """Yield `work(item)` for every item, in any order, with at most `threads` items in progress.

    Items are taken one at a time, when a thread is free. Once `stop` returns True, no further item is taken; those in
    progress are finished and yielded. An exception of `work` is raised here, after the other items in progress are
    finished. Raises WorkerError if this process cannot start a thread.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="thumbsmith") as pool:
        running: set[Future[Result]] = set()
        while True:
            free = 0 if stop() else threads - len(running)
            try:
                running |= {pool.submit(copy_context().run, work, item) for item in islice(remaining, free)}
            except RuntimeError as problem:  # CPython's "can't start new thread"
                raise WorkerError(f"no further thread can be started: {problem}") from problem
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def wait_or_stop(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait for this time, or until `stop` returns True."""
    end = monotonic() + seconds
    while not stop() and (left := end - monotonic()) > 0:
        sleep(min(left, _STOP_CHECK_SECONDS))
