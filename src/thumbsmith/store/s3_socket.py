"""A socket with limits: of time, of bytes, and of the lifetime of a request."""

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

# Bytes that are sent in one step, which has its own time limit.
SEND_BYTES: Final = 64 << 10


class ResponseTooLong(HTTPException):
    """The server sent more bytes than were requested."""


class Exchange:
    """One request and its response: the time that is left, and the bytes that may still come."""

    def __init__(self) -> None:
        """Begin now, in the current lifetime. Raises its error where it has ended."""
        self.lifetime: Lifetime = lifetime()
        self.lifetime.check()
        self.max_bytes: float = math.inf
        self._began = monotonic()
        self.moved = 0  # bytes sent and received
        self._received = 0

    def timeout(self, limit: float | None = None) -> float:
        """Return the seconds that the next step may take. Raises the error of the lifetime, or TimeoutError."""
        self.lifetime.check()
        slow = self._began + limits.REQUEST_TIMEOUT_SECONDS + self.moved / limits.MIN_BYTES_PER_SECOND - monotonic()
        if slow <= 0:
            more = f"1 more for every {limits.MIN_BYTES_PER_SECOND >> 10} KiB"
            raise TimeoutError(f"too slow: a request may take {limits.REQUEST_TIMEOUT_SECONDS:g} seconds and {more}")
        return max(min(slow, self.lifetime.left, limits.READ_TIMEOUT_SECONDS if limit is None else limit), 0.001)

    def sent(self, size: int) -> None:
        """Count bytes that were sent."""
        self.moved += size

    def received(self, size: int) -> None:
        """Count bytes that were received. Raises ResponseTooLong."""
        self.moved += size
        self._received += size
        if self._received > self.max_bytes:
            raise ResponseTooLong("the answer is longer than requested")


class LimitedSocket:
    """The part of a socket that http.client uses: `sendall`, and `makefile` to read from it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._readers = 0
        self._closed = False
        self.exchange: Exchange | None = None

    def begin(self, exchange: Exchange) -> None:
        """Begin a request over this connection. Raises the error of the lifetime."""
        exchange.lifetime.hold(self._connection)
        self.exchange = exchange

    def end(self) -> None:
        """End the exchange after its whole response."""
        if self.exchange:
            self.exchange.lifetime.release(self._connection)
            self.exchange = None

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._connection.fileno()

    def sendall(self, data: bytes) -> None:
        """Send all bytes. Raises OSError, TimeoutError, or the error of the lifetime."""
        rest = memoryview(data)
        while rest:
            size = self._step(lambda piece=rest[:SEND_BYTES]: self._connection.send(piece))  # type: ignore[misc]
            self._current.sent(size)
            rest = rest[size:]

    def receive(self, buffer: Any) -> int:
        """Receive into a buffer; return the number of bytes, 0 at the end. Raises the same as `sendall`."""
        size = self._step(lambda: self._connection.recv_into(buffer))
        self._current.received(size)
        return size

    def makefile(self, mode: str, *_: object) -> io.BufferedReader:  # noqa: ARG002 - what http.client calls
        """Return a file to read from. The connection is closed once it and its files are closed."""
        self._readers += 1
        return io.BufferedReader(_SocketReader(self))

    def reader_closed(self) -> None:
        """Count a file of this connection that was closed."""
        self._readers -= 1
        self._close()

    def close(self) -> None:
        """Close the connection once all of its files are closed."""
        self._closed = True
        self._close()

    @property
    def _current(self) -> Exchange:
        if self.exchange is None:
            raise OSError("no request has begun")
        return self.exchange

    def _step(self, step: Callable[[], int]) -> int:
        """Take one step within its time. Raises the error of the lifetime where the step fails because of its end."""
        exchange = self._current
        try:
            self._connection.settimeout(exchange.timeout())
            return step()
        except TimeoutError as problem:
            exchange.timeout()
            raise TimeoutError(f"nothing was sent or received for {limits.READ_TIMEOUT_SECONDS:g} seconds") from problem
        except OSError:
            exchange.lifetime.check()
            raise

    def _close(self) -> None:
        if self._closed and not self._readers:
            self.end()
            self._connection.close()


class _SocketReader(io.RawIOBase):
    def __init__(self, limited: LimitedSocket) -> None:
        self._limited = limited

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._limited.receive(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._limited.reader_closed()


def open_connection(host: str, port: int, exchange: Exchange) -> socket.socket:
    """Return a connection to the first address of a host that accepts one. Raises OSError, the lifetime's error."""
    problem: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        # The head and the body of a PUT are two sends: without this, the body waits for the acknowledgment of the head,
        # which Linux delays by 40 ms (tcp(7), TCP_NODELAY; RFC 1122, section 4.2.3.2).
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return _within_lifetime(connection, exchange, lambda each=connection, at=address: each.connect(at))  # type: ignore[misc]
        except OSError as failed:
            problem = failed
            exchange.timeout()
    raise problem


def start_tls(connection: socket.socket, host: str, context: ssl.SSLContext, exchange: Exchange) -> socket.socket:
    """Return the connection with TLS. Raises OSError, the error of the lifetime."""
    wrapped = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    return _within_lifetime(wrapped, exchange, wrapped.do_handshake)


def _within_lifetime(connection: socket.socket, exchange: Exchange, step: Callable[[], object]) -> socket.socket:
    """Take a step of making a connection, which ends with the lifetime; return the connection."""
    try:
        exchange.lifetime.hold(connection)
        try:
            connection.settimeout(exchange.timeout(limits.CONNECT_TIMEOUT_SECONDS))
            step()
        finally:
            exchange.lifetime.release(connection)
    except BaseException:
        connection.close()
        raise
    return connection
