"""Ctrl-C: the first one finishes what is in hand, the second ends the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console


@contextmanager
def stoppable(console: Console, doing: str = "the pictures in hand") -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the user asked to stop, by SIGINT or SIGTERM."""
    asked = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        console.print(f"finishing {doing}; once more to stop at once")

    for number in signals:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
