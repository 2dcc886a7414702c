"""A pool of connections to S3 for all threads of a process, and the signature of a request.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (signature, version 4)
"""

from __future__ import annotations

import base64
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
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from thumbsmith.store.s3_common import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_ERROR_BYTES, MAX_HEAD_BYTES
from thumbsmith.store.s3_socket import Exchange, LimitedSocket, ResponseTooLong, open_connection, start_tls

# The errors of a connection that cannot be made, or breaks off.
CONNECTION_ERRORS: Final = (OSError, HTTPException)

# RFC 9110, section 14.1.2
_RANGE: Final = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")

# RFC 9110, sections 15.3.5 and 15.3.6: success, but no content
_NO_CONTENT: Final = frozenset({204, 205})


class ConnectFailed(Exception):
    """No connection could be made. The message is one line with the reason."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and the headers that it requires."""

    host: str
    port: int
    headers: Mapping[str, str]

    @classmethod
    def at(cls, address: str) -> Self:
        """Return the proxy at http://[USER:PASSWORD@]HOST[:PORT]."""
        parts = urlsplit(address)
        headers = {}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
        return cls(parts.hostname or "", parts.port or 80, headers)


class ConnectionPool:
    """Connections to any number of hosts, with TLS if `secure`, through `proxy` if there is one.

    `authorities` is the file of certificate authorities, None for those of botocore.
    """

    def __init__(self, *, secure: bool, authorities: str | None = None, proxy: Proxy | None = None) -> None:
        self._secure = secure
        self._authorities = authorities
        self._proxy = proxy
        self._idle: dict[str, deque[_Connection]] = {}
        weakref.finalize(self, _close, self._idle)

    def send(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Send a request; return the response, whose body is not read yet.

        Raises ConnectFailed, `CONNECTION_ERRORS`, or the error of the current lifetime.
        """
        exchange = Exchange()
        connection = self._take(request.host, exchange)
        target = f"{request.path}?{request.query}" if request.query else request.path
        if self._proxy and not self._secure:
            target = f"http://{request.host}{target}"
        max_body = _max_body_bytes(headers)
        exchange.max_bytes = MAX_HEAD_BYTES + 2 * max_body  # twice, because each chunk of a body has a header
        try:
            connection.limited.begin(exchange)
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if self._proxy and not self._secure:
                for name, value in self._proxy.headers.items():
                    connection.putheader(name, value)
            if request.method in {"PUT", "POST"}:
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body or None)
            return Response(connection.response(request.method), connection, self._idle[request.host], max_body)
        except BaseException:
            connection.close()
            raise

    def _take(self, host: str, exchange: Exchange) -> _Connection:
        """Return an idle connection that the server has not closed, else a new one."""
        idle = self._idle.setdefault(host, deque(maxlen=MAX_CONNECTIONS))
        while idle:
            connection = idle.pop()
            if not _is_readable(connection.limited):  # readable before a request means closed
                return connection
            connection.close()
        return self._new(host, exchange)

    def _new(self, host: str, exchange: Exchange) -> _Connection:
        connection = _Connection(host, self._tls if self._secure else None, self._proxy)
        try:
            connection.open(exchange)
        except CONNECTION_ERRORS as problem:
            connection.close()
            exchange.lifetime.check()
            raise ConnectFailed(
                getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            ) from problem
        except BaseException:
            connection.close()
            raise
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Return the settings for TLS. Raises ConnectFailed where the file of authorities cannot be used.

        The default authorities are a file of botocore.
        """
        if self._authorities:
            try:
                return ssl.create_default_context(cafile=self._authorities)
            except OSError as problem:
                raise ConnectFailed(f"AWS_CA_BUNDLE={self._authorities}: {problem.strerror or problem}") from problem
        found = find_spec("botocore")
        bundle = Path(found.origin).with_name("cacert.pem") if found and found.origin else None
        return ssl.create_default_context(cafile=bundle if bundle and bundle.exists() else None)


class _Connection(HTTPConnection):
    """A connection with the time limit of the exchange that opens it, and of each exchange that uses it."""

    def __init__(self, host: str, tls: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        parts = urlsplit(f"//{host}")
        super().__init__(parts.hostname or "", parts.port or (443 if tls else 80))
        self.auto_open = 0
        self._tls, self._proxy = tls, proxy
        self.limited: LimitedSocket

    def open(self, exchange: Exchange) -> None:
        """Connect. Raises `CONNECTION_ERRORS`, or the error of the lifetime."""
        proxy = self._proxy
        connection = (
            open_connection(proxy.host, proxy.port, exchange)
            if proxy
            else open_connection(self.host, self.port, exchange)
        )
        if proxy and self._tls:
            line = LimitedSocket(connection)
            line.begin(exchange)
            self.set_tunnel(self.host, self.port, dict(proxy.headers))
            self.sock = line
            self._tunnel()  # type: ignore[attr-defined]
            line.end()
        if self._tls:
            connection = start_tls(connection, self.host, self._tls, exchange)
        self.limited = LimitedSocket(connection)
        self.sock = self.limited

    def response(self, method: str) -> HTTPResponse:
        """Return the response to a request that was sent. Raises `CONNECTION_ERRORS`, also for an unexpected status."""
        response = self.getresponse()
        if response.status < 200 or (method == "GET" and response.status in _NO_CONTENT):
            raise HTTPException(f"expected an answer to {method}, found status {response.status}")
        return response


class Response:
    """The response to one request. A body that is read to its end gives the connection back; `close` closes both."""

    def __init__(
        self, response: HTTPResponse, connection: _Connection, idle: deque[_Connection], max_body: int
    ) -> None:
        self.status, self.reason = response.status, response.reason
        self.headers = dict(response.headers.items())
        self._response, self._connection, self._idle = response, connection, idle
        self._max_body = max_body if response.status < 300 else MAX_ERROR_BYTES
        self._returned = False

    def read(self) -> bytes:
        """Return the whole body.

        Raises `CONNECTION_ERRORS` where it breaks off, is too slow or too long, and the error of the lifetime.
        """
        if self._returned:
            return b""
        length = self._response.length
        if length is None:
            body = self._response.read(self._max_body + 1)
        else:
            body = self._response.read() if length <= self._max_body else b""
        if max(length or 0, len(body)) > self._max_body:
            raise ResponseTooLong("the answer is longer than requested")
        if not self._response.will_close and self._response.isclosed():
            self._returned = True
            self._connection.limited.end()
            self._idle.append(self._connection)
        return body

    def close(self) -> None:
        """Close the connection, unless it was given back. May be repeated."""
        if not self._returned:
            self._response.close()
            self._connection.close()


def _max_body_bytes(headers: Mapping[str, str]) -> int:
    """Return how many bytes the body of a response may have: those of the range, if one was requested."""
    span = next((_RANGE.fullmatch(value) for name, value in headers.items() if name.lower() == "range"), None)
    return int(span[2]) - int(span[1]) + 1 if span else MAX_BODY_BYTES


def _close(idle: Mapping[str, deque[_Connection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _is_readable(limited: LimitedSocket) -> bool:
    poll = select.poll()
    poll.register(limited.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The credentials that sign requests."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it is signed and sent: path and query encoded, the query in order, header names in lower case."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


def sign_request(request: Request, keys: SigningKeys, region: str, at: float | None = None) -> dict[str, str]:
    """Return the headers of a request with its signature. `at` is in seconds since 1970, by default now."""
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
