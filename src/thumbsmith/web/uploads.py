"""The endpoints `/uploads`: permission to upload one image, and the upload itself if the source is not S3.

Each request passes through a list of steps. A step that refuses the request raises Problem. The access middleware has
authorized `POST /uploads` before; a secret in the URL authorizes `PUT /uploads/{ticket}`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.web.http import Problem, read_field, read_json_object
from thumbsmith.web.images import image_path
from thumbsmith.web.incoming import IncomingFile, refuse_name
from thumbsmith.web.library import ImageLibrary, Updater
from thumbsmith.web.media_types import UNKNOWN, accepted_type, essence
from thumbsmith.web.root_path import url_path
from thumbsmith.web.upload_grants import Tickets, Upload, grant_upload

FIELDS: Final = frozenset({"name", "type", "bytes", "replace"})


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
                self.check_name,
                self.check_size,
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
        """Refuse media types that cannot be read. The content decides if the client does not know the type."""
        context.upload = replace(context.upload, type=accepted_type(context.upload.type, "type"))

    async def check_size(self, context: UploadContext) -> None:
        """Refuse empty files, and files that the recipe would reject."""
        max_bytes = self.library.recipe.limits.max_bytes
        if context.upload.bytes < 1:
            raise Problem(400, "bytes: expected 1 or more.", code="bad_body")
        if context.upload.bytes > max_bytes:
            raise Problem(413, f"bytes: expected {max_bytes} or fewer.", code="too_many_bytes")

    async def check_name(self, context: UploadContext) -> None:
        """Refuse names that the recipe does not select, or that cannot be stored."""
        refuse_name(self.library, context.upload.key)

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
        if essence(headers.get("content-type", "")) not in {upload.type, UNKNOWN, ""}:
            raise Problem(415, f"Content-Type: expected {upload.type}.", code="unsupported_type")
        length = headers.get("content-length", str(upload.bytes))
        if not (length.isascii() and length.isdigit()) or int(length[:18]) < upload.bytes:
            raise Problem(400, f"Content-Length: expected {upload.bytes}.", code="bad_body")
        if int(length[:18]) > upload.bytes:
            raise Problem(413, f"Content-Length: expected {upload.bytes}.", code="too_many_bytes")

    async def use_ticket(self, context: UploadContext) -> None:
        """Reserve the URL for this request."""
        if not self.tickets.reserve(context.request.path_params["ticket"]):
            raise Problem(404, "Another request is already using this upload URL.", code="not_found")

    async def store_body(self, context: UploadContext) -> None:
        """Write the body to the source store: the whole file or nothing. After a failure the URL can be used again."""
        upload, ticket = context.upload, context.request.path_params["ticket"]
        try:
            async with IncomingFile(self.library, upload.key, upload.type, upload.bytes) as file:
                await file.write_body(context.request)
                await file.commit(replace=upload.replace, size=upload.bytes)
        except BaseException:
            self.tickets.give_back(ticket)
            raise
        self.tickets.finish(ticket)

    async def converge(self, context: UploadContext) -> None:
        """Have the thumbnails made in the background."""
        self.updater.enqueue(context.upload.key)

    async def answer(self, context: UploadContext) -> None:
        """Answer with the key."""
        key = context.upload.key
        context.response = JSONResponse({"key": key}, 201, {"Location": image_path(context.request, key)})


async def _run(request: Request, steps: Sequence[Step]) -> Response:
    context = UploadContext(request)
    for step in steps:
        await step(context)
    return context.response
