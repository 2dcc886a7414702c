"""The endpoints `/recipe`: the recipe of this server, and a check whether a text is a valid recipe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Limits, Recipe, Variant
from thumbsmith.recipe.model import changed_fields
from thumbsmith.recipe.selection import Selection
from thumbsmith.web.http import read_field, read_json_object
from thumbsmith.web.library import ImageLibrary


@dataclass(frozen=True, slots=True)
class RecipeEndpoints:
    """The endpoints `/recipe`. They store nothing."""

    library: ImageLibrary

    async def show(self, _: Request) -> Response:
        """Answer with the recipe of this server, as TOML and as JSON."""
        recipe = self.library.recipe
        content = {"toml": recipe_as_toml(recipe), **_summary(recipe)}
        return JSONResponse(content, headers={"Cache-Control": "no-cache"})

    async def check(self, request: Request) -> Response:
        """Answer whether a text is a valid recipe: with its variants, or with a sentence that names the error."""
        content = await read_json_object(request, frozenset({"toml"}))
        try:
            recipe = Recipe.loads(read_field(content, "toml", str))
        except RecipeError as error:
            return JSONResponse({"valid": False, "error": str(error)}, headers={"Cache-Control": "no-store"})
        return JSONResponse({"valid": True, **_summary(recipe)}, headers={"Cache-Control": "no-store"})


def recipe_as_toml(recipe: Recipe) -> str:
    """Return TOML that loads as an equal recipe. Values that are defaults are left out."""
    tables: dict[str, dict[str, Any]] = {
        "limits": changed_fields(recipe.limits),
        "source": _altered_selection(recipe.selection),
        **{f"variants.{each.name}": changed_fields(each) for each in recipe.variants},
    }
    written = (
        "\n".join([f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in fields.items())])
        for name, fields in tables.items()
        if fields
    )
    return "\n\n".join(written) + "\n"


def _altered_selection(selection: Selection) -> dict[str, Any]:
    return {
        name: list(getattr(selection, name))
        for name in ("include", "exclude")
        if getattr(selection, name) != getattr(Selection(), name)
    }


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)  # TOML and JSON write texts, numbers, booleans and lists in the same way


def _summary(recipe: Recipe) -> dict[str, Any]:
    return {
        "fingerprint": recipe.fingerprint,
        "variants": [_variant(each) for each in recipe.variants],
        "limits": changed_fields(recipe.limits) if recipe.limits != Limits() else {},
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "width": variant.width,
        "height": variant.height,
        "fit": variant.fit,
        "formats": list(variant.formats),
    }
