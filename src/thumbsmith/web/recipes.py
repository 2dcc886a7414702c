"""`/recipe` and `/previews`: the recipe as text, whether another text is one, and what a variant would look like."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.converge import Renderer
from thumbsmith.errors import RecipeError, SourceChanged
from thumbsmith.recipe import Limits, Recipe, Variant
from thumbsmith.recipe.selection import Selection, is_source
from thumbsmith.recipe.values import altered
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
class Recipes:
    """The endpoints of `/recipe` and `/previews`. Nothing that they are sent is kept."""

    library: Library
    renderer: Renderer
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def show(self, _: Request) -> Response:
        """Answer with the recipe that holds here, as TOML and variant by variant."""
        recipe = self.library.recipe
        return JSONResponse({"toml": as_toml(recipe), **_described(recipe)}, headers={"Cache-Control": "no-cache"})

    async def check(self, request: Request) -> Response:
        """Answer whether a text is a recipe: with its variants, or with one sentence of what is wrong with it."""
        content = await read_object(request, frozenset({"toml"}))
        try:
            recipe = Recipe.loads(value_of(content, "toml", str))
        except RecipeError as error:
            return JSONResponse({"valid": False, "error": str(error)}, headers={"Cache-Control": "no-store"})
        return JSONResponse({"valid": True, **_described(recipe)}, headers={"Cache-Control": "no-store"})

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


def as_toml(recipe: Recipe) -> str:
    """Return TOML from which an equal recipe can be read."""
    tables: dict[str, dict[str, Any]] = {
        "limits": altered(recipe.limits),
        "source": _selection(recipe.selection),
        **{f"variants.{each.name}": altered(each) for each in recipe.variants},
    }
    written = (
        "\n".join([f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in fields.items())])
        for name, fields in tables.items()
        if fields
    )
    return "\n\n".join(written) + "\n"


def _selection(selection: Selection) -> dict[str, Any]:
    return {
        name: list(getattr(selection, name))
        for name in ("include", "exclude")
        if getattr(selection, name) != getattr(Selection(), name)
    }


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)  # text, numbers, booleans and lists are spelled alike in both


def _described(recipe: Recipe) -> dict[str, Any]:
    return {
        "fingerprint": recipe.fingerprint,
        "variants": [_variant(each) for each in recipe.variants],
        "limits": altered(recipe.limits) if recipe.limits != Limits() else {},
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "width": variant.width,
        "height": variant.height,
        "fit": variant.fit,
        "formats": list(variant.formats),
    }
