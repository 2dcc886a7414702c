"""An operation of the API, and the parameters, answers and parts of schemas that several operations share.

Schemas are JSON Schema, draft 2020-12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final


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


def head_of(operation: Operation) -> Operation:
    """Return the HEAD operation of a GET operation."""
    return replace(
        operation,
        name=operation.name.replace("show_", "head_"),
        method="HEAD",
        summary="The same answer without the body.",
        responses={status: (description, {}) for status, (description, _) in operation.responses.items()},
    )


def path_parameter(name: str, description: str) -> dict[str, Any]:
    """Return a parameter that is a part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": description,
    }


def query_parameter(name: str, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return an optional parameter of the query."""
    return {"name": name, "in": "query", "required": False, "schema": dict(schema), "description": description}


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(
    required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, *, open_ended: bool = False
) -> dict[str, Any]:
    """Return the schema of an object with these properties, by name. `open_ended`: it may have others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": open_ended}


def list_of(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def json_of(schema: str) -> dict[str, Any]:
    """Return the content of a body in JSON with a named schema."""
    return {"application/json": {"schema": ref(schema)}}


def described(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return a schema with a description."""
    return {**schema, "description": description}


TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer", "minimum": 0}
SIZE: Final = {"type": "integer", "minimum": 1}
SIDE: Final = {"type": ["integer", "null"], "minimum": 1}
BOOLEAN: Final = {"type": "boolean"}
REJECTION: Final = object_of({"code": TEXT, "detail": TEXT})
RENDITION_FIELDS: Final = {"variant": TEXT, "type": TEXT, "width": SIZE, "height": SIZE, "bytes": SIZE}

BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
THUMBNAIL: Final = {f"image/{kind}": BINARY for kind in ("jpeg", "png", "webp", "avif")}

NOT_MODIFIED: Final = ("The content still has the etag that `If-None-Match` names.", dict[str, Any]())
KEY: Final = path_parameter("key", "The key of the image, percent-encoded as one segment or with slashes.")
WAIT: Final = query_parameter(
    "wait", {"type": "number", "minimum": 0}, "How many seconds to wait for thumbnails that are being made."
)
