"""How long requests over the network may go on: until a moment, or until somebody ends all of them.

What is closed at the end of a `with` block.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from types import TracebackType
from typing import Final, Self

from thumbsmith.errors import Stopped, ThumbsmithError

# On close, the kernel drops what it has not sent yet, and resets the connection: socket(7), SO_LINGER.
_DROP: Final = struct.pack("ii", 1, 0)


class Lifetime:
    """A time within which requests may be made, from any number of threads.

    It is over at `at`, by time.monotonic(), or once `end` was called. A request after that
    raises the error that `why` makes.
    """

    def __init__(self, at: float = math.inf, why: Callable[[], ThumbsmithError] = Stopped) -> None:
        self._at, self._why = at, why
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    @property
    def left(self) -> float:
        """Return the seconds left: 0 where it is over, infinity where there is no end in sight."""
        return 0.0 if self._ended.is_set() else max(self._at - monotonic(), 0.0)

    def check(self) -> None:
        """Raise the error of this lifetime where it is over."""
        if not self.left:
            raise self._why()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than this lifetime. Raises its error where it is over then."""
        self._ended.wait(min(seconds, self.left))
        self.check()

    def hold(self, connection: socket.socket) -> None:
        """Take in a connection that a request goes over: `end` ends it. Raises the error where it is too late."""
        with self._lock:
            self.check()
            self._open.add(connection)

    def release(self, connection: socket.socket) -> None:
        """Forget a connection, before it is closed or after its answer came. Safe to repeat."""
        with self._lock:
            self._open.discard(connection)

    def end(self) -> None:
        """End all requests: once this returns, no byte of any of them is sent any more, whatever their threads do.

        A thread that waits for its connection is woken up with an error; one that is about to send fails then. What the
        kernel has not sent is dropped. So it holds for a process that is frozen after this and runs again later.
        """
        with self._lock:
            self._ended.set()
            for connection in self._open:
                _cut(connection)
            self._open.clear()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the requests of the block made within this lifetime: by this thread, and by what copies its context."""
        before = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(before)


_WITHOUT_END: Final = Lifetime()
_CURRENT: Final[ContextVar[Lifetime]] = ContextVar("lifetime")


def lifetime() -> Lifetime:
    """Return the lifetime that applies here; by default one without an end."""
    return _CURRENT.get(_WITHOUT_END)


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread may be using.

    Its descriptor must not be free for another file before that thread lets go of it, so it becomes /dev/null: to send
    to that, or to receive from it, is an error. Nothing else refers to the connection then, so the kernel drops it.
    """
    number = connection.fileno()
    if number < 0:
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
    with suppress(OSError):  # wakes up a thread that waits; the method of the base, for TLS has one that says good-bye
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    with suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(null, number, inheritable=False)
        finally:
            os.close(null)


class Closing:
    """Something to be closed. What a `with` block is given is itself."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds. Safe to repeat."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
