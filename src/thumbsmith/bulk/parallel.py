"""Work on many items at once, with a bounded number in hand, and a way to stop that finishes what has begun."""

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

# Seconds after which a pause notices that it is to end.
_LOOK: Final = 0.1


def each(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, stop: Callable[[], bool]
) -> Iterator[Result]:
    """Yield `work(item)` of every item as each is done, in no promised order, with at most `threads` in hand.

    Items are taken one by one as places become free. Once `stop` says True no further item is taken; those in hand are
    finished and yielded. An exception of `work` is raised here, after the other items that have begun. Raises
    WorkerError where this process may start no thread.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="thumbsmith") as pool:
        in_hand: set[Future[Result]] = set()
        while True:
            free = 0 if stop() else threads - len(in_hand)
            try:
                in_hand |= {pool.submit(copy_context().run, work, item) for item in islice(remaining, free)}
            except RuntimeError as problem:  # CPython's "can't start new thread"
                raise WorkerError(f"no further thread can be started: {problem}") from problem
            if not in_hand:
                return
            done, in_hand = wait(in_hand, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def wait_or_stop(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait, until `stop` says True."""
    until = monotonic() + seconds
    while not stop() and (left := until - monotonic()) > 0:
        sleep(min(left, _LOOK))
