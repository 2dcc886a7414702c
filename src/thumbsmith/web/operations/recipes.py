"""Recipes: the operations and their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.web.operations.operation import (
    BOOLEAN,
    COUNT,
    SIDE,
    TEXT,
    THUMBNAIL,
    Operation,
    described,
    json_of,
    list_of,
    object_of,
)

_TOML: Final = described(TEXT, "The text of a recipe.")
_RECIPE_SUMMARY: Final = {
    "fingerprint": TEXT,
    "variants": list_of(
        object_of({"name": TEXT, "width": SIDE, "height": SIDE, "fit": TEXT, "formats": list_of(TEXT)})
    ),
    "limits": {"type": "object"},
}

SCHEMAS: Final[Mapping[str, Any]] = {
    "Recipe": object_of(
        {
            "toml": TEXT,
            "file": described({"type": ["string", "null"]}, "The name of the file that `PUT /recipe` writes, if any."),
            **_RECIPE_SUMMARY,
        }
    ),
    "RecipeSaved": object_of({"file": described(TEXT, "The path of the file.")}),
    "RecipePlan": object_of(
        {
            "sources": described(COUNT, "All images."),
            "updated": described(COUNT, "Images whose thumbnails would be made again, or some of them deleted."),
            "deleted": described(COUNT, "Files of variants that the recipe has no more."),
            "ignored": described(COUNT, "Files that are no images, because of their suffix."),
            "bytes": described(COUNT, "The size of the images to read."),
            "seconds": described({"type": "number"}, "The approximate time on this machine."),
            "dollars": described({"type": ["number", "null"]}, "The cost of requests to S3, if a store is on S3."),
        }
    ),
    "RecipeText": object_of({"toml": _TOML}),
    "RecipeCheck": object_of({"valid": BOOLEAN}, {**_RECIPE_SUMMARY, "error": TEXT}),
    "PreviewRequest": object_of(
        {
            "toml": _TOML,
            "variant": described(TEXT, "The name of a variant in this recipe."),
            "key": described(TEXT, "The key of an image."),
        }
    ),
}

OPERATIONS: Final = (
    Operation(
        name="show_recipe",
        method="GET",
        path="/recipe",
        summary="Get the recipe of this server.",
        responses={200: ("The recipe.", json_of("Recipe"))},
    ),
    Operation(
        name="check_recipe",
        method="POST",
        path="/recipe/check",
        summary="Check whether a text is a valid recipe. It is not stored.",
        body=json_of("RecipeText"),
        responses={200: ("Whether the recipe is valid, and why not.", json_of("RecipeCheck"))},
        problems=(400, 413, 415),
    ),
    Operation(
        name="save_recipe",
        method="PUT",
        path="/recipe",
        summary="Save a recipe to the recipe file of this server, and update all thumbnails by it.",
        body=json_of("RecipeText"),
        responses={200: ("The recipe is saved.", json_of("RecipeSaved"))},
        problems=(400, 409, 413, 415, 500),
    ),
    Operation(
        name="plan_recipe",
        method="POST",
        path="/recipe/plan",
        summary="Find out what a recipe would change for the images of this server. Nothing is changed.",
        body=json_of("RecipeText"),
        responses={200: ("The changes.", json_of("RecipePlan"))},
        problems=(400, 413, 415, 503),
    ),
    Operation(
        name="preview",
        method="POST",
        path="/previews",
        summary="Render one variant of any recipe from a stored image. Nothing is stored.",
        body=json_of("PreviewRequest"),
        responses={200: ("The thumbnail, in the first format of the variant.", THUMBNAIL)},
        problems=(400, 404, 409, 413, 415, 422, 503),
    ),
)
