"""Thumbnails, by the recipe and on demand, and their markup: the operations and their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.signing import EXPIRES, MAX_SECONDS, OPTIONS, SIGNATURE
from thumbsmith.web.operations.operation import (
    COUNT,
    KEY,
    NOT_MODIFIED,
    SIZE,
    TEXT,
    THUMBNAIL,
    Operation,
    described,
    head_of,
    json_of,
    object_of,
    path_parameter,
    query_parameter,
)

_VARIANT: Final = path_parameter(
    "variant", "A variant of the recipe, or one file of it as the manifest names it: `small.webp`."
)

_SHOW_RENDITION: Final = Operation(
    name="show_rendition",
    method="GET",
    path="/renditions/{key}/{variant}",
    summary="Get a thumbnail in the format that `Accept` prefers. A missing thumbnail is made.",
    parameters=(
        KEY,
        _VARIANT,
        query_parameter("v", TEXT, "The version of the content, as in `srcset`: clients may cache it for a year."),
    ),
    responses={
        200: ("The thumbnail.", THUMBNAIL),
        206: ("The part that `Range` asks for.", THUMBNAIL),
        304: NOT_MODIFIED,
        307: ("A redirect to the bucket: the thumbnail is too large for this answer. Only on AWS.", {}),
    },
    problems=(400, 404, 406, 416, 422, 503),
)

_SHOW_ON_DEMAND: Final = Operation(
    name="show_on_demand",
    method="GET",
    path="/on-demand/{key}",
    summary="Render a thumbnail that is not in the recipe. The URL must be signed.",
    parameters=(
        KEY,
        *(query_parameter(name, TEXT, f"As `{name}` of a variant in a recipe.") for name in OPTIONS),
        query_parameter(EXPIRES, {"type": "integer"}, "When the URL expires, in seconds since 1970."),
        query_parameter(SIGNATURE, TEXT, "The signature of the key, the options and `expires`."),
    ),
    responses={200: ("The thumbnail.", THUMBNAIL), 304: NOT_MODIFIED},
    problems=(400, 403, 404, 409, 422, 503),
)

SCHEMAS: Final[Mapping[str, Any]] = {
    "SignRequest": object_of(
        {
            "key": described(TEXT, "The key of an image."),
            "options": described({"type": "object"}, "Width, height and other fields of a variant, and one format."),
        },
        {"seconds": described({**SIZE, "maximum": MAX_SECONDS}, "How long the URL is valid. The default is one day.")},
    ),
    "Signed": object_of({"url": TEXT, "expires": described(COUNT, "In seconds since 1970.")}),
}

OPERATIONS: Final = (
    _SHOW_RENDITION,
    head_of(_SHOW_RENDITION),
    _SHOW_ON_DEMAND,
    head_of(_SHOW_ON_DEMAND),
    Operation(
        name="sign_on_demand",
        method="POST",
        path="/on-demand",
        summary="Sign the URL of a thumbnail that is not in the recipe.",
        body=json_of("SignRequest"),
        responses={200: ("The URL.", json_of("Signed"))},
        problems=(400, 404, 413, 415),
    ),
    Operation(
        name="show_markup",
        method="GET",
        path="/html/{key}",
        summary="Get the `<picture>` element of an image, as `thumbsmith html` prints it.",
        parameters=(
            KEY,
            query_parameter("base", TEXT, "The address of the thumbnails. The default is this server's."),
            query_parameter("variant", TEXT, "Only this variant. The default is all that show the whole image."),
            query_parameter("sizes", TEXT, "The attribute `sizes`: the width on the page."),
            query_parameter("alt", TEXT, "The alternative text."),
        ),
        responses={200: ("The element.", {"text/plain": {"schema": TEXT}})},
        problems=(400, 404, 422, 503),
    ),
)
