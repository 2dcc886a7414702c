"""Every operation of the API, once: the routes and the OpenAPI document are made from this list.

Schemas are JSON Schema, draft 2020-12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thumbsmith.signing import EXPIRES, MAX_SECONDS, OPTIONS, SIGNATURE
from thumbsmith.web.images import DEFAULT_LIMIT, MAX_LIMIT, SORTS, STATUSES

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `name` is the operationId. `body` is the content of the request by media type. `responses` are by status: a
    description, and the content by media type. `problems` are the statuses that are answered with a problem.
    """

    name: str
    method: str
    path: str
    summary: str
    parameters: tuple[Mapping[str, Any], ...] = ()
    body: Mapping[str, Any] | None = None
    responses: Mapping[int, tuple[str, Mapping[str, Any]]]
    problems: tuple[int, ...] = ()


def routes(endpoints: Mapping[str, Endpoint]) -> list[Route]:
    """Return the routes of the operations that have an endpoint. `endpoints` are by the name of their operation.

    A path has one route for all its methods, so that the answer 405 names them all. HEAD operations need no endpoint:
    they are answered by the endpoint for GET.
    """
    by_path: dict[str, dict[str, Endpoint]] = {}
    for each in OPERATIONS:
        if each.name in endpoints:
            by_path.setdefault(each.path, {})[each.method] = endpoints[each.name]
    return [Route(_starlette_path(path), _by_method(given), methods=list(given)) for path, given in by_path.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def answer(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return answer


def _starlette_path(path: str) -> str:
    """Return the path for Starlette. The convertor `key` matches slashes, so it takes key and variant together."""
    return path.replace("{key}/{variant}", "{key:key}").replace("{key}", "{key:key}")


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def _path_parameter(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": description,
    }


def _query_parameter(name: str, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": dict(schema), "description": description}


def _object(
    required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, *, open_ended: bool = False
) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": open_ended}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": ref(schema)}}


def _one_or_several(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content for one file, or the list for several ones."""
    return {"application/json": {"schema": {"anyOf": [content["application/json"]["schema"], ref("Uploads")]}}}


def _described(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SIZE: Final = {"type": "integer", "minimum": 1}
_SIDE: Final = {"type": ["integer", "null"], "minimum": 1}
_BOOLEAN: Final = {"type": "boolean"}
_STATUS: Final = {"enum": list(STATUSES)}
_REJECTION: Final = _object({"code": _TEXT, "detail": _TEXT})
_RENDITION: Final = {"variant": _TEXT, "type": _TEXT, "width": _SIZE, "height": _SIZE, "bytes": _SIZE}
_RECIPE_SUMMARY: Final = {
    "fingerprint": _TEXT,
    "variants": _list(_object({"name": _TEXT, "width": _SIDE, "height": _SIDE, "fit": _TEXT, "formats": _list(_TEXT)})),
    "limits": {"type": "object"},
}
_TOML: Final = _described(_TEXT, "The text of a recipe.")

SCHEMAS: Final[Mapping[str, Any]] = {
    "UploadRequest": _object(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "The key to use."},
            "type": _described(_TEXT, "The media type, for example image/jpeg."),
            "bytes": _described(_SIZE, "The size of the file in bytes."),
        },
        {"replace": {**_BOOLEAN, "default": False, "description": "Replace the image that has this name."}},
    ),
    "Upload": _object(
        {
            "key": _TEXT,
            "upload": _object(
                {"method": {"enum": ["PUT", "POST"]}, "url": _TEXT},
                {"headers": {"type": "object"}, "fields": {"type": "object"}},
            ),
            "expires": _described(_COUNT, "When the URL expires, in seconds since 1970."),
        }
    ),
    "Uploaded": _object({"key": _TEXT}),
    "Uploads": _object(
        {
            "images": _list(
                _object(
                    {"key": _TEXT, "status": {"type": "integer"}},
                    {"manifest": ref("Manifest"), "making": ref("Making"), "problem": ref("Problem")},
                )
            )
        }
    ),
    "Manifest": _object(
        {
            "thumbsmith": {"const": 1},
            "status": {"const": "ok"},
            "recipe": _TEXT,
            "source": _object({"key": _TEXT, "etag": _TEXT, "bytes": _COUNT}, open_ended=True),
            "placeholder": {"type": "object"},
            "renditions": _list(
                _object({**_RENDITION, "key": _TEXT, "format": _TEXT, "sha256": _TEXT, "etag": _TEXT}, open_ended=True)
            ),
            "srcset": {"type": "object", "additionalProperties": _TEXT},
        },
        open_ended=True,
    ),
    "Making": _object(
        {"key": _TEXT, "status": {"const": "making"}, "source": _object({"bytes": _COUNT})},
        {"detail": _described(_TEXT, "Why the last try failed. The server tries again.")},
    ),
    "Image": _object(
        {"key": _TEXT, "bytes": _COUNT, "status": _STATUS},
        {
            "width": _SIZE,
            "height": _SIZE,
            "format": _TEXT,
            "modified": _described(_COUNT, "When the file was written, in seconds since 1970."),
            "alpha": _described(_BOOLEAN, "Whether parts of the image can be transparent."),
            "color": _described(_TEXT, "The average color, for the time of loading. Not for transparent images."),
            "renditions": _list(_object({**_RENDITION, "url": _TEXT})),
            "rejection": _REJECTION,
        },
    ),
    "Page": _object(
        {"images": _list(ref("Image"))},
        {"cursor": _TEXT, "total": _described(_COUNT, "How many images the query selects, without `status`.")},
    ),
    "Recipe": _object(
        {
            "toml": _TEXT,
            "file": _described({"type": ["string", "null"]}, "The name of the file that `PUT /recipe` writes, if any."),
            **_RECIPE_SUMMARY,
        }
    ),
    "RecipeSaved": _object({"file": _described(_TEXT, "The path of the file.")}),
    "RecipePlan": _object(
        {
            "sources": _described(_COUNT, "All images."),
            "updated": _described(_COUNT, "Images whose thumbnails would be made again, or some of them deleted."),
            "deleted": _described(_COUNT, "Files of variants that the recipe has no more."),
            "bytes": _described(_COUNT, "The size of the images to read."),
            "seconds": _described({"type": "number"}, "The approximate time on this machine."),
            "dollars": _described({"type": ["number", "null"]}, "The cost of requests to S3, if a store is on S3."),
        }
    ),
    "SignRequest": _object(
        {
            "key": _described(_TEXT, "The key of an image."),
            "options": _described({"type": "object"}, "Width, height and other fields of a variant, and one format."),
        },
        {
            "seconds": _described(
                {**_SIZE, "maximum": MAX_SECONDS}, "How long the URL is valid. The default is one day."
            )
        },
    ),
    "Signed": _object({"url": _TEXT, "expires": _described(_COUNT, "In seconds since 1970.")}),
    "RecipeText": _object({"toml": _TOML}),
    "RecipeCheck": _object({"valid": _BOOLEAN}, {**_RECIPE_SUMMARY, "error": _TEXT}),
    "PreviewRequest": _object(
        {
            "toml": _TOML,
            "variant": _described(_TEXT, "The name of a variant in this recipe."),
            "key": _described(_TEXT, "The key of an image."),
        }
    ),
    "Formats": _object(
        {
            "formats": _list(_object({"name": _TEXT, "suffixes": _list(_TEXT), "types": _list(_TEXT)})),
            "max_bytes": _described(_SIZE, "The largest size of a file in bytes."),
        }
    ),
    "EventDone": _object(
        {"images": _list(_object({"key": _TEXT, "outcome": _TEXT, "code": {"type": ["string", "null"]}}))}
    ),
    "EventQueued": _object({"queued": _COUNT}),
    "Token": _object({"token": _described(_TEXT, "The token of the server.")}),
    "Health": _object({"status": {"const": "ok"}}),
    "Problem": _object(
        {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
        {"code": _TEXT, "rejection": _REJECTION},
        open_ended=True,
    ),
}

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_THUMBNAIL: Final = {f"image/{kind}": _BINARY for kind in ("jpeg", "png", "webp", "avif")}
_NOT_MODIFIED: Final = ("The content still has the etag that `If-None-Match` names.", dict[str, Any]())
_KEY: Final = _path_parameter("key", "The key of the image, percent-encoded as one segment or with slashes.")
_VARIANT: Final = _path_parameter(
    "variant", "A variant of the recipe, or one file of it as the manifest names it: `small.webp`."
)

_WAIT: Final = _query_parameter(
    "wait", {"type": "number", "minimum": 0}, "How many seconds to wait for thumbnails that are being made."
)
_REPLACE: Final = _query_parameter("replace", _BOOLEAN, "Replace the image that has this name. The default is false.")
_FORM: Final = _object(
    {"file": _described(_list(_BINARY["schema"]), "The files. Any name of the field is accepted.")}, open_ended=True
)
_STORED: Final = {
    201: ("The manifest: the thumbnails were made within the time of `wait`.", _json("Manifest")),
    202: ("The image is stored. Its thumbnails are being made.", _json("Making")),
}

_SHOW_RENDITION: Final = Operation(
    name="show_rendition",
    method="GET",
    path="/renditions/{key}/{variant}",
    summary="Get a thumbnail in the format that `Accept` prefers. A missing thumbnail is made.",
    parameters=(
        _KEY,
        _VARIANT,
        _query_parameter("v", _TEXT, "The version of the content, as in `srcset`: clients may cache it for a year."),
    ),
    responses={
        200: ("The thumbnail.", _THUMBNAIL),
        206: ("The part that `Range` asks for.", _THUMBNAIL),
        304: _NOT_MODIFIED,
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
        _KEY,
        *(_query_parameter(name, _TEXT, f"As `{name}` of a variant in a recipe.") for name in OPTIONS),
        _query_parameter(EXPIRES, {"type": "integer"}, "When the URL expires, in seconds since 1970."),
        _query_parameter(SIGNATURE, _TEXT, "The signature of the key, the options and `expires`."),
    ),
    responses={200: ("The thumbnail.", _THUMBNAIL), 304: _NOT_MODIFIED},
    problems=(400, 403, 404, 409, 422, 503),
)


def _as_head(operation: Operation) -> Operation:
    """Return the HEAD operation of a GET operation."""
    return replace(
        operation,
        name=operation.name.replace("show_", "head_"),
        method="HEAD",
        summary="The same answer without the body.",
        responses={status: (description, {}) for status, (description, _) in operation.responses.items()},
    )


OPERATIONS: Final = (
    Operation(
        name="create_upload",
        method="POST",
        path="/uploads",
        summary="Ask for permission to upload one image. Its key is the name; a number is added if the name is taken.",
        body=_json("UploadRequest"),
        responses={201: ("The request that uploads the image.", _json("Upload"))},
        problems=(400, 413, 415, 422, 503),
    ),
    Operation(
        name="receive_upload",
        method="PUT",
        path="/uploads/{ticket}",
        summary="Upload the image, if the answer to `POST /uploads` names this URL. It works once.",
        parameters=(_path_parameter("ticket", "The secret in the URL of the upload."),),
        body=dict.fromkeys(("image/jpeg", "image/*"), _BINARY),
        responses={201: ("The image is stored. Its thumbnails are being made.", _json("Uploaded"))},
        problems=(400, 404, 408, 409, 413, 415, 503),
    ),
    Operation(
        name="put_image",
        method="PUT",
        path="/images/{key}",
        summary="Upload an image: the body is the file. Repeat the request if it was interrupted.",
        parameters=(_KEY, _WAIT, _REPLACE),
        body=dict.fromkeys(("application/octet-stream", "image/*"), _BINARY),
        responses=_STORED,
        problems=(400, 404, 408, 409, 413, 415, 422, 503),
    ),
    Operation(
        name="post_images",
        method="POST",
        path="/images",
        summary="Upload the files of a form. The answer for one file is that of `PUT /images/{key}`.",
        parameters=(
            _query_parameter("prefix", _TEXT, "Text to put before each file name: `holiday/`."),
            _WAIT,
            _REPLACE,
        ),
        body={"multipart/form-data": {"schema": _FORM}},
        responses={
            **{status: (text, _one_or_several(content)) for status, (text, content) in _STORED.items()},
            207: ("Several files with different results: `status` of each.", _json("Uploads")),
        },
        problems=(400, 408, 409, 413, 415, 422, 503),
    ),
    Operation(
        name="show_image",
        method="GET",
        path="/images/{key}",
        summary="Get the status of an image: its manifest when the thumbnails are made.",
        parameters=(
            _KEY,
            _WAIT,
        ),
        responses={
            200: ("The manifest.", _json("Manifest")),
            202: ("The thumbnails are being made.", _json("Making")),
            304: _NOT_MODIFIED,
        },
        problems=(400, 404, 422, 503),
    ),
    Operation(
        name="remove_image",
        method="DELETE",
        path="/images/{key}",
        summary="Delete an image and its thumbnails.",
        parameters=(_KEY,),
        responses={204: ("The image is deleted.", {})},
        problems=(400, 404, 503),
    ),
    Operation(
        name="list_images",
        method="GET",
        path="/images",
        summary="List images. A page with a `cursor` is not the last, even if it is empty.",
        parameters=(
            _query_parameter("prefix", _TEXT, "Only keys that begin with this text."),
            _query_parameter("q", _TEXT, "Only keys that contain this text, in any case."),
            _query_parameter(
                "sort", {"enum": list(SORTS)}, "The order: by `name` (the default), the newest or the largest first."
            ),
            _query_parameter("total", _BOOLEAN, "Also count all images that the query selects. The default is false."),
            _query_parameter("cursor", _TEXT, "The `cursor` of the page before."),
            _query_parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
                f"The number of images on a page. The default is {DEFAULT_LIMIT}.",
            ),
            _query_parameter("status", _STATUS, "Only images with this status."),
        ),
        responses={200: ("A page of the list.", _json("Page"))},
        problems=(400, 503),
    ),
    _SHOW_RENDITION,
    _as_head(_SHOW_RENDITION),
    _SHOW_ON_DEMAND,
    _as_head(_SHOW_ON_DEMAND),
    Operation(
        name="sign_on_demand",
        method="POST",
        path="/on-demand",
        summary="Sign the URL of a thumbnail that is not in the recipe.",
        body=_json("SignRequest"),
        responses={200: ("The URL.", _json("Signed"))},
        problems=(400, 404, 413, 415),
    ),
    Operation(
        name="show_markup",
        method="GET",
        path="/html/{key}",
        summary="Get the `<picture>` element of an image, as `thumbsmith html` prints it.",
        parameters=(
            _KEY,
            _query_parameter("base", _TEXT, "The address of the thumbnails. The default is this server's."),
            _query_parameter("variant", _TEXT, "Only this variant. The default is all that show the whole image."),
            _query_parameter("sizes", _TEXT, "The attribute `sizes`: the width on the page."),
            _query_parameter("alt", _TEXT, "The alternative text."),
        ),
        responses={200: ("The element.", {"text/plain": {"schema": _TEXT}})},
        problems=(400, 404, 422, 503),
    ),
    Operation(
        name="show_recipe",
        method="GET",
        path="/recipe",
        summary="Get the recipe of this server.",
        responses={200: ("The recipe.", _json("Recipe"))},
    ),
    Operation(
        name="check_recipe",
        method="POST",
        path="/recipe/check",
        summary="Check whether a text is a valid recipe. It is not stored.",
        body=_json("RecipeText"),
        responses={200: ("Whether the recipe is valid, and why not.", _json("RecipeCheck"))},
        problems=(400, 413, 415),
    ),
    Operation(
        name="save_recipe",
        method="PUT",
        path="/recipe",
        summary="Save a recipe to the recipe file of this server, and update all thumbnails by it.",
        body=_json("RecipeText"),
        responses={200: ("The recipe is saved.", _json("RecipeSaved"))},
        problems=(400, 409, 413, 415, 500),
    ),
    Operation(
        name="plan_recipe",
        method="POST",
        path="/recipe/plan",
        summary="Find out what a recipe would change for the images of this server. Nothing is changed.",
        body=_json("RecipeText"),
        responses={200: ("The changes.", _json("RecipePlan"))},
        problems=(400, 413, 415, 503),
    ),
    Operation(
        name="preview",
        method="POST",
        path="/previews",
        summary="Render one variant of any recipe from a stored image. Nothing is stored.",
        body=_json("PreviewRequest"),
        responses={200: ("The thumbnail, in the first format of the variant.", _THUMBNAIL)},
        problems=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        name="receive_event",
        method="POST",
        path="/events",
        summary="Receive a notification of a server of S3. Unless the answer is 2xx, send it again.",
        body={"application/json": {"schema": {"type": "object"}}},
        responses={
            200: ("All thumbnails of the notification are right.", _json("EventDone")),
            202: ("A queue has stored the notification.", _json("EventQueued")),
        },
        problems=(400, 401, 403, 413, 503),
    ),
    Operation(
        name="enter",
        method="POST",
        path="/session",
        summary="Exchange the token for a cookie, for pages whose `<img>` cannot send a token.",
        body=_json("Token"),
        responses={204: ("The cookie is set, or the server requires no token.", {})},
        problems=(400, 401, 413, 415),
    ),
    Operation(
        name="show_formats",
        method="GET",
        path="/formats",
        summary="Get the formats of files that can be uploaded, and the largest size.",
        responses={200: ("The formats.", _json("Formats"))},
    ),
    Operation(
        name="show_metrics",
        method="GET",
        path="/metrics",
        summary="Get metrics for Prometheus.",
        responses={200: ("The metrics, in the text format of Prometheus.", {"text/plain": {"schema": _TEXT}})},
    ),
    Operation(
        name="health",
        method="GET",
        path="/health",
        summary="Check whether the server is running. It answers to any Host, and needs no token.",
        responses={200: ("The server is running.", _json("Health"))},
    ),
)
