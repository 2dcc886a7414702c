"""The OpenAPI 3.1 document of the operations.

`python -m thumbsmith.web.openapi` prints the document as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Any, Final

from thumbsmith.web.http import PROBLEM_MEDIA_TYPE, status_phrase
from thumbsmith.web.operations import OPERATIONS, SCHEMAS
from thumbsmith.web.operations.operation import Operation, ref

# The answers of the access middleware, to any request: no host or a wrong one, no token, a foreign site.
_ACCESS_PROBLEMS: Final = (400, 401, 403, 421)


def document(names: Collection[str] | None = None) -> dict[str, Any]:
    """Return the document: of all operations, or of those with these names and their HEAD operations."""
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        if names is None or each.name.replace("head_", "show_") in names:
            paths.setdefault(each.path, {})[each.method.lower()] = _operation_object(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Thumbsmith",
            "version": version("thumbsmith"),
            "summary": "Upload images, and get thumbnails.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation_object(operation: Operation) -> dict[str, Any]:
    problems = sorted({*operation.problems, *_ACCESS_PROBLEMS})
    responses = {str(status): _response(*each) for status, each in operation.responses.items()}
    responses |= {str(status): _problem(status, has_body=operation.method != "HEAD") for status in problems}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(operation.parameters),
        **({"requestBody": {"required": True, "content": operation.body}} if operation.body else {}),
        "responses": responses,
    }


def _response(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, **({"content": content} if content else {})}


def _problem(status: int, *, has_body: bool) -> dict[str, Any]:
    return _response(status_phrase(status), {PROBLEM_MEDIA_TYPE: {"schema": ref("Problem")}} if has_body else {})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
