"""A small S3 in memory that a test can make answer wrongly: it writes bytes to the connection itself."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Asked:
    """One request. `kind` is LIST for a listing, else the method; `key` is without the bucket."""

    kind: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: socket.socket

    def send(self, data: bytes) -> None:
        """Send bytes unchanged."""
        self.connection.sendall(data)


@dataclass
class Odd:
    """The objects, the requests so far, and a handler that may answer instead; it returns False where it does not."""

    address: str
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    oddly: Callable[[Asked], object] = lambda _: False
    over: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """End all wrong answers that are being sent, and start again."""
        self.over.set()
        self.objects, self.asked, self.oddly, self.over = {}, [], lambda _: False, threading.Event()

    def answer(self, asked: Asked) -> bytes:
        """Return the normal answer."""
        if asked.kind == "LIST":
            keys = sorted(key for key in self.objects if key.startswith(asked.query.get("prefix", "")))
            return reply(200, listing(*keys, sizes={key: len(self.objects[key]) for key in keys}))
        if asked.kind == "PUT":
            self.objects[asked.key] = asked.body
            return reply(200, ETag=etag(asked.body))
        if asked.kind == "DELETE":
            self.objects.pop(asked.key, None)
            return reply(204)
        data = self.objects.get(asked.key)
        if data is None:
            return reply(404, b"" if asked.kind == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>")
        if asked.kind == "HEAD":
            return head(200, {"ETag": etag(data), "Content-Length": str(len(data))})
        first, last = asked.headers.get("range", f"bytes=0-{len(data)}").removeprefix("bytes=").split("-")
        part = data[int(first) : int(last) + 1]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return reply(206, part, **{"ETag": etag(data), "Content-Range": span})


def etag(data: bytes) -> str:
    """Return the ETag of an object."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def head(status: int, fields: dict[str, str]) -> bytes:
    """Return status line and headers of a response."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def reply(status: int, body: bytes = b"", **fields: str) -> bytes:
    """Return a whole response."""
    return head(status, fields | {"Content-Length": str(len(body))}) + body


def listing(*keys: str, token: str | None = None, sizes: dict[str, int] | None = None, size: str = "1") -> bytes:
    """Return a page of a listing; `token` means that there is another one."""
    found = sizes or {}
    objects = "".join(
        f'<Contents><Key>{escape(quote(key))}</Key><ETag>"e"</ETag><Size>{found.get(key, size)}</Size></Contents>'
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult><EncodingType>url</EncodingType>{objects}{more}</ListBucketResult>".encode()


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        odd: Odd = self.server.odd  # type: ignore[attr-defined]
        with contextlib.suppress(OSError, ValueError):
            while asked := self._asked():
                odd.asked.append(asked)
                if odd.oddly(asked) is False:
                    asked.send(odd.answer(asked))

    def _asked(self) -> Asked | None:
        line = self.rfile.readline().decode("latin-1").split()
        if not line:
            return None
        fields: dict[str, str] = {}
        while (each := self.rfile.readline().decode("latin-1").strip()) != "":
            name, _, value = each.partition(":")
            fields[name.lower()] = value.strip()
        body = self.rfile.read(int(fields.get("content-length", "0")))
        parts = urlsplit(line[1])
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        kind = "LIST" if "list-type" in query else line[0]
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        return Asked(kind, key, query, fields, body, self.connection)


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that closed the connection."""


@contextlib.contextmanager
def running() -> Iterator[Odd]:
    """Run the server on a free port of 127.0.0.1."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        odd = Odd(f"http://127.0.0.1:{server.server_address[1]}")
        server.odd = odd  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield odd
        finally:
            odd.over.set()
            server.shutdown()
            thread.join()
