"""One file that arrives in pieces. The store gets it whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from starlette.requests import ClientDisconnect, Request

from thumbsmith.errors import StoreError
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.decide import unusable_key
from thumbsmith.store import Headers
from thumbsmith.store.base import PendingObject
from thumbsmith.web.http import Problem
from thumbsmith.web.library import ImageLibrary
from thumbsmith.web.media_types import HEAD_BYTES, UNKNOWN, type_of_content

T = TypeVar("T")

# A file is written to the store in pieces of this size.
PIECE_BYTES: Final = 1 << 20


def refuse_name(library: ImageLibrary, name: str) -> None:
    """Raise Problem (422) for a name that the recipe does not select, or that cannot be stored."""
    if not is_source(name, library.recipe.selection):
        detail = (
            "name: expected a name that the recipe selects, without the suffix of another kind of file (.txt, .zip). No"
            " part of it may begin with a dot, and it may not end with a slash."
        )
        raise Problem(422, detail, code="unsupported_key")
    if not library.source.can_hold(name) or unusable_key(name, library.recipe, library.destination.max_key_bytes):
        detail = "name: it is too long, or it is not a path that can be stored here."
        raise Problem(422, detail, code="unsupported_key")


def name_taken() -> Problem:
    """Return the problem of an upload whose name another image has (409)."""
    return Problem(409, "An image with this name exists already.", code="conflict")


@dataclass(slots=True)
class IncomingFile:
    """A file for the source store. Use it as a context: what was not committed is discarded at its end.

    A request may be canceled while a thread stores the file. The end of the context waits for that thread, because the
    store would otherwise get a part of the file.

    `media_type` may be UNKNOWN; then the first bytes must be those of an image. At most `max_bytes` are
    accepted.
    """

    library: ImageLibrary
    key: str
    media_type: str
    max_bytes: int
    received: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _pending: PendingObject | None = None
    _work: asyncio.Future[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._work:
            await asyncio.wait([self._work])
        if self._pending:
            await self.library.run(self._pending.close)

    async def write_body(self, request: Request) -> None:
        """Append the body of a request. Raises Problem, also if the connection closes before the end (400)."""
        try:
            async for piece in request.stream():
                await self.write(piece)
        except ClientDisconnect:
            raise Problem(400, "The connection closed before the upload was complete.", code="bad_body") from None

    async def write(self, piece: bytes) -> None:
        """Append a piece. Raises Problem: 409, 413, 415; and StoreError, transient."""
        self.received += len(piece)
        if self.received > self.max_bytes:
            raise Problem(413, f"Expected {self.max_bytes} bytes or fewer, found more.", code="too_many_bytes")
        self._buffer += piece
        if self.media_type == UNKNOWN and self._pending is None and len(self._buffer) >= HEAD_BYTES:
            type_of_content(bytes(self._buffer[:HEAD_BYTES]))
        if len(self._buffer) >= PIECE_BYTES:
            await self._flush()

    async def commit(self, *, replace: bool, size: int | None = None) -> None:
        """Store the file. Raises Problem: 409 if another one has its name, 400 if it is empty or has not `size` bytes.

        Raises StoreError, transient.
        """
        if not self.received:
            raise Problem(400, "The file has no bytes.", code="bad_body")
        if size is not None and self.received != size:
            raise Problem(400, f"Expected {size} bytes, found {self.received}.", code="bad_body")
        await self._flush()
        pending = self._pending
        assert pending is not None  # noqa: S101 - `_flush` has set it
        if not await self._in_store(lambda: pending.commit(replace=replace)):
            raise name_taken()

    async def _flush(self) -> None:
        piece = bytes(self._buffer)
        self._buffer.clear()
        if self._pending is None:
            kind = type_of_content(piece[:HEAD_BYTES]) if self.media_type == UNKNOWN else self.media_type
            headers = Headers(content_type=kind)
            self._pending = await self._in_store(lambda: self.library.source.receive(self.key, headers))
        pending = self._pending
        await self._in_store(lambda: pending.write(piece))

    async def _in_store(self, work: Callable[[], T]) -> T:
        """Return the result of work of the store. Raises Problem (409) for what no retry can change."""
        running = self._work = asyncio.ensure_future(self.library.run(work))
        try:
            return await asyncio.shield(running)
        except StoreError as error:
            if error.transient:
                raise
            raise Problem(409, str(error), code="conflict") from error
