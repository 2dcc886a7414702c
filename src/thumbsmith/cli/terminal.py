"""What commands print: JSON lines for programs on stdout, sentences and progress for people on stderr.

Ctrl-C and SIGTERM: the first ends a command within five seconds, the second at once.
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
    """Print one JSON object on a line of stdout; fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(json.dumps({"event": event, **given}) + "\n")
    sys.stdout.flush()


def shown(text: str) -> str:
    """Return a key for people's eyes: whatever a terminal would act on, or cannot print, is escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def people() -> Console:
    """Return the console for people, on stderr."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Rate(ProgressColumn):
    """Sources a second."""

    def render(self, task: Task) -> Text:
        """Return the rate so far."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Any]:
    """Yield a function that moves the bar, by one or `by`, and shows a text; without a terminal it does nothing."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total, counts="")
        yield lambda counts, by=1: bar.update(task, advance=by, counts=counts)


def numbers(counts: dict[str, int]) -> str:
    """Return counts as a phrase: 3 made, 2 fresh."""
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())


def duration(amount: float) -> str:
    """Return so many seconds in the unit that people would say them in."""
    for unit, size in (("h", 3600), ("min", 60)):
        if amount >= 1.5 * size:
            return f"{amount / size:,.1f} {unit}"
    return f"{amount:,.0f} s"


def number(option: str, text: str) -> float:
    """Return the count that an option was given: 1000, 1e6. Raises UsageError for what is none."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UsageError(f"{option}: expected a number of 0 or more, found {text!r}")
    return found


# Seconds that what has begun is given to finish; and after that, until the process ends whatever it is doing. Together
# they are well below five seconds, because a busy machine needs time to end a process.
GRACE: Final = 2.0
LAST: Final = 0.8

# Seconds that a message may take. A terminal that the user has paused, or a pipe that is full, accepts none.
PRINTING: Final = 0.3

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block that can be stopped: whether the user asked for that, and what ends what takes long in it."""

    asked: threading.Event
    cuts: list[Callable[[], object]]


_OUTER: Final[ContextVar[_Block | None]] = ContextVar("stoppable", default=None)


@contextmanager
def stoppable(
    console: Console,
    doing: str = "the pictures being made",
    *,
    grace: float = GRACE,
    cut: Callable[[], object] = lambda: None,
) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the user asked to stop, by SIGINT or SIGTERM.

    What has begun has `grace` seconds to finish. Then all requests of the block are ended and `cut` is called, which
    ends what else may take long. Where the block does not end within LAST seconds, or the user asks again, the process
    ends: `cut` may take longer, and nothing that is printed is waited for, since a pipe or terminal may be stopped.

    A thread listens: the main thread may be busy where it cannot be interrupted. Raises WorkerError where no thread can
    be started.

    A block within another one, as of the sync that watch repeats, shares its signals: one that came while the inner
    block ended would be lost for the outer one.
    """
    outer = _OUTER.get()
    if outer:
        outer.cuts.append(cut)
        try:
            yield outer.asked.is_set
        finally:
            outer.cuts.remove(cut)
        return
    asked, requests, cuts = threading.Event(), Lifetime(), [cut]
    told, telling = socket.socketpair()
    telling.setblocking(False)

    def cut_all() -> None:
        for each in tuple(cuts):
            _try(each, 0.0)

    def listen() -> None:
        if not _next(told, None):
            return
        asked.set()
        finishing = f"finishing {doing}, for at most {grace:g} seconds; " if grace else ""
        _try(lambda: console.print(f"stopping: {finishing}press Ctrl-C again to stop at once"), PRINTING)
        for seconds, then in ((grace, requests.end), (0.0, cut_all), (LAST, lambda: None)):
            try:
                again = _next(told, seconds)
            except TimeoutError:
                then()
                continue
            if again:
                break
            return
        _try(console.show_cursor, PRINTING)
        os._exit(128 + signal.SIGINT)

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    try:
        listener.start()
    except RuntimeError as problem:  # CPython's "can't start new thread"
        raise WorkerError(f"no thread can be started: {problem}") from problem
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    descriptor = signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)
    applied = _OUTER.set(_Block(asked, cuts))
    try:
        with requests.applied():
            yield asked.is_set
    finally:
        _OUTER.reset(applied)
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        telling.close()
        listener.join()
        told.close()


def _try(action: Callable[[], object], seconds: float) -> None:
    """Begin an action in a thread of its own, and wait for it so long at most; do nothing where no thread can start."""
    thread = threading.Thread(target=action, daemon=True)
    with suppress(RuntimeError):  # CPython's "can't start new thread"
        thread.start()
        thread.join(seconds)


def _next(told: socket.socket, seconds: float | None) -> bool:
    """Wait for one of our signals; return False once no thread needs it any more. Raises TimeoutError.

    https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
    """
    told.settimeout(None if seconds is None else max(seconds, 0.001))
    while number := told.recv(1):
        if number[0] in _SIGNALS:
            return True
    return False
