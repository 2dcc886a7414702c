"""`/previews`: what a variant of any recipe would look like."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.converge import Renderer
from thumbsmith.errors import RecipeError, SourceChanged
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.selection import is_source
from thumbsmith.web.bodies import field as value_of
from thumbsmith.web.bodies import read_object
from thumbsmith.web.library import Library
from thumbsmith.web.problems import Problem
from thumbsmith.worker import Work

# Previews made at once; each is one picture in one worker.
_AT_ONCE: Final = 2

# Seconds that a preview waits for its turn.
_TURN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Previews:
    """The endpoint of `/previews`. Nothing that it is sent or makes is kept."""

    library: Library
    renderer: Renderer
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def preview(self, request: Request) -> Response:
        """Answer with one variant of a recipe, made of an image that is here, and kept nowhere. 200; 400, 404, 422."""
        content = await read_object(request, frozenset({"toml", "variant", "key"}))
        key, name = value_of(content, "key", str), value_of(content, "variant", str)
        recipe = self._only(value_of(content, "toml", str), name)
        try:
            async with asyncio.timeout(_TURN):
                await self._turns.acquire()
        except TimeoutError:
            headers = {"Retry-After": "2"}
            raise Problem(503, "Too many previews at once.", code="try_again", headers=headers) from None
        try:
            work = await self.library.run(self._render, key, recipe)
        finally:
            self._turns.release()
        picture = work.renditions[0]
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
                return replace(recipe, variants=(one,), limits=self.library.recipe.limits)
        raise Problem(404, "The recipe has no variant of this name.", code="not_found")

    def _render(self, key: str, recipe: Recipe) -> Work:
        source = self.library.source
        there = source.open(key) if is_source(key, self.library.recipe.selection) else None
        if there is None:
            raise Problem(404, "There is no such image.", code="not_found")
        with closing(there) as reader:
            try:
                return self.renderer.render(reader, recipe)
            except SourceChanged:
                raise Problem(409, "The image is being replaced.", code="conflict") from None
