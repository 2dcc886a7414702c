"""`/recipe`: the recipe as text, and whether another text is one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Limits, Recipe, Variant
from thumbsmith.recipe.model import altered
from thumbsmith.recipe.selection import Selection
from thumbsmith.web.http import read_field, read_object
from thumbsmith.web.library import Library


@dataclass(frozen=True, slots=True)
class Recipes:
    """The endpoints of `/recipe`. Nothing that they are sent is kept."""

    library: Library

    async def show(self, _: Request) -> Response:
        """Answer with the recipe that holds here, as TOML and variant by variant."""
        recipe = self.library.recipe
        return JSONResponse({"toml": as_toml(recipe), **_described(recipe)}, headers={"Cache-Control": "no-cache"})

    async def check(self, request: Request) -> Response:
        """Answer whether a text is a recipe: with its variants, or with one sentence of what is wrong with it."""
        content = await read_object(request, frozenset({"toml"}))
        try:
            recipe = Recipe.loads(read_field(content, "toml", str))
        except RecipeError as error:
            return JSONResponse({"valid": False, "error": str(error)}, headers={"Cache-Control": "no-store"})
        return JSONResponse({"valid": True, **_described(recipe)}, headers={"Cache-Control": "no-store"})


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
