"""Connections to S3, kept open for all threads of a process."""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from thumbsmith.store.s3_attempts import CONNECT_TIMEOUT, CONNECTIONS, READ_TIMEOUT
from thumbsmith.store.s3_signing import Request

# What a connection raises that cannot be made, or breaks off.
BROKEN: Final = (OSError, HTTPException)


class Unreachable(Exception):
    """No connection could be made: one line says why."""


class Connections:
    """Connections by TLS, or without where not `secure`, to any number of hosts.

    `authorities` is the file of those that certificates are checked against, None for those that AWS's tools trust.
    """

    def __init__(self, *, secure: bool, authorities: str | None = None) -> None:
        self._secure = secure
        self._authorities = authorities
        self._idle: dict[str, deque[HTTPConnection]] = {}

    def ask(self, request: Request, headers: dict[str, str]) -> Answer:
        """Send a request; return the answer, of which the body is still to be read. Raises Unreachable or `BROKEN`."""
        connection = self._take(request.host)
        target = f"{request.path}?{request.query}" if request.query else request.path
        try:
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if request.method == "PUT":
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body or None)
            return Answer(connection.getresponse(), connection, self._idle[request.host])
        except BaseException:
            connection.close()
            raise

    def _take(self, host: str) -> HTTPConnection:
        """Return a connection that was kept and that the server has not ended meanwhile, else a new one."""
        idle = self._idle.setdefault(host, deque(maxlen=CONNECTIONS))
        while idle:
            connection = idle.pop()
            if not _is_readable(connection.sock):  # what can be read before anything was asked is the end
                return connection
            connection.close()
        return self._new(host)

    def _new(self, host: str) -> HTTPConnection:
        connection = HTTPConnection(host, timeout=CONNECT_TIMEOUT)
        if self._secure:
            connection = HTTPSConnection(host, timeout=CONNECT_TIMEOUT, context=self._tls)
        try:
            connection.connect()
        except OSError as problem:
            connection.close()
            raise Unreachable(problem.strerror or str(problem)) from problem
        connection.sock.settimeout(READ_TIMEOUT)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
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


class Answer:
    """The answer to one request. What is read to its end gives its connection back; to `close` ends both."""

    def __init__(self, response: HTTPResponse, connection: HTTPConnection, idle: deque[HTTPConnection]) -> None:
        self.status, self.reason = response.status, response.reason
        self.headers = dict(response.headers.items())
        self._response, self._connection, self._idle = response, connection, idle
        self._kept = False

    def read(self) -> bytes:
        """Return the whole body. Raises `BROKEN` where it breaks off."""
        body = self._response.read()
        if self._connection.sock and not self._response.will_close and not self._kept:
            self._kept = True
            self._idle.append(self._connection)
        return body

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        if not self._kept:
            self._response.close()
            self._connection.close()


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
