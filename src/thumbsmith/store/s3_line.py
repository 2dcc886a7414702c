"""A connection's socket that keeps to limits: of time, of bytes, and of the lifetime that a request is made in."""

from __future__ import annotations

import io
import math
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPException
from time import monotonic
from typing import Any, Final

from thumbsmith.lifetime import Lifetime, lifetime
from thumbsmith.store import s3_common as limits

# Bytes that are sent at once: for each of them a slow connection is given its time.
PIECE: Final = 64 << 10


class TooLong(HTTPException):
    """More came than was asked for."""


class Exchange:
    """One request and its answer: what is left of its time, and of the bytes that may come."""

    def __init__(self) -> None:
        """Begin now, in the lifetime that applies here. Raises its error where it is over."""
        self.lifetime: Lifetime = lifetime()
        self.lifetime.check()
        self.largest: float = math.inf
        self._began = monotonic()
        self.moved = 0  # bytes that came or went
        self._received = 0

    def timeout(self, most: float | None = None) -> float:
        """Return the seconds that the next step may take. Raises the lifetime's error, or TimeoutError."""
        self.lifetime.check()
        slow = self._began + limits.REQUEST_TIMEOUT + self.moved / limits.SLOWEST - monotonic()
        if slow <= 0:
            seconds = f"{limits.REQUEST_TIMEOUT:g} seconds and 1 more for every {limits.SLOWEST >> 10} KiB"
            raise TimeoutError(f"too slow: a request may take {seconds}")
        return max(min(slow, self.lifetime.left, limits.READ_TIMEOUT if most is None else most), 0.001)

    def sent(self, size: int) -> None:
        """Take note of bytes that went."""
        self.moved += size

    def received(self, size: int) -> None:
        """Take note of bytes that came. Raises TooLong."""
        self.moved += size
        self._received += size
        if self._received > self.largest:
            raise TooLong("the answer is longer than what was asked for")


class Line:
    """What http.client needs of a socket: to send all of something, and to read from it as from a file."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._readers = 0
        self._closed = False
        self.exchange: Exchange | None = None

    def begin(self, exchange: Exchange) -> None:
        """Make a request over this connection. Raises the lifetime's error."""
        exchange.lifetime.hold(self._connection)
        self.exchange = exchange

    def end(self) -> None:
        """End the exchange: all of its answer is here. Raises the lifetime's error where the connection was ended."""
        if self.exchange:
            self.exchange.lifetime.release(self._connection)
            self.exchange = None

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._connection.fileno()

    def sendall(self, data: bytes) -> None:
        """Send all of it. Raises OSError, TimeoutError, or the lifetime's error."""
        rest = memoryview(data)
        while rest:
            size = self._step(lambda piece=rest[:PIECE]: self._connection.send(piece))  # type: ignore[misc]
            self._current.sent(size)
            rest = rest[size:]

    def receive(self, buffer: Any) -> int:
        """Fill a buffer as far as something is there; return the number of bytes, 0 at the end. Raises as `sendall`."""
        size = self._step(lambda: self._connection.recv_into(buffer))
        self._current.received(size)
        return size

    def makefile(self, mode: str, *_: object) -> io.BufferedReader:  # noqa: ARG002 - what http.client calls
        """Return a file of what comes. The connection is closed once it is, and the file too."""
        self._readers += 1
        return io.BufferedReader(_Incoming(self))

    def let_go(self) -> None:
        """Take note that a file of this connection was closed."""
        self._readers -= 1
        self._close()

    def close(self) -> None:
        """Close the connection once all of its files are closed."""
        self._closed = True
        self._close()

    @property
    def _current(self) -> Exchange:
        if self.exchange is None:
            raise OSError("no request is under way")
        return self.exchange

    def _step(self, step: Callable[[], int]) -> int:
        """Take one step in its time. What fails because the lifetime is over says so."""
        exchange = self._current
        try:
            self._connection.settimeout(exchange.timeout())
            return step()
        except TimeoutError as problem:
            exchange.timeout()
            raise TimeoutError(f"nothing came or went for {limits.READ_TIMEOUT:g} seconds") from problem
        except OSError:
            exchange.lifetime.check()
            raise

    def _close(self) -> None:
        if self._closed and not self._readers:
            self.end()
            self._connection.close()


class _Incoming(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._line.let_go()


def reach(host: str, port: int, exchange: Exchange) -> socket.socket:
    """Return a connection to the first address of a host that answers. Raises OSError, the lifetime's error."""
    problem: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            return _held(connection, exchange, lambda each=connection, at=address: each.connect(at))  # type: ignore[misc]
        except OSError as failed:
            problem = failed
            exchange.timeout()
    raise problem


def secured(connection: socket.socket, host: str, context: ssl.SSLContext, exchange: Exchange) -> socket.socket:
    """Return a connection made secure by TLS. Raises OSError, the lifetime's error."""
    wrapped = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    return _held(wrapped, exchange, wrapped.do_handshake)


def _held(connection: socket.socket, exchange: Exchange, step: Callable[[], object]) -> socket.socket:
    """Take a step of making a connection, which ends with the lifetime."""
    try:
        exchange.lifetime.hold(connection)
        try:
            connection.settimeout(exchange.timeout(limits.CONNECT_TIMEOUT))
            step()
        finally:
            exchange.lifetime.release(connection)
    except BaseException:
        connection.close()
        raise
    return connection
