"""A proxy for an S3 server, with the faults of networks and busy servers."""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERRORS = {
    "slow_down": (503, "SlowDown"),
    "throttled": (429, "TooManyRequests"),
    "internal": (500, "InternalError"),
    "conflict": (409, "OperationAborted"),
}
KINDS = ("slow_down", "internal", "conflict", "silence", "reset", "short", "lost_answer")

# A silent server keeps a request waiting for this long. It exceeds the timeouts of clients in tests.
SILENCE_SECONDS = 3.0

# Headers about one connection, which a proxy does not forward.
HOP_HEADERS = frozenset({"connection", "transfer-encoding", "content-length"})


class Proxy(ThreadingHTTPServer):
    """Forwards to `upstream`. A `share` of the requests gets a fault; while `out` is set, every request is reset.

    Paths that contain `denied` get the status 403. `requests` and `faults` are counters. `resumed` is the time, by the
    monotonic clock, of the first request that was forwarded (after the last reset). `connections` are the open ones.
    """

    daemon_threads = True

    def __init__(self, upstream: str, share: float = 0.0, kinds: tuple[str, ...] = KINDS) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.share, self.kinds = urlsplit(upstream), share, kinds
        self.requests, self.faults = 0, Counter[str]()
        self.out, self.ending = threading.Event(), threading.Event()
        self.denied: str | None = None
        self.resumed = 0.0
        self.connections: set[socket.socket] = set()
        self._chance, self._lock = random.Random(0), threading.Lock()

    @property
    def address(self) -> str:
        """Return the URL of the proxy."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str, path: str) -> str | None:
        """Count a request; return its fault, or None."""
        with self._lock:
            self.requests += 1
            if self.out.is_set():
                self.resumed = 0.0
                return "reset"
            self.resumed = self.resumed or time.monotonic()
            if self.denied and self.denied in path:
                return "denied"
            if self._chance.random() >= self.share:
                return None
            kind = self._chance.choice(self.kinds)
            if kind == "conflict" and method != "PUT":
                kind = "slow_down"
            self.faults[kind] += 1
            return kind

    def process_request(self, request: socket.socket, client_address: object) -> None:
        """Record the connection until it ends."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        """Forget the connection."""
        self.connections.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        """Close all connections, as a server does after a long idle time."""
        for connection in list(self.connections):
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_arguments: object) -> None:
        """Print nothing about clients that disconnected."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_any(self) -> None:
        """Apply the fault to a request, or forward it."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.server.fault(self.command, self.path):
            case "slow_down" | "internal" | "conflict" | "throttled" as kind:
                self._refuse(*ERRORS[kind])
            case "denied":
                self._refuse(403, "AccessDenied")
            case "reset":
                self._cut()
            case "silence":
                self.server.ending.wait(SILENCE_SECONDS)
                self._cut()
            case "lost_answer":
                self._forwarded(body)
                self._cut()
            case fault:
                self._answer(*self._forwarded(body), short=fault == "short")

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = do_any  # noqa: N815 - http.server calls these names

    def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, headers and body of the server's response."""
        upstream = self.server.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, short: bool) -> None:
        self.send_response_only(status)
        stated = next((value for name, value in headers if name.lower() == "content-length"), "0")
        for name, value in headers:
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", stated if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if short else body)
        self.close_connection = self.close_connection or short

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self._answer(
            status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))], text, short=False
        )

    def _cut(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@contextmanager
def running(proxy: Proxy) -> Iterator[Proxy]:
    """Run the proxy during the block."""
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.ending.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()
