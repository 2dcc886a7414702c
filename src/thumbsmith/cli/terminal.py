"""Output of commands, and how the user stops them.

JSON lines for programs are on stdout; messages and progress for people are on stderr. The first Ctrl-C or SIGTERM ends
a command within five seconds, the second one at once.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from thumbsmith.errors import UsageError, WorkerError
from thumbsmith.lifetime import Lifetime


def emit(event: str, **fields: object) -> None:
    """Print one JSON object as a line on stdout, without the fields that are None."""
    present = {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(json.dumps({"event": event, **present}) + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Return a text with escapes for characters that a terminal would interpret or cannot print."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def stderr_console() -> Console:
    """Return the console for messages to people, on stderr."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """Return the rate so far."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress_bar(console: Console, label: str, total: int) -> Iterator[Any]:
    """Yield a function that advances the bar by `by` and shows a text. Without a terminal it does nothing."""
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=total, counts="")
        yield lambda counts, by=1: bar.update(task, advance=by, counts=counts)


def format_counts(counts: dict[str, int]) -> str:
    """Return counts as a phrase, such as "3 made, 2 fresh"."""
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())


def format_duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours, such as "1.5 min"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def parse_count(option: str, text: str) -> float:
    """Return the number in the value of an option, such as "1000" or "1e6". Raises UsageError for other text."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UsageError(f"{option}: expected a number of 0 or more, found {text!r}")
    return found


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
