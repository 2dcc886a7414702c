"""The endpoints `/uploads`: permission to upload one image, and the upload itself if the source is not S3.

Each request passes through a list of steps. A step that refuses the request raises Problem. The access middleware has
authorized `POST /uploads` before; a secret in the URL authorizes `PUT /uploads/{ticket}`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from thumbsmith.errors import StoreError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.decide import unusable_key
from thumbsmith.store import Headers
from thumbsmith.store.base import PendingObject
from thumbsmith.web.http import Problem, encode_key, read_field, read_json_object
from thumbsmith.web.library import ImageLibrary, Updater
from thumbsmith.web.root_path import url_path
from thumbsmith.web.upload_grants import Tickets, Upload, grant_upload

# The names that browsers use for the formats that can be read. Other types are refused before any byte is sent.
MEDIA_TYPES: Final = tuple(sorted(kind for each in SOURCE_FORMATS.values() for kind in each.media_types))

FIELDS: Final = frozenset({"name", "type", "bytes", "replace"})

# An upload is written to the store in pieces of this size.
PIECE_BYTES: Final = 1 << 20


@dataclass(slots=True)
class UploadContext:
    """The data that the steps of one request share. Each step may read what earlier steps have set."""

    request: Request
    upload: Upload = field(init=False)
    response: Response = field(init=False)


Step = Callable[[UploadContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class UploadEndpoints:
    """The endpoints `/uploads`. A grant is valid for `seconds`."""

    library: ImageLibrary
    updater: Updater
    tickets: Tickets
    seconds: int

    async def create(self, request: Request) -> Response:
        """Answer with a key and how to upload the image: 201; 400, 413, 415 or 422 if it would not be accepted."""
        return await _run(
            request,
            (
                self.parse,
                self.check_type,
                self.check_size,
                self.check_name,
                self.grant,
            ),
        )

    async def receive(self, request: Request) -> Response:
        """Store the body as the granted image: 201; 404 for a used or expired URL; 400, 409, 413 or 415."""
        return await _run(
            request,
            (
                self.authorize,
                self.check_headers,
                self.use_ticket,
                self.store_body,
                self.converge,
                self.answer,
            ),
        )

    # The steps of POST /uploads

    async def parse(self, context: UploadContext) -> None:
        """Read the JSON body."""
        content = await read_json_object(context.request, FIELDS)
        context.upload = Upload(
            key=read_field(content, "name", str),
            type=read_field(content, "type", str),
            bytes=read_field(content, "bytes", int),
            replace=read_field(content, "replace", bool, default=False),
            expires=time.time() + self.seconds,
        )

    async def check_type(self, context: UploadContext) -> None:
        """Refuse media types that cannot be read."""
        if context.upload.type not in MEDIA_TYPES:
            raise Problem(415, f"type: expected one of {', '.join(MEDIA_TYPES)}.", code="unsupported_type")

    async def check_size(self, context: UploadContext) -> None:
        """Refuse empty files, and files that the recipe would reject."""
        max_bytes = self.library.recipe.limits.max_bytes
        if context.upload.bytes < 1:
            raise Problem(400, "bytes: expected 1 or more.", code="bad_body")
        if context.upload.bytes > max_bytes:
            raise Problem(413, f"bytes: expected {max_bytes} or fewer.", code="too_many_bytes")

    async def check_name(self, context: UploadContext) -> None:
        """Refuse names that the recipe does not select, or that cannot be stored."""
        library, name = self.library, context.upload.key
        if not is_source(name, library.recipe.selection):
            detail = (
                "name: expected a name that the recipe selects. No part of it may begin with a dot, and it may not end"
                " with a slash."
            )
            raise Problem(422, detail, code="unsupported_key")
        if not library.source.can_hold(name) or unusable_key(name, library.recipe, library.destination.max_key_bytes):
            detail = "name: it is too long, or it is not a path that can be stored here."
            raise Problem(422, detail, code="unsupported_key")

    async def grant(self, context: UploadContext) -> None:
        """Answer with the key that the image gets, and the request that uploads it."""
        upload, target = await self.library.run(
            grant_upload, self.library.source, self.tickets, context.upload, self.seconds
        )
        if target["url"].startswith("/"):
            target = {**target, "url": url_path(context.request, target["url"])}
        content = {"key": upload.key, "upload": target, "expires": int(upload.expires)}
        headers = {"Location": image_path(context.request, upload.key), "Cache-Control": "no-store"}
        context.response = JSONResponse(content, 201, headers)

    # The steps of PUT /uploads/{ticket}

    async def authorize(self, context: UploadContext) -> None:
        """Find the grant by the secret in the URL."""
        upload = self.tickets.find(context.request.path_params["ticket"])
        if upload is None:
            raise Problem(404, "This upload URL does not exist, was used, or has expired.", code="not_found")
        context.upload = upload

    async def check_headers(self, context: UploadContext) -> None:
        """Refuse another type or size than granted. The URL can still be used afterwards."""
        upload, headers = context.upload, context.request.headers
        if headers.get("content-type", "").strip().lower() != upload.type:
            raise Problem(415, f"Content-Type: expected {upload.type}.", code="unsupported_type")
        length = headers.get("content-length", str(upload.bytes))
        if not (length.isascii() and length.isdigit()) or int(length[:18]) < upload.bytes:
            raise Problem(400, f"Content-Length: expected {upload.bytes}.", code="bad_body")
        if int(length[:18]) > upload.bytes:
            raise Problem(413, f"Content-Length: expected {upload.bytes}.", code="too_many_bytes")

    async def use_ticket(self, context: UploadContext) -> None:
        """Make the URL invalid for other requests."""
        if self.tickets.use(context.request.path_params["ticket"]) is None:
            raise Problem(404, "Another request is already using this upload URL.", code="not_found")

    async def store_body(self, context: UploadContext) -> None:
        """Write the body to the source store: the whole file or nothing."""
        upload, run = context.upload, self.library.run
        headers = Headers(content_type=upload.type)
        with closing(await run(self.library.source.receive, upload.key, headers)) as pending:
            try:
                await self._write_body(context.request, upload, pending)
                is_stored = await run(lambda: pending.commit(replace=upload.replace))
            except ClientDisconnect:
                raise Problem(400, "The connection closed before the upload was complete.", code="bad_body") from None
            except StoreError as error:
                if error.transient:
                    raise
                raise Problem(409, str(error), code="conflict") from error
        if not is_stored:
            raise Problem(409, "An image with this name was stored in the meantime.", code="conflict")

    async def _write_body(self, request: Request, upload: Upload, pending: PendingObject) -> None:
        received, buffer = 0, bytearray()
        async for piece in request.stream():
            received += len(piece)
            if received > upload.bytes:
                raise Problem(413, f"Expected {upload.bytes} bytes, found more.", code="too_many_bytes")
            buffer += piece
            if len(buffer) >= PIECE_BYTES:
                await self.library.run(pending.write, bytes(buffer))
                buffer.clear()
        if received < upload.bytes:
            raise Problem(400, f"Expected {upload.bytes} bytes, found {received}.", code="bad_body")
        await self.library.run(pending.write, bytes(buffer))

    async def converge(self, context: UploadContext) -> None:
        """Have the thumbnails made in the background."""
        self.updater.enqueue(context.upload.key)

    async def answer(self, context: UploadContext) -> None:
        """Answer with the key."""
        key = context.upload.key
        context.response = JSONResponse({"key": key}, 201, {"Location": image_path(context.request, key)})


def image_path(request: Request, key: str) -> str:
    """Return the path of an image for the client that sent the request."""
    return url_path(request, f"/images/{encode_key(key)}")


async def _run(request: Request, steps: Sequence[Step]) -> Response:
    context = UploadContext(request)
    for step in steps:
        await step(context)
    return context.response
