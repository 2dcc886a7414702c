"""The endpoint `/renditions`: a thumbnail in the format that the client prefers. A missing thumbnail is made.

The format is negotiated by the Accept header: RFC 9110, section 12.5.1.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from thumbsmith.recipe import Format
from thumbsmith.recipe.model import MOST_SUPPORTED_FIRST
from thumbsmith.recipe.names import rendition_key
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord
from thumbsmith.store import OpenObject
from thumbsmith.web.conditional import Validators
from thumbsmith.web.http import (
    RETRY_AFTER_SECONDS,
    Problem,
    encoded_rest_of_path,
    percent_decode,
)
from thumbsmith.web.library import ImageLibrary, Updater

# How long a request waits for a missing thumbnail.
DEFAULT_TIMEOUT_SECONDS: Final = 30.0

# A body up to this size is sent at once, and a larger one in pieces of this size.
PIECE_BYTES: Final = 256 << 10

# How long a URL in S3 is valid that a client is redirected to.
REDIRECT_SECONDS: Final = 300

# How long clients may use an answer without asking again: with `?v=`, which names the content, and without.
VERSIONED_SECONDS: Final = 31_536_000
UNVERSIONED_SECONDS: Final = 60

_FORMAT_BY_EXTENSION: Final = {each.extension: each for each in Format}

# The order among formats that the client accepts only by a wildcard: what most clients can read comes first.
_MOST_SUPPORTED_FIRST: Final = tuple(each.media_type for each in MOST_SUPPORTED_FIRST)

_QUALITY: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")

# No browser sends as many media ranges. The rest of a longer header is ignored.
_MAX_MEDIA_RANGES: Final = 64


@dataclass(frozen=True, slots=True)
class RequestedRendition:
    """What a path asks for: a variant of a source (`small`), or one file of it (`small.webp`: `format` is set)."""

    key: str
    name: str
    format: Format | None


@dataclass(frozen=True, slots=True)
class OpenRendition:
    """A rendition that agrees with its manifest, opened. `content` is None if it is larger than PIECE_BYTES."""

    record: RenditionRecord
    format: Format
    reader: OpenObject
    is_negotiated: bool
    content: bytes | None


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One part of an Accept header: a media type or wildcard, and its quality from 0 to 1."""

    type: str
    quality: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A format in which a thumbnail exists: its media type and its size."""

    type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RenditionEndpoint:
    """The endpoint `/renditions`.

    `cache_scope` is "public", or "private" if the application requires a token. `timeout` is in seconds. A body of more
    than `max_body_bytes` is answered by a redirect to the bucket.
    """

    library: ImageLibrary
    updater: Updater
    cache_scope: str
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    max_body_bytes: int | None = None

    async def show(self, request: Request) -> Response:
        """Answer with the thumbnail: 200, 206, 304, 307; 404, 406, 416, 422; 503 if it was not made in time."""
        requested = self._parse_path(request)
        ranges = parse_accept(request.headers.get("accept"))
        rendition = await self.library.run(self._open, requested, ranges)
        if rendition is None:
            rendition = await self._make(requested, ranges)
        try:
            return await self._response(request, rendition)
        except BaseException:
            rendition.reader.close()
            raise

    def _parse_path(self, request: Request) -> RequestedRendition:
        """Return the rendition that the path names. Raises Problem (404) if the recipe cannot make it."""
        encoded_key, slash, encoded_name = encoded_rest_of_path(request).rpartition("/")
        key, name = percent_decode(encoded_key), percent_decode(encoded_name)
        stem, dot, extension = name.partition(".") if "@" not in name else _split_density(name)
        kind = _FORMAT_BY_EXTENSION.get(extension)
        is_variant = any(each.name == stem.partition("@")[0] for each in self.library.recipe.variants)
        if not slash or not key or not is_variant or bool(dot) != bool(kind):
            raise _no_rendition()
        return RequestedRendition(key, stem, kind)

    def _open(self, requested: RequestedRendition, ranges: Sequence[MediaRange]) -> OpenRendition | None:
        """Return the rendition, or None if it must be made first. Raises Problem: 404, 406 or 422."""
        manifest = self.library.manifest(requested.key)
        if manifest is None or manifest.recipe != self.library.recipe.fingerprint:
            return None
        if manifest.rejection:
            code, detail = manifest.rejection.code, manifest.rejection.detail
            raise Problem(422, detail, code=code, more={"rejection": {"code": code, "detail": detail}})
        record, kind = _choose_record(manifest, requested, ranges)
        reader = self.library.destination.open(rendition_key(requested.key, requested.name, kind))
        if reader is None:
            return None
        try:
            if reader.info.etag != record.etag and not self.library.has_recorded_bytes(reader, record):
                reader.close()
                return None
            # A small object is read here, because a second call of this thread would take longer than the read.
            content = reader.read(0, reader.size) if reader.size <= PIECE_BYTES else None
        except BaseException:
            reader.close()
            raise
        return OpenRendition(record, kind, reader, requested.format is None, content)

    async def _make(self, requested: RequestedRendition, ranges: Sequence[MediaRange]) -> OpenRendition:
        """Have the rendition made, and open it. Raises Problem: 404, or 503 if it was not made in time."""
        library, key = self.library, requested.key
        if not is_source(key, library.recipe.selection) or await library.run(library.source.head, key) is None:
            raise _no_rendition()
        await self.updater.wait(key, self.timeout)
        rendition = await library.run(self._open, requested, ranges)
        if rendition:
            return rendition
        detail = str(self.updater.failure(key) or "The thumbnail is still being made.")
        raise Problem(503, detail, code="try_again", headers={"Retry-After": RETRY_AFTER_SECONDS})

    async def _response(self, request: Request, rendition: OpenRendition) -> Response:
        validators = Validators(f'"{rendition.record.sha256[:32]}"', rendition.reader.info.modified)
        size = rendition.reader.size
        headers = {
            **validators.headers(),
            "Cache-Control": self._cache_control(request, rendition.record),
            "Accept-Ranges": "bytes",
            **({"Vary": "Accept"} if rendition.is_negotiated else {}),
        }
        if validators.match(request.headers):
            rendition.reader.close()
            return Response(status_code=304, headers=headers)
        try:
            part = validators.byte_range(size, request.headers)
        except ValueError:
            content_range = {"Content-Range": f"bytes */{size}"}
            detail = f"Range: the thumbnail has only {size} bytes."
            raise Problem(416, detail, code="bad_range", headers=content_range) from None
        start, end = part or (0, size)
        headers["Content-Length"] = str(end - start)
        if part:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return await self._body_response(request, rendition, (start, end), 206 if part else 200, headers)

    async def _body_response(
        self, request: Request, rendition: OpenRendition, part: tuple[int, int], status: int, headers: dict[str, str]
    ) -> Response:
        (start, end), reader, media_type = part, rendition.reader, rendition.format.media_type
        if request.method == "HEAD":
            reader.close()
            return Response(None, status, headers, media_type)
        if self.max_body_bytes is not None and end - start > self.max_body_bytes:
            reader.close()
            return await self.library.run(self._redirect, reader.info.key, headers)
        if rendition.content is not None:
            reader.close()
            return Response(rendition.content[start:end], status, headers, media_type)
        if end - start > PIECE_BYTES:
            return StreamingResponse(self._pieces(reader, start, end), status, headers, media_type)
        with closing(reader):
            content = await self.library.run(reader.read, start, end - start)
        return Response(content, status, headers, media_type)

    async def _pieces(self, reader: OpenObject, start: int, end: int) -> AsyncIterator[bytes]:
        with closing(reader):
            for offset in range(start, end, PIECE_BYTES):
                yield await self.library.run(reader.read, offset, min(PIECE_BYTES, end - offset))

    def _redirect(self, key: str, headers: Mapping[str, str]) -> Response:
        """Return a redirect to the object in the destination. Raises StoreError if the URL cannot be signed."""
        url = self.library.destination.presigned_get(key, REDIRECT_SECONDS)
        if url is None:
            raise Problem(500, "The thumbnail is too large to be sent from here.", code="internal")
        vary = {name: value for name, value in headers.items() if name == "Vary"}
        target = {"Location": url, "Cache-Control": "no-store"}
        return Response(None, 307, {**vary, **target})

    def _cache_control(self, request: Request, record: RenditionRecord) -> str:
        if request.query_params.get("v") == record.sha256[:8]:
            return f"{self.cache_scope}, max-age={VERSIONED_SECONDS}, immutable"
        return f"{self.cache_scope}, max-age={UNVERSIONED_SECONDS}"


def _no_rendition() -> Problem:
    return Problem(404, "There is no such thumbnail.", code="not_found")


def _split_density(name: str) -> tuple[str, str, str]:
    """Return stem, dot and extension of `small@1.5x` or `small@1.5x.webp`: a density may contain a dot."""
    stem, mark, extension = name.partition("x.") if "x." in name.partition("@")[2] else (name.removesuffix("x"), "", "")
    return f"{stem}x", "." if mark else "", extension


def _choose_record(
    manifest: Manifest, requested: RequestedRendition, ranges: Sequence[MediaRange]
) -> tuple[RenditionRecord, Format]:
    """Return the record that the client prefers, and its format. Raises Problem: 404, or 406 if none is acceptable."""
    formats = {f"{requested.name}.{each.extension}": each for each in Format}
    records = {formats[each.name]: each for each in manifest.renditions if each.name in formats}
    if not records or (requested.format and requested.format not in records):
        raise _no_rendition()
    if requested.format:
        return records[requested.format], requested.format
    offers = {Offer(kind.media_type, each.bytes): kind for kind, each in records.items()}
    best = choose_offer(list(offers), ranges)
    if best is None:
        types = [offer.type for offer in offers]
        detail = f"Accept: the thumbnail exists as {', '.join(types)}."
        raise Problem(406, detail, code="not_acceptable", headers={"Vary": "Accept"}, more={"types": types})
    return records[offers[best]], offers[best]


def choose_offer(offers: Sequence[Offer], ranges: Sequence[MediaRange]) -> Offer | None:
    """Return the offer with the highest quality, or None if the client accepts none.

    With equal quality, a type that the client names comes before one that a wildcard matches. Among named types the
    smallest comes first, and among the others the one that most clients can read.
    """
    matches = [(offer, _most_specific(offer.type, ranges)) for offer in offers]
    accepted = [(offer, match) for offer, match in matches if match and match.quality > 0]
    if not accepted:
        return None
    return min(accepted, key=lambda each: _rank(*each))[0]


def _most_specific(media_type: str, ranges: Sequence[MediaRange]) -> MediaRange | None:
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        for each in ranges:
            if each.type == pattern:
                return each
    return None


def _rank(offer: Offer, match: MediaRange) -> tuple[float, bool, int]:
    is_named = match.type == offer.type
    return -match.quality, not is_named, offer.bytes if is_named else _MOST_SUPPORTED_FIRST.index(offer.type)


def parse_accept(header: str | None) -> tuple[MediaRange, ...]:
    """Return the media ranges of an Accept header. No header, or an empty one, accepts everything.

    Parts that cannot be parsed are left out.
    """
    if header is None or not header.strip():
        return (MediaRange("*/*", 1.0),)
    ranges = (_parse_media_range(part) for part in header.split(",", _MAX_MEDIA_RANGES)[:_MAX_MEDIA_RANGES])
    return tuple(each for each in ranges if each)


def _parse_media_range(part: str) -> MediaRange | None:
    media_type, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            if not _QUALITY.fullmatch(value.strip()):
                return None
            quality = float(value)
    return MediaRange(media_type.lower(), quality) if media_type.count("/") == 1 else None
