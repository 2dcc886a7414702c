"""How long requests last, until a deadline or a stop; and resources, until the end of a `with` block."""

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
from typing import TYPE_CHECKING, Any, Final, Self
from weakref import WeakSet

from thumbsmith.errors import Stopped, ThumbsmithError

if TYPE_CHECKING:
    from concurrent.futures import Future

# With this value of SO_LINGER, close drops what is not sent yet and resets the connection: socket(7).
_DROP_UNSENT: Final = struct.pack("ii", 1, 0)

# A thread that waits for another one looks this often whether its lifetime has ended.
_LOOK_SECONDS: Final = 0.25


class Lifetime:
    """The time in which requests may be made, from any number of threads.

    It ends at `at`, by time.monotonic(), when `end` is called, or with the lifetime `outer`. A later request raises the
    error that `why` returns.
    """

    def __init__(
        self, at: float = math.inf, why: Callable[[], ThumbsmithError] = Stopped, *, outer: Lifetime | None = None
    ) -> None:
        self._at, self._why = at, why
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._inner: WeakSet[Lifetime] = WeakSet()
        if outer:
            outer._add(self)

    def _add(self, inner: Lifetime) -> None:
        with self._lock:
            self._inner.add(inner)
            is_over = not self.left
        if is_over:
            inner.end()

    @property
    def left(self) -> float:
        """Return the seconds until the end: 0 after it, infinity if there is no deadline."""
        return 0.0 if self._ended.is_set() else max(self._at - monotonic(), 0.0)

    def check(self) -> None:
        """Raise the error of this lifetime if it has ended."""
        if not self.left:
            raise self._why()

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the end. Raises the error of this lifetime if it has ended then."""
        self._ended.wait(min(seconds, self.left))
        self.check()

    def hold(self, connection: socket.socket) -> None:
        """Register the connection of a request, for `end` to cut. Raises the error if this lifetime has ended."""
        with self._lock:
            self.check()
            self._open.add(connection)

    def release(self, connection: socket.socket) -> None:
        """Unregister a connection, before it is closed or after its response. Safe to repeat."""
        with self._lock:
            self._open.discard(connection)

    def end(self) -> None:
        """End all requests. After this returns, no more bytes of them are sent.

        A thread that waits for its connection gets an error, and so does a thread that sends later. The kernel drops
        what it has not sent yet. This is also true for a process that is frozen after this and continues later, as a
        Lambda function is.
        """
        with self._lock:
            self._ended.set()
            for connection in self._open:
                _cut(connection)
            self._open.clear()
            inner = tuple(self._inner)
        for each in inner:
            each.end()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply this lifetime to the requests in the block: those of this thread, and of copies of its context."""
        before = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(before)


_UNLIMITED: Final = Lifetime()
_CURRENT: Final[ContextVar[Lifetime]] = ContextVar("lifetime")


def lifetime() -> Lifetime:
    """Return the lifetime that applies here. By default it has no end."""
    return _CURRENT.get(_UNLIMITED)


def wait(future: Future[Any], seconds: float = math.inf) -> None:
    """Wait until a future is done, or for this time. Raises the error of the current lifetime if it ends first."""
    end = monotonic() + seconds
    while not future.done() and monotonic() < end:
        lifetime().check()
        with suppress(TimeoutError):
            future.exception(min(_LOOK_SECONDS, end - monotonic()))


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread may be using.

    The number of its descriptor must not be reused while that thread has it. So the descriptor becomes /dev/null, where
    send and receive are errors. Nothing else refers to the connection then, and the kernel drops it.
    """
    number = connection.fileno()
    if number < 0:
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_UNSENT)
    with suppress(OSError):  # wakes a waiting thread; not TLS's own method, which sends a close message
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    with suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(null, number, inheritable=False)
        finally:
            os.close(null)


class Closing:
    """A resource that a `with` block closes at its end."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release the resource. Safe to repeat."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
