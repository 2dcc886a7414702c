"""`/renditions`: pictures, in the format that the client wants; one that is missing is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from thumbsmith.keys import rendition_key
from thumbsmith.manifest import Manifest, RenditionRecord
from thumbsmith.recipe import Format
from thumbsmith.recipe.selection import is_source
from thumbsmith.store import OpenObject
from thumbsmith.store.s3 import S3Store
from thumbsmith.web import accept
from thumbsmith.web.addresses import decoded, rest
from thumbsmith.web.conditions import is_known, span
from thumbsmith.web.keeping import Keeping
from thumbsmith.web.library import Library
from thumbsmith.web.presigned import presigned_get
from thumbsmith.web.problems import RETRY_AFTER, Problem

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
        ranges = accept.parse(request.headers.get("accept"))
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

    def _find(self, wanted: Wanted, ranges: Sequence[accept.Range]) -> Found | None:
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

    async def _made(self, wanted: Wanted, ranges: Sequence[accept.Range]) -> Found:
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
        store = self.library.destination
        if not isinstance(store, S3Store):
            raise Problem(500, "The picture is too large to be sent from here.", code="internal")
        vary = {name: value for name, value in headers.items() if name == "Vary"}
        target = {"Location": presigned_get(store, key, REDIRECT_SECONDS), "Cache-Control": "no-store"}
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


def _chosen(manifest: Manifest, wanted: Wanted, ranges: Sequence[accept.Range]) -> tuple[RenditionRecord, Format]:
    """Return the record that is wanted most, and its format. Raises Problem: 404, or 406 where none is acceptable."""
    names = {f"{wanted.name}.{kind.extension}": kind for kind in Format}
    there = {names[each.name]: each for each in manifest.renditions if each.name in names}
    if wanted.kind:
        if wanted.kind not in there:
            raise _MISSING
        return there[wanted.kind], wanted.kind
    if not there:
        raise _MISSING
    offers = {accept.Offer(kind.media_type, each.bytes): kind for kind, each in there.items()}
    best = accept.choose(list(offers), ranges)
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
