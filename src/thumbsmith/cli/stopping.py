"""How the user stops a command. The first Ctrl-C or SIGTERM ends it within five seconds, the second one at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from thumbsmith.cli.terminal import Console
from thumbsmith.errors import WorkerError
from thumbsmith.lifetime import Lifetime

# Work in progress has GRACE_SECONDS to finish. Then the process has EXIT_SECONDS to end. The sum is well below five
# seconds, because a busy machine needs time to end a process.
GRACE_SECONDS: Final = 2.0
EXIT_SECONDS: Final = 0.8

# A message may take this time. A paused terminal or a full pipe accepts none.
PRINT_SECONDS: Final = 0.3

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class _StoppableBlock:
    """A block that the user can stop: whether the user did, and functions that end long operations in it."""

    requested: threading.Event
    cuts: list[Callable[[], object]]


_OUTER: Final[ContextVar[_StoppableBlock | None]] = ContextVar("stoppable", default=None)


@contextmanager
def stoppable(
    console: Console,
    work: str = "the images in progress",
    *,
    grace: float = GRACE_SECONDS,
    cut: Callable[[], object] = lambda: None,
) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether the user asked to stop, by SIGINT or SIGTERM.

    `work` names what is finished first. It has `grace` seconds. Then all requests of the block end, and `cut` is called
    to end other long operations. If the block does not end within EXIT_SECONDS, or if the user asks again, the process
    exits. It does not wait for `cut` or for printed text, since a pipe or a terminal may be stopped.

    A thread waits for the signals, because the main thread may be where it cannot be interrupted. Raises WorkerError if
    no thread can start.

    A block inside another one, such as the sync that watch repeats, uses the signals of the outer block. Otherwise the
    outer block would lose a signal that arrives while the inner one ends.
    """
    outer = _OUTER.get()
    if outer:
        outer.cuts.append(cut)
        try:
            yield outer.requested.is_set
        finally:
            outer.cuts.remove(cut)
        return
    requested, requests, cuts = threading.Event(), Lifetime(), [cut]
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def cut_all() -> None:
        for each in tuple(cuts):
            _run_for(each, 0.0)

    def listen() -> None:
        if not _next_signal(reader, None):
            return
        requested.set()
        finishing = f"finishing {work}, for at most {grace:g} seconds; " if grace else ""
        _run_for(lambda: console.print(f"stopping: {finishing}press Ctrl-C again to stop at once"), PRINT_SECONDS)
        for seconds, then in ((grace, requests.end), (0.0, cut_all), (EXIT_SECONDS, lambda: None)):
            try:
                again = _next_signal(reader, seconds)
            except TimeoutError:
                then()
                continue
            if again:
                break
            return
        _run_for(console.show_cursor, PRINT_SECONDS)
        os._exit(128 + signal.SIGINT)

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    try:
        listener.start()
    except RuntimeError as problem:  # CPython's "can't start new thread"
        raise WorkerError(f"no thread can be started: {problem}") from problem
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    applied = _OUTER.set(_StoppableBlock(requested, cuts))
    try:
        with requests.applied():
            yield requested.is_set
    finally:
        _OUTER.reset(applied)
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        listener.join()
        reader.close()


def _run_for(action: Callable[[], object], seconds: float) -> None:
    """Run an action in a new thread, and wait at most this time. Does nothing if no thread can start."""
    thread = threading.Thread(target=action, daemon=True)
    with suppress(RuntimeError):  # CPython's "can't start new thread"
        thread.start()
        thread.join(seconds)


def _next_signal(reader: socket.socket, seconds: float | None) -> bool:
    """Wait for SIGINT or SIGTERM; return False when the block has ended. Raises TimeoutError.

    https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
    """
    reader.settimeout(None if seconds is None else max(seconds, 0.001))
    while number := reader.recv(1):
        if number[0] in _SIGNALS:
            return True
    return False
