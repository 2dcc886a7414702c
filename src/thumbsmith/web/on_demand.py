"""Thumbnails that are not in the recipe: previews of another recipe, and sizes that a signed URL asks for.

They are rendered while the client waits, by the same workers as all thumbnails, and are not stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import RecipeError, SourceChanged
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import Rendition
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.converge import Renderer
from thumbsmith.signing import EXPIRES, MAX_SECONDS, OPTIONS, SIGNATURE, recipe_of, signature, signed_path
from thumbsmith.web.conditional import Validators
from thumbsmith.web.http import (
    RETRY_AFTER_SECONDS,
    Problem,
    json_response,
    key_from_path,
    read_field,
    read_json_object,
)
from thumbsmith.web.library import ImageLibrary
from thumbsmith.web.root_path import url_path

# How many thumbnails are rendered at once. Each one takes a worker.
_MAX_RENDERING: Final = 2

# How long a request waits until it may render.
_QUEUE_SECONDS: Final = 10.0

# The cache in memory: thumbnails of one source, thumbnails of all sources, and bytes. The oldest is dropped first.
MAX_CACHED_OF_SOURCE: Final = 16
MAX_CACHED: Final = 1_024
MAX_CACHED_BYTES: Final = 64 << 20

_MAX_AGE_SECONDS: Final = 31_536_000  # one year

# How long a URL is valid that this server signs, if the request does not say so.
_DEFAULT_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class OnDemandRenderer:
    """Renders single thumbnails of stored sources, a few at once."""

    library: ImageLibrary
    renderer: Renderer
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_RENDERING))

    async def render(self, key: str, recipe: Recipe) -> Rendition:
        """Return the first thumbnail of the recipe.

        Raises Problem (404, 409, or 503 if too many others are rendered), Rejected, WorkerError and StoreError.
        """
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            headers = {"Retry-After": RETRY_AFTER_SECONDS}
            detail = "Too many thumbnails are being rendered at once."
            raise Problem(503, detail, code="try_again", headers=headers) from None
        try:
            return await self.library.run(self._render, key, recipe)
        finally:
            self._slots.release()

    def _render(self, key: str, recipe: Recipe) -> Rendition:
        source = self.library.source
        opened = source.open(key) if is_source(key, self.library.recipe.selection) else None
        if opened is None:
            raise _no_image()
        with closing(opened) as reader:
            try:
                return self.renderer.render(reader, recipe).renditions[0]
            except SourceChanged:
                raise Problem(409, "The image is being replaced.", code="conflict") from None


def _no_image() -> Problem:
    return Problem(404, "There is no image with this key.", code="not_found")


@dataclass(frozen=True, slots=True)
class PreviewEndpoint:
    """The endpoint `/previews`: a variant of any recipe, made from an image of the library."""

    renderer: OnDemandRenderer

    async def preview(self, request: Request) -> Response:
        """Answer with the thumbnail: 200; 400 for an invalid recipe; 404, 409, 422, 503."""
        content = await read_json_object(request, frozenset({"toml", "variant", "key"}))
        key, variant = read_field(content, "key", str), read_field(content, "variant", str)
        thumbnail = await self.renderer.render(key, self._recipe_of_one(read_field(content, "toml", str), variant))
        headers = {"X-Thumbsmith-Size": f"{thumbnail.width}x{thumbnail.height}", "Cache-Control": "no-store"}
        return Response(thumbnail.data, 200, headers, thumbnail.format.media_type)

    def _recipe_of_one(self, toml: str, name: str) -> Recipe:
        """Return a recipe of one variant in its first format, with the limits of this server. Raises Problem."""
        try:
            recipe = Recipe.loads(toml)
        except RecipeError as error:
            raise Problem(400, str(error), code="bad_recipe") from None
        for variant in recipe.variants:
            if variant.name == name:
                one = replace(variant, formats=variant.formats[:1])
                return replace(recipe, variants=(one,), limits=self.renderer.library.recipe.limits)
        raise Problem(404, "The recipe has no variant of this name.", code="not_found")


class CachedThumbnail(NamedTuple):
    """The bytes and media type of a thumbnail, and what identifies it."""

    data: bytes
    type: str
    validators: Validators


@dataclass(slots=True)
class OnDemandCache:
    """Thumbnails by source key, source etag and fingerprint of the recipe. For use by one thread."""

    _thumbnails: OrderedDict[tuple[str, str, str], CachedThumbnail] = field(default_factory=OrderedDict)
    _count_of_source: Counter[str] = field(default_factory=Counter)
    _bytes: int = 0

    def get(self, name: tuple[str, str, str]) -> CachedThumbnail | None:
        """Return a thumbnail, or None."""
        found = self._thumbnails.get(name)
        if found:
            self._thumbnails.move_to_end(name)
        return found

    def put(self, name: tuple[str, str, str], thumbnail: CachedThumbnail) -> None:
        """Add a thumbnail, and drop the least recently used ones that exceed a limit."""
        self._remove(name)
        self._thumbnails[name] = thumbnail
        self._count_of_source[name[0]] += 1
        self._bytes += len(thumbnail.data)
        while self._count_of_source[name[0]] > MAX_CACHED_OF_SOURCE:
            self._remove(next(each for each in self._thumbnails if each[0] == name[0]))
        while self._bytes > MAX_CACHED_BYTES or len(self._thumbnails) > MAX_CACHED:
            self._remove(next(iter(self._thumbnails)))

    def _remove(self, name: tuple[str, str, str]) -> None:
        thumbnail = self._thumbnails.pop(name, None)
        if thumbnail:
            self._bytes -= len(thumbnail.data)
            self._count_of_source[name[0]] -= 1
            self._count_of_source += Counter()  # drops the keys whose count is 0


@dataclass(frozen=True, slots=True)
class OnDemandEndpoint:
    """The endpoint `/on-demand`: a thumbnail that the signed query describes. It needs no token."""

    renderer: OnDemandRenderer
    secret: str
    cache: OnDemandCache = field(default_factory=OnDemandCache)

    async def show(self, request: Request) -> Response:
        """Answer with the thumbnail: 200, 304; 400 for invalid options; 403 for a wrong signature or an expired URL."""
        key, query = key_from_path(request), _parse_query(request)
        expires = self._verify(key, query)
        options = {name: value for name, value in query.items() if name in OPTIONS}
        thumbnail = await self._thumbnail(key, self._recipe(options))
        max_age = max(min(expires - int(time.time()), _MAX_AGE_SECONDS), 0)
        headers = {**thumbnail.validators.headers(), "Cache-Control": f"public, max-age={max_age}"}
        if thumbnail.validators.match(request.headers):
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(len(thumbnail.data))
        return Response(None if request.method == "HEAD" else thumbnail.data, 200, headers, thumbnail.type)

    async def sign(self, request: Request) -> Response:
        """Answer with a signed URL: 200; 400 for invalid options; 404 if there is no such image."""
        content = await read_json_object(request, frozenset({"key", "options", "seconds"}))
        key, seconds = read_field(content, "key", str), read_field(content, "seconds", int, _DEFAULT_SECONDS)
        options = _options(content.get("options"))
        if not 1 <= seconds <= MAX_SECONDS:
            raise Problem(400, f"seconds: expected a number from 1 to {MAX_SECONDS}.", code="bad_body")
        self._recipe(options)
        library = self.renderer.library
        if not is_source(key, library.recipe.selection) or await library.run(library.source.head, key) is None:
            raise _no_image()
        expires = int(time.time()) + seconds
        path = signed_path(key, options, secret=self.secret, expires=expires)
        return json_response({"url": url_path(request, path), "expires": expires})

    def _verify(self, key: str, query: Mapping[str, str]) -> int:
        """Return when the URL expires, in seconds since 1970. Raises Problem (403)."""
        signed = {name: value for name, value in query.items() if name != SIGNATURE}
        given = query.get(SIGNATURE, "")
        if not hmac.compare_digest(given.encode(), signature(key, signed, self.secret).encode()):
            detail = "signature: it does not match the key and the options of this URL."
            raise Problem(403, detail, code="bad_signature")
        text = signed.get(EXPIRES, "0")
        expires = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        if expires <= time.time():
            raise Problem(403, "expires: this URL has expired.", code="expired")
        return expires

    def _recipe(self, options: Mapping[str, str]) -> Recipe:
        """Return a recipe of the one thumbnail, with the limits of this server. Raises Problem (400)."""
        try:
            recipe = recipe_of(options)
        except RecipeError as error:
            raise Problem(400, str(error), code="bad_query") from None
        return replace(recipe, limits=self.renderer.library.recipe.limits)

    async def _thumbnail(self, key: str, recipe: Recipe) -> CachedThumbnail:
        """Return the thumbnail: from the cache if it was made of this version of the source."""
        library = self.renderer.library
        source = await library.run(library.source.head, key) if is_source(key, library.recipe.selection) else None
        if source is None:
            raise _no_image()
        name = key, source.etag, recipe.fingerprint
        thumbnail = self.cache.get(name)
        if thumbnail is None:
            made = await self.renderer.render(key, recipe)
            etag = f'"{hashlib.sha256(made.data).hexdigest()[:32]}"'
            thumbnail = CachedThumbnail(made.data, made.format.media_type, Validators(etag, source.modified))
            self.cache.put(name, thumbnail)
        return thumbnail


def _options(given: object) -> dict[str, str]:
    """Return options of a JSON body as texts, as in a query. Raises Problem (400)."""
    if not isinstance(given, dict) or not set(given) <= set(OPTIONS):
        raise Problem(400, f"options: expected an object with {', '.join(OPTIONS)}.", code="bad_body")
    if not all(isinstance(each, str | int | float) for each in given.values()):
        raise Problem(400, "options: expected texts, numbers, true or false.", code="bad_body")
    return {name: str(each).lower() if isinstance(each, bool) else str(each) for name, each in given.items()}


def _parse_query(request: Request) -> dict[str, str]:
    """Return the parameters of the query. Raises Problem (400) for a parameter that is unknown or given twice."""
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    unknown = sorted(set(query) - {*OPTIONS, EXPIRES, SIGNATURE})
    if unknown or len(query) < len(pairs):
        expected = ", ".join((*OPTIONS, EXPIRES, SIGNATURE))
        raise Problem(400, f"The query: expected {expected}, each at most once.", code="bad_query")
    return query
