"""Ways for an upload into a source: straight to S3 by a presigned request, else by a URL of ours that works once.

`/uploads`: leave to upload one image, and where it is not S3 that takes it, the upload itself.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, OrderedDict
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from thumbsmith.errors import StoreError
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.protocol import unusable_key
from thumbsmith.store import Headers, Store
from thumbsmith.store.base import PendingObject
from thumbsmith.web.http import Problem, encoded, read_field, read_object
from thumbsmith.web.library import Keeping, Library

# URLs given out and not used yet; the oldest is taken back for a new one.
_MAX_OPEN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave to upload one file: under this key, of this media type and so many bytes, until a time of the clock."""

    key: str
    type: str
    bytes: int
    replace: bool
    until: float


@dataclass(slots=True)
class Tickets:
    """Grants by the secret in their URL. Each is given back once."""

    _open: OrderedDict[str, Grant] = field(default_factory=OrderedDict)  # in the order in which they run out
    _keys: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def issue(self, grant: Grant) -> str:
        """Return a secret for the grant."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._open[ticket] = grant
            self._keys[grant.key] += 1
            while len(self._open) > _MAX_OPEN:
                self._forget(next(iter(self._open)))
        return ticket

    def peek(self, ticket: str) -> Grant | None:
        """Return the grant, or None where it was never given, was used, or has run out."""
        with self._lock:
            grant = self._open.get(ticket)
        return grant if grant and time.time() < grant.until else None

    def use(self, ticket: str) -> Grant | None:
        """Return the grant and forget it, or None as `peek` does."""
        with self._lock:
            grant = self._forget(ticket)
        return grant if grant and time.time() < grant.until else None

    def holds(self, key: str) -> bool:
        """Return whether an upload under this key is still open."""
        now = time.time()
        with self._lock:
            while self._open and next(iter(self._open.values())).until <= now:
                self._forget(next(iter(self._open)))
            return key in self._keys

    def _forget(self, ticket: str) -> Grant | None:
        grant = self._open.pop(ticket, None)
        if grant:
            self._keys[grant.key] -= 1
            if not self._keys[grant.key]:
                del self._keys[grant.key]
        return grant


def granted(store: Store, tickets: Tickets, grant: Grant, seconds: int) -> dict[str, Any]:
    """Return how the upload is to be made: method, URL, headers. Raises StoreError."""
    presigned = store.presigned_put(grant.key, grant.type, grant.bytes, replace=grant.replace, seconds=seconds)
    if presigned:
        return {"method": "PUT", "url": presigned.url, "headers": dict(presigned.headers)}
    return {
        "method": "PUT",
        "url": f"/uploads/{tickets.issue(grant)}",
        "headers": {"Content-Type": grant.type},
    }


def free_key(store: Store, tickets: Tickets, name: str) -> str:
    """Return the name, or where it is taken the same with a number before its extension. Raises StoreError."""
    folder, slash, last = name.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    for number in range(1, 100):
        key = name if number == 1 else f"{folder}{slash}{stem}-{number}{dot}{extension}"
        if not tickets.holds(key) and not store.head(key):
            return key
    return f"{folder}{slash}{stem}-{secrets.token_hex(6)}{dot}{extension}"


def conflict(error: StoreError) -> bool:
    """Return whether the store cannot hold the file where it belongs, whatever is tried."""
    return not error.transient


# What browsers call the formats that are read; anything else is refused before a byte is sent.
TYPES: Final = (
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
)

FIELDS: Final = frozenset({"name", "type", "bytes", "replace"})

# What arrives is handed to the disk in pieces of this many bytes.
PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Uploads:
    """The endpoints of `/uploads`."""

    library: Library
    keeper: Keeping
    tickets: Tickets
    seconds: int

    async def create(self, request: Request) -> Response:
        """Answer with a key and how to upload the image: 201; 400, 413, 415, 422 where it cannot be taken."""
        content = await read_object(request, FIELDS)
        name, kind, size = (
            read_field(content, "name", str),
            read_field(content, "type", str),
            read_field(content, "bytes", int),
        )
        replace = read_field(content, "replace", bool, default=False)
        self._check(name, kind, size)
        answer = await self.library.run(self._grant, name, kind, size, replace)
        headers = {"Location": f"/images/{encoded(answer['key'])}", "Cache-Control": "no-store"}
        return JSONResponse(answer, 201, headers)

    async def receive(self, request: Request) -> Response:
        """Take the bytes of one upload: 201; 404 for a URL that was used or ran out; 400, 409, 413, 415."""
        ticket = request.path_params["ticket"]
        grant = self.tickets.peek(ticket)
        if grant is None:
            raise Problem(404, "This upload was made already, or its time is over.", code="not_found")
        _check_headers(request, grant)
        if self.tickets.use(ticket) is None:
            raise Problem(404, "This upload is being made already.", code="not_found")
        with closing(
            await self.library.run(self.library.source.receive, grant.key, Headers(content_type=grant.type))
        ) as file:
            await self._store(request, grant, file)
        self.keeper.changed(grant.key)
        return JSONResponse({"key": grant.key}, 201, {"Location": f"/images/{encoded(grant.key)}"})

    def _check(self, name: str, kind: str, size: int) -> None:
        """Raise Problem where no image of this name, type and size can be taken."""
        library, most = self.library, self.library.recipe.limits.max_bytes
        if kind not in TYPES:
            raise Problem(415, f"type: expected one of {', '.join(TYPES)}.", code="unsupported_type")
        if size < 1:
            raise Problem(400, "bytes: expected 1 or more.", code="bad_body")
        if size > most:
            raise Problem(413, f"bytes: expected {most} or fewer.", code="too_many_bytes")
        if not is_source(name, library.recipe.selection):
            detail = "name: expected one that the recipe selects, without a dot first in any part, and no / at the end."
            raise Problem(422, detail, code="unsupported_key")
        if not library.source.can_hold(name) or unusable_key(name, library.recipe, library.destination.longest_key):
            detail = "name: it is too long, or it is no path that can be kept here."
            raise Problem(422, detail, code="unsupported_key")

    def _grant(self, name: str, kind: str, size: int, replace: bool) -> dict[str, Any]:
        source = self.library.source
        key = name if replace else free_key(source, self.tickets, name)
        until = time.time() + self.seconds
        grant = Grant(key=key, type=kind, bytes=size, replace=replace, until=until)
        return {"key": key, "upload": granted(source, self.tickets, grant, self.seconds), "expires": int(until)}

    async def _store(self, request: Request, grant: Grant, file: PendingObject) -> None:
        """Write what arrives, whole or not at all. Raises Problem."""
        try:
            await self._write(request, grant, file)
            done = await self.library.run(lambda: file.commit(replace=grant.replace))
        except ClientDisconnect:
            raise Problem(400, "The upload broke off.", code="bad_body") from None
        except StoreError as error:
            if not conflict(error):
                raise
            raise Problem(409, str(error), code="conflict") from error
        if not done:
            raise Problem(409, "There is an image of this name by now.", code="conflict")

    async def _write(self, request: Request, grant: Grant, file: PendingObject) -> None:
        arrived, pending = 0, bytearray()
        async for piece in request.stream():
            arrived += len(piece)
            if arrived > grant.bytes:
                raise Problem(413, f"Expected {grant.bytes} bytes, found more.", code="too_many_bytes")
            pending += piece
            if len(pending) >= PIECE:
                await self.library.run(file.write, bytes(pending))
                pending.clear()
        if arrived < grant.bytes:
            raise Problem(400, f"Expected {grant.bytes} bytes, found {arrived}.", code="bad_body")
        await self.library.run(file.write, bytes(pending))


def _check_headers(request: Request, grant: Grant) -> None:
    """Raise Problem where the upload is not the one that was asked for. The URL then still works."""
    if request.headers.get("content-type", "").strip().lower() != grant.type:
        raise Problem(415, f"Content-Type: expected {grant.type}.", code="unsupported_type")
    length = request.headers.get("content-length", str(grant.bytes))
    if not (length.isascii() and length.isdigit()) or int(length[:18]) < grant.bytes:
        raise Problem(400, f"Content-Length: expected {grant.bytes}.", code="bad_body")
    if int(length[:18]) > grant.bytes:
        raise Problem(413, f"Content-Length: expected {grant.bytes}.", code="too_many_bytes")
