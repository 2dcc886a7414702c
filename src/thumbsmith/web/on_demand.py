"""`/previews`: what a variant of any recipe would look like.

Pictures made while somebody waits, which no recipe knows of: a few at once, in workers as all others.

`/on-demand`: pictures that no recipe names, for whoever has an address that was signed for them.
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
from thumbsmith.signing import EXPIRES, OPTIONS, SIGNATURE, recipe_of, signature
from thumbsmith.web.http import Problem, is_known, key_of, read_field, read_object
from thumbsmith.web.library import Library


@dataclass(frozen=True, slots=True)
class Previews:
    """The endpoint of `/previews`. Nothing that it is sent or makes is kept."""

    rendering: Rendering

    async def preview(self, request: Request) -> Response:
        """Answer with one variant of a recipe, made of an image that is here, and kept nowhere. 200; 400, 404, 422."""
        content = await read_object(request, frozenset({"toml", "variant", "key"}))
        key, name = read_field(content, "key", str), read_field(content, "variant", str)
        picture = await self.rendering.picture(key, self._only(read_field(content, "toml", str), name))
        about = {"X-Thumbsmith-Size": f"{picture.width}x{picture.height}", "Cache-Control": "no-store"}
        return Response(picture.data, 200, about, picture.format.media_type)

    def _only(self, toml: str, name: str) -> Recipe:
        """Return a recipe of one variant in one format, within the limits that hold here. Raises Problem."""
        try:
            recipe = Recipe.loads(toml)
        except RecipeError as error:
            raise Problem(400, str(error), code="bad_recipe") from None
        for variant in recipe.variants:
            if variant.name == name:
                one = replace(variant, formats=variant.formats[:1])
                return replace(recipe, variants=(one,), limits=self.rendering.library.recipe.limits)
        raise Problem(404, "The recipe has no variant of this name.", code="not_found")


# Pictures made at once; each takes one worker.
_AT_ONCE: Final = 2

# Seconds that one waits for its turn.
_TURN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Rendering:
    """Makes single pictures of sources that are there. Nothing of it is kept."""

    library: Library
    renderer: Renderer
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def picture(self, key: str, recipe: Recipe) -> Rendition:
        """Return the first picture of a recipe. Raises Problem (404, 409, 503), Rejected, WorkerError, StoreError."""
        try:
            async with asyncio.timeout(_TURN):
                await self._turns.acquire()
        except TimeoutError:
            headers = {"Retry-After": "2"}
            raise Problem(503, "Too many pictures at once.", code="try_again", headers=headers) from None
        try:
            return await self.library.run(self._render, key, recipe)
        finally:
            self._turns.release()

    def _render(self, key: str, recipe: Recipe) -> Rendition:
        source = self.library.source
        there = source.open(key) if is_source(key, self.library.recipe.selection) else None
        if there is None:
            raise Problem(404, "There is no such image.", code="not_found")
        with closing(there) as reader:
            try:
                return self.renderer.render(reader, recipe).renditions[0]
            except SourceChanged:
                raise Problem(409, "The image is being replaced.", code="conflict") from None


# Pictures that are kept in memory: of one source, of all of them, and in bytes. The oldest goes for a new one.
MAX_OF_A_SOURCE: Final = 16
MAX_KEPT: Final = 1_024
MAX_BYTES: Final = 64 << 20

_YEAR: Final = 31_536_000


class Made(NamedTuple):
    """A picture that was made: its bytes, type and etag."""

    data: bytes
    type: str
    etag: str


@dataclass(slots=True)
class Kept:
    """Pictures by source, the source's version and what they are, as many as are kept. Used by one thread."""

    _made: OrderedDict[tuple[str, str, str], Made] = field(default_factory=OrderedDict)
    _of: Counter[str] = field(default_factory=Counter)
    _bytes: int = 0

    def get(self, name: tuple[str, str, str]) -> Made | None:
        """Return a picture, or None."""
        found = self._made.get(name)
        if found:
            self._made.move_to_end(name)
        return found

    def put(self, name: tuple[str, str, str], made: Made) -> None:
        """Keep a picture, and forget the oldest ones for it."""
        self._forget(name)
        self._made[name] = made
        self._of[name[0]] += 1
        self._bytes += len(made.data)
        while self._of[name[0]] > MAX_OF_A_SOURCE:
            self._forget(next(each for each in self._made if each[0] == name[0]))
        while self._bytes > MAX_BYTES or len(self._made) > MAX_KEPT:
            self._forget(next(iter(self._made)))

    def _forget(self, name: tuple[str, str, str]) -> None:
        made = self._made.pop(name, None)
        if made:
            self._bytes -= len(made.data)
            self._of[name[0]] -= 1
            self._of += Counter()  # without those that are 0


@dataclass(frozen=True, slots=True)
class OnDemand:
    """The endpoint of `/on-demand`."""

    rendering: Rendering
    secret: str
    kept: Kept = field(default_factory=Kept)

    async def show(self, request: Request) -> Response:
        """Answer with the picture: 200, 304; 400 for what cannot be made, 403 for what was not signed or ran out."""
        key, said = key_of(request), _said(request)
        until = self._checked(key, said)
        made = await self._made(key, self._recipe(said))
        seconds = min(until - int(time.time()), _YEAR)
        headers = {"ETag": made.etag, "Cache-Control": f"public, max-age={max(seconds, 0)}"}
        if is_known(made.etag, request.headers):
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(len(made.data))
        return Response(None if request.method == "HEAD" else made.data, 200, headers, made.type)

    def _checked(self, key: str, said: dict[str, str]) -> int:
        """Return until when the address holds; what is said then holds options alone. Raises Problem (403)."""
        given = said.pop(SIGNATURE, "")
        if not hmac.compare_digest(given.encode(), signature(key, said, self.secret).encode()):
            raise Problem(403, "signature: it is not that of this key and these options.", code="bad_signature")
        expires = said.pop(EXPIRES, "0")
        until = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 16 else 0
        if until <= time.time():
            raise Problem(403, "expires: the time of this address is over.", code="expired")
        return until

    def _recipe(self, said: Mapping[str, str]) -> Recipe:
        """Return a recipe of the one picture that is wanted. Raises Problem (400)."""
        try:
            recipe = recipe_of(said)
        except RecipeError as error:
            raise Problem(400, str(error), code="bad_query") from None
        return replace(recipe, limits=self.rendering.library.recipe.limits)

    async def _made(self, key: str, recipe: Recipe) -> Made:
        """Return the picture, from what is kept where it was made of this very source before."""
        library = self.rendering.library
        source = await library.run(library.source.head, key) if is_source(key, library.recipe.selection) else None
        if source is None:
            raise Problem(404, "There is no such image.", code="not_found")
        name = key, source.etag, recipe.fingerprint
        made = self.kept.get(name)
        if made is None:
            picture = await self.rendering.picture(key, recipe)
            etag = f'"{hashlib.sha256(picture.data).hexdigest()[:32]}"'
            made = Made(picture.data, picture.format.media_type, etag)
            self.kept.put(name, made)
        return made


def _said(request: Request) -> dict[str, str]:
    """Return what the query says. Raises Problem (400) for what means nothing here, or is said twice."""
    pairs = request.query_params.multi_items()
    said = dict(pairs)
    unknown = sorted(set(said) - {*OPTIONS, EXPIRES, SIGNATURE})
    if unknown or len(said) < len(pairs):
        expected = ", ".join((*OPTIONS, EXPIRES, SIGNATURE))
        raise Problem(400, f"The query: expected {expected}, each once.", code="bad_query")
    return said
