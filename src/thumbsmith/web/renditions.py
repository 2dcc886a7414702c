"""Which of several formats a client wants, by its `Accept` (RFC 9110, section 12.5.1).

`/renditions`: pictures, in the format that the client wants; one that is missing is made.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from thumbsmith.recipe import Format
from thumbsmith.recipe.names import rendition_key
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord
from thumbsmith.store import OpenObject
from thumbsmith.web.http import RETRY_AFTER, Problem, decoded, is_known, rest, span
from thumbsmith.web.library import Keeping, Library

# Of formats that a client asks for by a wildcard alone, the one that more clients can read comes first.
_KNOWN_EVERYWHERE: Final = ("image/jpeg", "image/png", "image/webp", "image/avif")

_QUALITY: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")

# More ranges than any browser sends; what follows is not read.
_MAX_RANGES: Final = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """One media range: its type, and how much it is wanted, 0 to 1."""

    type: str
    quality: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A format that there is: its media type, and the bytes it takes."""

    type: str
    bytes: int


def parse(header: str | None) -> tuple[Range, ...]:
    """Return the media ranges of the header; of none or an empty one, everything. What cannot be read is left out."""
    if header is None or not header.strip():
        return (Range("*/*", 1.0),)
    ranges = (_range(part) for part in header.split(",", _MAX_RANGES)[:_MAX_RANGES])
    return tuple(each for each in ranges if each)


def choose(offers: Sequence[Offer], ranges: Sequence[Range]) -> Offer | None:
    """Return the offer that is wanted most, or None where none is wanted.

    Of those wanted alike: one that is named rather than met by a wildcard, the smallest of those; of those met by a
    wildcard the one that most clients can read.
    """
    rated = [(offer, _best(offer.type, ranges)) for offer in offers]
    wanted = [(offer, best) for offer, best in rated if best and best.quality > 0]
    if not wanted:
        return None
    return min(wanted, key=lambda each: _rank(*each))[0]


def _range(part: str) -> Range | None:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            if not _QUALITY.fullmatch(value.strip()):
                return None
            quality = float(value)
    return Range(kind.lower(), quality) if kind.count("/") == 1 else None


def _best(kind: str, ranges: Sequence[Range]) -> Range | None:
    """Return the most specific range that the type is in."""
    for specific in (kind, kind.partition("/")[0] + "/*", "*/*"):
        for each in ranges:
            if each.type == specific:
                return each
    return None


def _rank(offer: Offer, best: Range) -> tuple[float, bool, int]:
    named = best.type == offer.type
    return -best.quality, not named, offer.bytes if named else _KNOWN_EVERYWHERE.index(offer.type)


# Seconds that a picture which is missing is waited for.
PATIENCE: Final = 30.0

# A picture of so many bytes is sent at once, a larger one in pieces of this size.
PIECE: Final = 256 << 10

# Seconds for which the URL of a picture holds that is redirected to.
REDIRECT_SECONDS: Final = 300

_BY_EXTENSION: Final = {each.extension: each for each in Format}

_MISSING: Final = Problem(404, "There is no such rendition.", code="not_found")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a path asks for: a variant of a source, `small`, or one file of it, `small.webp`."""

    key: str
    name: str
    kind: Format | None


@dataclass(frozen=True, slots=True)
class Found:
    """A rendition that stands as its manifest says: open, and where it is small, read."""

    record: RenditionRecord
    kind: Format
    reader: OpenObject
    negotiated: bool
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Renditions:
    """The endpoint of `/renditions`. `scope` of the caches is "public", or "private" where not everybody gets in.

    `patience` is how many seconds a picture that is missing is waited for. What takes more than `largest` bytes is not
    sent from here: the bucket sends it, to whoever is redirected there.
    """

    library: Library
    keeper: Keeping
    scope: str
    patience: float = PATIENCE
    largest: int | None = None

    async def show(self, request: Request) -> Response:
        """Answer with the picture: 200, 206, 304; 404, 406, 416, 422; 503 where it could not be made in time."""
        wanted = self._wanted(request)
        ranges = parse(request.headers.get("accept"))
        found = await self.library.run(self._find, wanted, ranges)
        if found is None:
            found = await self._made(wanted, ranges)
        try:
            return await self._answer(request, found)
        except BaseException:
            found.reader.close()
            raise

    def _wanted(self, request: Request) -> Wanted:
        """Return what the path asks for. Raises Problem where the recipe makes no such thing."""
        before, slash, last = rest(request).rpartition("/")
        key, name = decoded(before), decoded(last)
        stem, dot, extension = name.partition(".") if "@" not in name else _with_density(name)
        kind = _BY_EXTENSION.get(extension)
        known = any(each.name == stem.partition("@")[0] for each in self.library.recipe.variants)
        if not slash or not key or not known or bool(dot) != bool(kind):
            raise _MISSING
        return Wanted(key, stem, kind)

    def _find(self, wanted: Wanted, ranges: Sequence[Range]) -> Found | None:
        """Return the rendition, or None where something is to be made first. Raises Problem where nothing can be."""
        manifest = self.library.manifest(wanted.key)
        if manifest is None or manifest.recipe != self.library.recipe.fingerprint:
            return None
        if manifest.rejection:
            code, detail = manifest.rejection.code, manifest.rejection.detail
            raise Problem(422, detail, code=code, more={"rejection": {"code": code, "detail": detail}})
        record, kind = _chosen(manifest, wanted, ranges)
        reader = self.library.destination.open(rendition_key(wanted.key, wanted.name, kind))
        if reader is None:
            return None
        try:
            if reader.info.etag != record.etag and not self.library.is_sound(reader, record):
                reader.close()
                return None
            # What is small is read in this thread: to come here once more takes longer than that.
            content = reader.read(0, reader.size) if reader.size <= PIECE else None
        except BaseException:
            reader.close()
            raise
        return Found(record, kind, reader, wanted.kind is None, content)

    async def _made(self, wanted: Wanted, ranges: Sequence[Range]) -> Found:
        library, key = self.library, wanted.key
        if not is_source(key, library.recipe.selection) or await library.run(library.source.head, key) is None:
            raise _MISSING
        await self.keeper.settled(key, self.patience)
        found = await library.run(self._find, wanted, ranges)
        if found:
            return found
        detail = str(self.keeper.failure(key) or "It is still being made.")
        raise Problem(503, detail, code="try_again", headers={"Retry-After": RETRY_AFTER})

    async def _answer(self, request: Request, found: Found) -> Response:
        etag = f'"{found.record.sha256[:32]}"'
        headers = {
            "ETag": etag,
            "Cache-Control": self._caching(request, found.record),
            "Accept-Ranges": "bytes",
            **({"Vary": "Accept"} if found.negotiated else {}),
        }
        size = found.reader.size
        if is_known(etag, request.headers):
            found.reader.close()
            return Response(status_code=304, headers=headers)
        try:
            part = span(size, etag, request.headers)
        except ValueError:
            raise Problem(
                416, f"There are {size} bytes.", code="bad_range", headers={"Content-Range": f"bytes */{size}"}
            ) from None
        start, end = part or (0, size)
        headers["Content-Length"] = str(end - start)
        if part:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return await self._body(request, found, (start, end), 206 if part else 200, headers)

    async def _body(
        self, request: Request, found: Found, part: tuple[int, int], status: int, headers: dict[str, str]
    ) -> Response:
        start, end = part
        kind = found.kind.media_type
        if request.method == "HEAD":
            found.reader.close()
            return Response(None, status, headers, kind)
        if self.largest is not None and end - start > self.largest:
            found.reader.close()
            return await self.library.run(self._redirect, found.reader.info.key, headers)
        if found.content is not None:
            found.reader.close()
            return Response(found.content[start:end], status, headers, kind)
        if end - start > PIECE:
            return StreamingResponse(self._pieces(found.reader, start, end), status, headers, kind)
        with closing(found.reader):
            content = await self.library.run(found.reader.read, start, end - start)
        return Response(content, status, headers, kind)

    async def _pieces(self, reader: OpenObject, start: int, end: int) -> AsyncIterator[bytes]:
        with closing(reader):
            for offset in range(start, end, PIECE):
                yield await self.library.run(reader.read, offset, min(PIECE, end - offset))

    def _redirect(self, key: str, headers: Mapping[str, str]) -> Response:
        """Return the way to an object of the destination. Raises StoreError where it cannot be signed."""
        url = self.library.destination.presigned_get(key, REDIRECT_SECONDS)
        if url is None:
            raise Problem(500, "The picture is too large to be sent from here.", code="internal")
        vary = {name: value for name, value in headers.items() if name == "Vary"}
        target = {"Location": url, "Cache-Control": "no-store"}
        return Response(None, 307, {**vary, **target})

    def _caching(self, request: Request, record: RenditionRecord) -> str:
        """Return for how long the answer may be kept: a year where `?v=` names this very content."""
        if request.query_params.get("v") == record.sha256[:8]:
            return f"{self.scope}, max-age=31536000, immutable"
        return f"{self.scope}, max-age=60"


def _with_density(name: str) -> tuple[str, str, str]:
    """Return the parts of `small@1.5x` or `small@1.5x.webp`: a density may hold a dot."""
    stem, mark, extension = name.partition("x.") if "x." in name.partition("@")[2] else (name.removesuffix("x"), "", "")
    return f"{stem}x", "." if mark else "", extension


def _chosen(manifest: Manifest, wanted: Wanted, ranges: Sequence[Range]) -> tuple[RenditionRecord, Format]:
    """Return the record that is wanted most, and its format. Raises Problem: 404, or 406 where none is acceptable."""
    names = {f"{wanted.name}.{kind.extension}": kind for kind in Format}
    there = {names[each.name]: each for each in manifest.renditions if each.name in names}
    if wanted.kind:
        if wanted.kind not in there:
            raise _MISSING
        return there[wanted.kind], wanted.kind
    if not there:
        raise _MISSING
    offers = {Offer(kind.media_type, each.bytes): kind for kind, each in there.items()}
    best = choose(list(offers), ranges)
    if best is None:
        types = [offer.type for offer in offers]
        raise Problem(
            406,
            f"There is {', '.join(types)}.",
            code="not_acceptable",
            headers={"Vary": "Accept"},
            more={"types": types},
        )
    return there[offers[best]], offers[best]
