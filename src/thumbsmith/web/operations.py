"""What goes in and comes out, as JSON Schema (draft 2020-12).

Every operation of the API once: from this the routes and the OpenAPI document are made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thumbsmith.signing import EXPIRES, OPTIONS, SIGNATURE


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, means: str) -> dict[str, Any]:
    """Return a part of a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": means,
    }


def query(name: str, schema: Mapping[str, Any], means: str) -> dict[str, Any]:
    """Return a part of a query."""
    return {"name": name, "in": "query", "required": False, "schema": dict(schema), "description": means}


def _object(
    required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, *, open_ended: bool = False
) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": open_ended}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SIZE: Final = {"type": "integer", "minimum": 1}
_SIDE: Final = {"type": ["integer", "null"], "minimum": 1}
_BOOLEAN: Final = {"type": "boolean"}
_REJECTION: Final = _object({"code": _TEXT, "detail": _TEXT})
_VARIANTS: Final = _list(
    _object({"name": _TEXT, "width": _SIDE, "height": _SIDE, "fit": _TEXT, "formats": _list(_TEXT)})
)
_DESCRIBED: Final = {"fingerprint": _TEXT, "variants": _VARIANTS, "limits": {"type": "object"}}
_PICTURE: Final = {"variant": _TEXT, "type": _TEXT, "width": _SIZE, "height": _SIZE, "bytes": _SIZE}

SCHEMAS: Final[Mapping[str, Any]] = {
    "UploadRequest": _object(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "The key that is wished for."},
            "type": {"type": "string", "description": "The media type, such as image/jpeg."},
            "bytes": {**_SIZE, "description": "The size of the file."},
        },
        {"replace": {**_BOOLEAN, "default": False, "description": "Replace an image of this name."}},
    ),
    "Upload": _object(
        {
            "key": _TEXT,
            "upload": _object(
                {"method": {"enum": ["PUT", "POST"]}, "url": _TEXT},
                {"headers": {"type": "object"}, "fields": {"type": "object"}},
            ),
            "expires": {**_COUNT, "description": "Until when, in seconds since 1970."},
        }
    ),
    "Uploaded": _object({"key": _TEXT}),
    "Manifest": _object(
        {
            "thumbsmith": {"const": 1},
            "status": {"const": "ok"},
            "recipe": _TEXT,
            "source": _object({"key": _TEXT, "etag": _TEXT, "bytes": _COUNT}, open_ended=True),
            "placeholder": {"type": "object"},
            "renditions": _list(
                _object({**_PICTURE, "key": _TEXT, "format": _TEXT, "sha256": _TEXT, "etag": _TEXT}, open_ended=True)
            ),
            "srcset": {"type": "object", "additionalProperties": _TEXT},
        },
        open_ended=True,
    ),
    "Making": _object(
        {"key": _TEXT, "status": {"const": "making"}, "source": _object({"bytes": _COUNT})},
        {"detail": {**_TEXT, "description": "What failed a moment ago and is tried again."}},
    ),
    "Image": _object(
        {"key": _TEXT, "bytes": _COUNT, "status": {"enum": ["ok", "rejected", "making"]}},
        {
            "width": _SIZE,
            "height": _SIZE,
            "format": _TEXT,
            "color": _TEXT,
            "renditions": _list(_object({**_PICTURE, "url": _TEXT})),
            "rejection": _REJECTION,
        },
    ),
    "Page": _object({"images": _list(ref("Image"))}, {"cursor": _TEXT}),
    "Recipe": _object({"toml": _TEXT, **_DESCRIBED}),
    "RecipeText": _object({"toml": _TEXT}),
    "RecipeCheck": _object({"valid": _BOOLEAN}, {**_DESCRIBED, "error": _TEXT}),
    "PreviewRequest": _object({"toml": _TEXT, "variant": _TEXT, "key": _TEXT}),
    "Token": _object({"token": _TEXT}),
    "Health": _object({"status": {"const": "ok"}}),
    "Problem": _object(
        {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
        {"code": _TEXT, "rejection": _REJECTION},
        open_ended=True,
    ),
}


Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `answers` are by status: what it means, and the content by media type."""

    name: str
    method: str
    path: str
    summary: str
    parameters: tuple[Mapping[str, Any], ...] = ()
    body: Mapping[str, Any] | None = None
    answers: Mapping[int, tuple[str, Mapping[str, Any]]]
    problems: tuple[int, ...] = ()


_JSON: Final = "application/json"


def _json(name: str) -> dict[str, Any]:
    return {_JSON: {"schema": ref(name)}}


_PICTURE_BODY: Final = {
    f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("jpeg", "png", "webp", "avif")
}
_KEY: Final = parameter("key", "The image's key, percent-encoded as one segment or with `/` kept.")
_VARIANT: Final = parameter(
    "variant", "A variant of the recipe, or one file of it as the manifest names it: `small.webp`."
)

_RENDITION: Final = Operation(
    name="show_rendition",
    method="GET",
    path="/renditions/{key}/{variant}",
    summary="A thumbnail in the format that `Accept` wants most; one that is missing is made.",
    parameters=(
        _KEY,
        _VARIANT,
        query("v", {"type": "string"}, "The content's version, as in `srcset`: kept for a year."),
    ),
    answers={
        200: ("The picture.", _PICTURE_BODY),
        206: ("The part of it that `Range` asks for.", _PICTURE_BODY),
        304: ("The version that `If-None-Match` names is still the one.", {}),
        307: ("Where it is: in the bucket, as it is too large to be sent from here. On AWS alone.", {}),
    },
    problems=(400, 404, 406, 416, 422, 503),
)

_ON_DEMAND: Final = Operation(
    name="show_on_demand",
    method="GET",
    path="/on-demand/{key}",
    summary="A picture that no recipe names, made when it is asked for. Where addresses are signed.",
    parameters=(
        _KEY,
        *(query(name, {"type": "string"}, f"As a variant's `{name}` in a recipe.") for name in OPTIONS),
        query(EXPIRES, {"type": "integer"}, "Until when the address holds, in seconds since 1970."),
        query(SIGNATURE, {"type": "string"}, "The signature of the key, the options and `expires`."),
    ),
    answers={
        200: ("The picture.", _PICTURE_BODY),
        304: ("The version that `If-None-Match` names is still the one.", {}),
    },
    problems=(400, 403, 404, 409, 422, 503),
)


def _without_body(operation: Operation) -> Operation:
    answers: dict[int, tuple[str, Mapping[str, Any]]] = {
        status: (means, {}) for status, (means, _) in operation.answers.items()
    }
    name, summary = operation.name.replace("show_", "head_"), "The same without the picture."
    return replace(operation, name=name, method="HEAD", summary=summary, answers=answers)


OPERATIONS: Final = (
    Operation(
        name="create_upload",
        method="POST",
        path="/uploads",
        summary="Ask for leave to upload one image. Its key is the name, with a number added where that is taken.",
        body=_json("UploadRequest"),
        answers={201: ("How to upload it.", _json("Upload"))},
        problems=(400, 413, 415, 422, 503),
    ),
    Operation(
        name="receive_upload",
        method="PUT",
        path="/uploads/{ticket}",
        summary="Upload the image, where the answer to `POST /uploads` leads here. Works once.",
        parameters=(parameter("ticket", "What the URL of the upload holds."),),
        body={kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/*")},
        answers={201: ("It is stored; its thumbnails are being made.", _json("Uploaded"))},
        problems=(400, 404, 408, 409, 413, 415, 503),
    ),
    Operation(
        name="show_image",
        method="GET",
        path="/images/{key}",
        summary="How an image stands: its manifest, once its thumbnails are made.",
        parameters=(
            _KEY,
            query("wait", {"type": "number", "minimum": 0}, "Seconds to wait for thumbnails that are being made."),
        ),
        answers={
            200: ("The manifest.", _json("Manifest")),
            202: ("The thumbnails are being made.", _json("Making")),
            304: ("The version that `If-None-Match` names is still the one.", {}),
        },
        problems=(400, 404, 422, 503),
    ),
    Operation(
        name="remove_image",
        method="DELETE",
        path="/images/{key}",
        summary="Delete an image and its thumbnails.",
        parameters=(_KEY,),
        answers={204: ("It is gone.", {})},
        problems=(400, 404, 503),
    ),
    Operation(
        name="list_images",
        method="GET",
        path="/images",
        summary="List images in the order of their keys. A page with a `cursor` is not the last, even if it is empty.",
        parameters=(
            query("prefix", {"type": "string"}, "Only keys that begin so."),
            query("cursor", {"type": "string"}, "The `cursor` of the page before."),
            query("limit", {"type": "integer", "minimum": 1, "maximum": 200}, "Images a page, by default 50."),
            query("status", {"enum": ["ok", "rejected", "making"]}, "Only images that stand so."),
        ),
        answers={200: ("A page.", _json("Page"))},
        problems=(400, 503),
    ),
    _RENDITION,
    _without_body(_RENDITION),
    _ON_DEMAND,
    _without_body(_ON_DEMAND),
    Operation(
        name="show_recipe",
        method="GET",
        path="/recipe",
        summary="The recipe that holds here.",
        answers={200: ("The recipe.", _json("Recipe"))},
    ),
    Operation(
        name="check_recipe",
        method="POST",
        path="/recipe/check",
        summary="Ask whether a text is a recipe. It is not kept.",
        body=_json("RecipeText"),
        answers={200: ("Whether it is, and if not, why.", _json("RecipeCheck"))},
        problems=(400, 413, 415),
    ),
    Operation(
        name="preview",
        method="POST",
        path="/previews",
        summary="Make one variant of any recipe from an image that is here, and keep neither.",
        body=_json("PreviewRequest"),
        answers={200: ("The picture, in the variant's first format.", _PICTURE_BODY)},
        problems=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        name="enter",
        method="POST",
        path="/session",
        summary="Exchange the token for a cookie, for pages whose `<img>` cannot send a token.",
        body=_json("Token"),
        answers={204: ("The cookie is set; or no token is needed.", {})},
        problems=(400, 401, 413, 415),
    ),
    Operation(
        name="health",
        method="GET",
        path="/health",
        summary="Whether the server is up.",
        answers={200: ("It is.", _json("Health"))},
    ),
)


def routes(endpoints: Mapping[str, Endpoint]) -> list[Route]:
    """Return the routes of the operations that there are endpoints of, which are by name."""
    return [
        Route(_template(each.path), endpoints[each.name], methods=[each.method], name=each.name)
        for each in OPERATIONS
        if each.name in endpoints  # Starlette's GET answers HEAD too
    ]


def _template(path: str) -> str:
    """Return the path as Starlette spells it: a key is any text, and the variant the end of it."""
    return path.replace("{key}/{variant}", "{key:key}").replace("{key}", "{key:key}")
