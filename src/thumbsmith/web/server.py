"""uvicorn, with bounds on what a connection may cost before and after a request."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thumbsmith.errors import UsageError
from thumbsmith.web.app import SECURITY

# Connections at once; one more is told so and closed.
MAX_CONNECTIONS: Final = 512

# Seconds until the head of a request is here, from when it begins or the connection does; and until a client that was
# answered before it had sent its body has sent it.
HEAD_SECONDS: Final = 10.0

# Bytes of a head: as many as nginx takes by default (https://nginx.org/en/docs/http/ngx_http_core_module.html).
MAX_HEAD: Final = 32 << 10
MAX_HEADERS: Final = 100

# Seconds in which a client has to take a piece of an answer (256 KiB at most).
TAKE_SECONDS: Final = 20.0

# Seconds that a connection without a request is kept, and that requests are given to end when the server does.
KEEP_ALIVE: Final = 5
GRACE: Final = 5


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for a head, for a body after the answer, and for a reader."""

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _head = 0  # bytes of a head that is not whole yet
    _inside = False  # of a message whose head was whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "Service Unavailable")
        else:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        for timer in (self._deadline, self._stalled):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and see that what is not yet, or no longer, part of a request ends."""
        if self.transport.is_closing():
            return
        self._head += len(data)
        super().data_received(data)
        if self._inside:
            self._head = 0
        elif self._head > MAX_HEAD:
            self._refuse(431, "Request Header Fields Too Large")
        if self._waiting and not self._deadline and not self.transport.is_closing():
            self._expect()

    def on_message_begin(self) -> None:
        """Expect a head."""
        super().on_message_begin()
        if not self._deadline:
            self._expect()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note one header, unless there are too many."""
        if len(self.headers) < MAX_HEADERS:
            super().on_header(name, value)
        elif not self.transport.is_closing():
            self._refuse(431, "Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """Stop the clock for the head."""
        self._inside = True
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect a head again, or nothing."""
        self._inside = False
        self._head = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the clock for what the client has not taken."""
        super().pause_writing()
        self._stalled = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop it."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP."""
        del msg
        self._refuse(400, "Bad Request")

    @property
    def _waiting(self) -> bool:
        """Return whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _refuse(self, status: int, phrase: str) -> None:
        body = f'{{"type": "about:blank", "title": "{phrase}", "status": {status}}}'
        headers = {
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **SECURITY,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n{body}".encode())
        self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises UsageError where that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{host} port {port}: expected an address to listen on, found: {words}") from error


def server(app: ASGIApp) -> uvicorn.Server:
    """Return a server that runs until SIGINT or SIGTERM, which it raises again in the end."""
    settings: dict[str, Any] = {"access_log": False, "server_header": False, "proxy_headers": False}
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        **settings,
    )
    return uvicorn.Server(config)
