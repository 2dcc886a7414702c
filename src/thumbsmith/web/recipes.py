"""The endpoints `/recipe`: the recipe of this server, the check of another one, and its file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Limits, Recipe, Variant
from thumbsmith.recipe.model import changed_fields
from thumbsmith.recipe.selection import Selection
from thumbsmith.store.atomic_write import write_whole
from thumbsmith.web.http import Problem, read_field, read_json_object
from thumbsmith.web.library import ImageLibrary


@dataclass(frozen=True, slots=True)
class RecipeEndpoints:
    """The endpoints that read and check recipes. `file` is the file that a recipe may be saved to."""

    library: ImageLibrary
    file: Path | None = None

    async def show(self, _: Request) -> Response:
        """Answer with the recipe of this server, as TOML and as JSON. The TOML is that of the file if it is equal."""
        recipe = self.library.recipe
        toml = await self.library.run(self._toml)
        content = {"toml": toml, "file": self.file.name if self.file else None, **_summary(recipe)}
        return JSONResponse(content, headers={"Cache-Control": "no-cache"})

    def _toml(self) -> str:
        recipe = self.library.recipe
        if self.file:
            with contextlib.suppress(OSError, ValueError, RecipeError):
                text = self.file.read_text(encoding="utf-8")
                if Recipe.loads(text) == recipe:
                    return text
        return recipe_as_toml(recipe)

    async def check(self, request: Request) -> Response:
        """Answer whether a text is a valid recipe: with its variants, or with a sentence that names the error."""
        content = await read_json_object(request, frozenset({"toml"}))
        try:
            recipe = Recipe.loads(read_field(content, "toml", str))
        except RecipeError as error:
            return JSONResponse({"valid": False, "error": str(error)}, headers={"Cache-Control": "no-store"})
        return JSONResponse({"valid": True, **_summary(recipe)}, headers={"Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True)
class RecipeFileEndpoint:
    """The endpoint that saves a recipe to `file`. From then on, `use` makes the server work by it."""

    library: ImageLibrary
    file: Path | None
    use: Callable[[Recipe], None]
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def save(self, request: Request) -> Response:
        """Write a valid recipe to the file and use it: 200; 400 for another text, 409 without a file, 500 on failure.

        The file comes first: a recipe that is used is also the one of the next start.
        """
        content = await read_json_object(request, frozenset({"toml"}))
        toml = read_field(content, "toml", str)
        recipe = recipe_from_text(toml)
        if self.file is None:
            raise Problem(409, "This server has no recipe file. Save the text on your computer.", code="conflict")
        async with self._lock:
            try:
                await self.library.run(_write, self.file, toml)
            except OSError as error:
                detail = f"{self.file.name}: the server cannot write this file: {error.strerror}."
                raise Problem(500, detail, code="not_saved") from error
            await self.library.run(self.use, recipe)
        return JSONResponse({"file": str(self.file)}, headers={"Cache-Control": "no-store"})


def recipe_from_text(toml: str) -> Recipe:
    """Return the recipe in a text. Raises Problem (400)."""
    try:
        return Recipe.loads(toml)
    except RecipeError as error:
        raise Problem(400, str(error), code="bad_recipe") from None


def _write(file: Path, text: str) -> None:
    """Write a file as a whole. Raises OSError."""
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        write_whole(folder, file.name, text.encode())
    finally:
        os.close(folder)


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
