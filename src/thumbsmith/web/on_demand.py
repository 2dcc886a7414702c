"""`/on-demand`: pictures that no recipe names, for whoever has an address that was signed for them."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.selection import is_source
from thumbsmith.signing import EXPIRES, OPTIONS, SIGNATURE, recipe_of, signature
from thumbsmith.web.addresses import key_of
from thumbsmith.web.conditions import is_known
from thumbsmith.web.problems import Problem
from thumbsmith.web.rendering import Rendering

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
