"""`/uploads`: leave to upload one image, and where it is not S3 that takes it, the upload itself."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from thumbsmith.errors import StoreError
from thumbsmith.protocol import unusable_key
from thumbsmith.recipe.selection import is_source
from thumbsmith.web.addresses import encoded
from thumbsmith.web.bodies import field, read_object
from thumbsmith.web.intake import Tickets, Writer, can_hold, conflict, free_key, granted, writer
from thumbsmith.web.keeping import Keeping
from thumbsmith.web.library import Library
from thumbsmith.web.presigned import Grant
from thumbsmith.web.problems import Problem

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
        name, kind, size = field(content, "name", str), field(content, "type", str), field(content, "bytes", int)
        replace = field(content, "replace", bool, default=False)
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
        with closing(await self.library.run(writer, self.library.source, grant)) as file:
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
        if not can_hold(library.source, name) or unusable_key(name, library.recipe, library.destination.longest_key):
            detail = "name: it is too long, or it is no path that can be kept here."
            raise Problem(422, detail, code="unsupported_key")

    def _grant(self, name: str, kind: str, size: int, replace: bool) -> dict[str, Any]:
        source = self.library.source
        key = name if replace else free_key(source, self.tickets, name)
        until = time.time() + self.seconds
        grant = Grant(key=key, type=kind, bytes=size, replace=replace, until=until)
        return {"key": key, "upload": granted(source, self.tickets, grant, self.seconds), "expires": int(until)}

    async def _store(self, request: Request, grant: Grant, file: Writer) -> None:
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

    async def _write(self, request: Request, grant: Grant, file: Writer) -> None:
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
