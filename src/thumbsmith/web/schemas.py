"""What goes in and comes out, as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


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
