"""The HTTP server of `thumbsmith serve`: uvicorn, with limits on what one connection may cost.

uvicorn itself waits without limit for the head of a request, for the rest of a body after the answer, and for a client
that does not read the answer.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thumbsmith.errors import UsageError
from thumbsmith.web.app import SECURITY_HEADERS
from thumbsmith.web.http import PROBLEM_MEDIA_TYPE

# Connections at once. A further one gets 503.
MAX_CONNECTIONS: Final = 512

# Connections of one address that wait for a request. A further one closes the one that waited longest. A browser opens
# six: https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/Connection_management_in_HTTP_1.x
MAX_IDLE_PER_ADDRESS: Final = 64

# How long the head of a request may take, from its first byte or from the start of the connection. Also how long a
# client may continue to send a body after it was answered.
HEAD_SECONDS: Final = 10.0

# The size of a head: the default of nginx (https://nginx.org/en/docs/http/ngx_http_core_module.html).
MAX_HEAD_BYTES: Final = 32 << 10
MAX_HEADERS: Final = 100

# How long a client may take to read one piece of an answer: at most 256 KiB.
READ_ANSWER_SECONDS: Final = 20.0

# How long a connection stays open without a request.
KEEP_ALIVE_SECONDS: Final = 5

# How long running requests may continue when the server stops.
SHUTDOWN_SECONDS: Final = 5


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises UsageError if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{host} port {port}: expected an address to listen on, found: {reason}") from error


def create_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server that runs until SIGINT or SIGTERM. It raises the signal again when it has stopped."""
    settings: dict[str, Any] = {"access_log": False, "server_header": False, "proxy_headers": False}
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        **settings,
    )
    return uvicorn.Server(config)


_idle_numbers = itertools.count(1)


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with the limits above."""

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _idle_number = 0  # counts up; several connections may become idle within one tick of the clock
    _head_bytes = 0  # received of a head that is not complete
    _is_in_body = False  # the head of the current request is complete, its body is not

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first head, or refuse a connection above the limit."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)
        self._idle_number = next(_idle_numbers)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "Service Unavailable")
        else:
            self._start_head_timer()
            self._close_longest_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        for timer in (self._head_timer, self._write_timer):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and limit the size and the time of data that belongs to no request that is being answered."""
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_body:
            self._head_bytes = 0
        elif self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "Request Header Fields Too Large")
        if self._is_idle and not self._head_timer and not self.transport.is_closing():
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """Start the timer for the head."""
        super().on_message_begin()
        if not self._head_timer:
            self._start_head_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store one header, or refuse a head with too many."""
        if len(self.headers) < MAX_HEADERS:
            super().on_header(name, value)
        elif not self.transport.is_closing():
            self._refuse(431, "Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """Stop the timer for the head."""
        self._is_in_body = True
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count the bytes of the next head."""
        self._is_in_body = False
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Note when the connection became idle."""
        self._idle_number = next(_idle_numbers)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Start the timer for the client to read what was written."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(READ_ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that timer."""
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer to data that is not HTTP."""
        del msg
        self._refuse(400, "Bad Request")

    @property
    def _is_idle(self) -> bool:
        """Return whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _close_longest_idle(self) -> None:
        """Close a connection of the same address if too many of them are idle."""
        address = self.client[0] if self.client else None
        idle = [
            each
            for each in self.connections
            if isinstance(each, LimitedProtocol)
            and each._is_idle
            and not each.transport.is_closing()
            and each.client
            and each.client[0] == address
        ]
        if len(idle) > MAX_IDLE_PER_ADDRESS:
            min(idle, key=lambda each: each._idle_number).transport.close()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _refuse(self, status: int, phrase: str) -> None:
        """Answer with a problem, and close the connection."""
        body = f'{{"type": "about:blank", "title": "{phrase}", "status": {status}}}'
        headers = {
            "Content-Type": PROBLEM_MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **SECURITY_HEADERS,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n{body}".encode())
        self.transport.close()
