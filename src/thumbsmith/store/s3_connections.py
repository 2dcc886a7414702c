"""The signature that AWS wants with a request, version 4.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

Connections to S3, kept open for all threads of a process.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import select
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from thumbsmith.store.s3_common import CONNECTIONS, LARGEST_BODY, LARGEST_ERROR, LARGEST_HEAD
from thumbsmith.store.s3_line import Exchange, Line, TooLong, reach, secured


@dataclass(frozen=True, slots=True)
class Keys:
    """Who signs."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is signed, as it will be sent: path and query encoded, the query in order; names of headers in small."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


def signed(request: Request, keys: Keys, region: str, at: float | None = None) -> dict[str, str]:
    """Return the headers that go with a request, the signature among them. `at` is in seconds since 1970, or now."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    digest = hashlib.sha256(request.body).hexdigest()
    headers = {**request.headers, "host": request.host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    canonical = "\n".join((request.method, request.path, request.query, lines, names, digest))
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"Credential={keys.access_key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return headers


# What a connection raises that cannot be made, or breaks off.
BROKEN: Final = (OSError, HTTPException)

# RFC 9110, section 14.1.2
_RANGE: Final = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")

# RFC 9110, sections 15.3.5 and 15.3.6: success, but no content
_NOTHING: Final = frozenset({204, 205})


class Unreachable(Exception):
    """No connection could be made: one line says why."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A server that connections go through, and the headers that it wants."""

    host: str
    port: int
    headers: Mapping[str, str]


class Connections:
    """Connections by TLS, or without where not `secure`, to any number of hosts.

    `authorities` is the file of those that certificates are checked against, None for those that AWS's tools trust.
    All go through `proxy`, where there is one.
    """

    def __init__(self, *, secure: bool, authorities: str | None = None, proxy: Proxy | None = None) -> None:
        self._secure = secure
        self._authorities = authorities
        self._proxy = proxy
        self._idle: dict[str, deque[_Connection]] = {}
        weakref.finalize(self, _close, self._idle)

    def ask(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Send a request; return the answer, of which the body is still to be read.

        Raises Unreachable, `BROKEN`, or the error of the lifetime that applies here.
        """
        exchange = Exchange()
        connection = self._take(request.host, exchange)
        target = f"{request.path}?{request.query}" if request.query else request.path
        if self._proxy and not self._secure:
            target = f"http://{request.host}{target}"
        largest = _largest(headers)
        exchange.largest = LARGEST_HEAD + 2 * largest  # chunks have lengths of their own
        try:
            connection.line.begin(exchange)
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if self._proxy and not self._secure:
                for name, value in self._proxy.headers.items():
                    connection.putheader(name, value)
            if request.method in {"PUT", "POST"}:
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body or None)
            return Answer(connection.answer(request.method), connection, self._idle[request.host], largest)
        except BaseException:
            connection.close()
            raise

    def _take(self, host: str, exchange: Exchange) -> _Connection:
        """Return a connection that was kept and that the server has not ended meanwhile, else a new one."""
        idle = self._idle.setdefault(host, deque(maxlen=CONNECTIONS))
        while idle:
            connection = idle.pop()
            if not _is_readable(connection.line):  # what can be read before anything was asked is the end
                return connection
            connection.close()
        return self._new(host, exchange)

    def _new(self, host: str, exchange: Exchange) -> _Connection:
        connection = _Connection(host, self._tls if self._secure else None, self._proxy)
        try:
            connection.open(exchange)
        except BROKEN as problem:
            connection.close()
            exchange.lifetime.check()
            raise Unreachable(getattr(problem, "strerror", None) or str(problem) or type(problem).__name__) from problem
        except BaseException:
            connection.close()
            raise
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Return the settings for TLS. Raises Unreachable where there are no authorities in the file given.

        What AWS's tools trust comes with botocore.
        """
        if self._authorities:
            try:
                return ssl.create_default_context(cafile=self._authorities)
            except OSError as problem:
                raise Unreachable(f"AWS_CA_BUNDLE={self._authorities}: {problem.strerror or problem}") from problem
        found = find_spec("botocore")
        bundle = Path(found.origin).with_name("cacert.pem") if found and found.origin else None
        return ssl.create_default_context(cafile=bundle if bundle and bundle.exists() else None)


class _Connection(HTTPConnection):
    """A connection that keeps to the time of the exchange that it is opened for, and of each that it is used for."""

    def __init__(self, host: str, tls: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        parts = urlsplit(f"//{host}")
        super().__init__(parts.hostname or "", parts.port or (443 if tls else 80))
        self.auto_open = 0
        self._tls, self._proxy = tls, proxy
        self.line: Line

    def open(self, exchange: Exchange) -> None:
        """Connect. Raises `BROKEN`, or the lifetime's error."""
        proxy = self._proxy
        connection = reach(proxy.host, proxy.port, exchange) if proxy else reach(self.host, self.port, exchange)
        if proxy and self._tls:
            line = Line(connection)
            line.begin(exchange)
            self.set_tunnel(self.host, self.port, dict(proxy.headers))
            self.sock = line
            self._tunnel()  # type: ignore[attr-defined]
            line.end()
        if self._tls:
            connection = secured(connection, self.host, self._tls, exchange)
        self.line = Line(connection)
        self.sock = self.line

    def answer(self, method: str) -> HTTPResponse:
        """Return the answer to a request that was sent. Raises `BROKEN`, also for a status that is no answer to it."""
        response = self.getresponse()
        if response.status < 200 or (method == "GET" and response.status in _NOTHING):
            raise HTTPException(f"expected an answer to {method}, found status {response.status}")
        return response


class Answer:
    """The answer to one request. What is read to its end gives its connection back; to `close` ends both."""

    def __init__(self, response: HTTPResponse, connection: _Connection, idle: deque[_Connection], largest: int) -> None:
        self.status, self.reason = response.status, response.reason
        self.headers = dict(response.headers.items())
        self._response, self._connection, self._idle = response, connection, idle
        self._largest = largest if response.status < 300 else LARGEST_ERROR
        self._kept = False

    def read(self) -> bytes:
        """Return the whole body. Raises `BROKEN` where it breaks off, is too slow or too long; the lifetime's error."""
        if self._kept:
            return b""
        length = self._response.length
        if length is not None and length > self._largest:
            raise TooLong("the answer is longer than what was asked for")
        body = self._response.read() if length is not None else self._response.read(self._largest + 1)
        if len(body) > self._largest:
            raise TooLong("the answer is longer than what was asked for")
        if not self._response.will_close and self._response.isclosed():
            self._kept = True
            self._connection.line.end()
            self._idle.append(self._connection)
        return body

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        if not self._kept:
            self._response.close()
            self._connection.close()


def _largest(headers: Mapping[str, str]) -> int:
    """Return how many bytes the body of an answer may have: as many as were asked for, where a range was."""
    span = next((_RANGE.fullmatch(value) for name, value in headers.items() if name.lower() == "range"), None)
    return int(span[2]) - int(span[1]) + 1 if span else LARGEST_BODY


def _close(idle: Mapping[str, deque[_Connection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _is_readable(line: Line) -> bool:
    poll = select.poll()
    poll.register(line.fileno(), select.POLLIN)
    return bool(poll.poll(0))
