"""The OpenAPI document (3.1), made of the operations: `python -m thumbsmith.web.openapi > openapi.json`.

The reference in docs, made of the OpenAPI document: `python -m thumbsmith.web.openapi`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from thumbsmith.web.http import MEDIA_TYPE
from thumbsmith.web.operations import OPERATIONS, SCHEMAS, Operation, ref

# What the door answers, whatever is asked for: no host or a wrong one, a foreign origin, no token.
_AT_THE_DOOR: Final = (400, 401, 403, 421)


def document(names: Collection[str] | None = None) -> dict[str, Any]:
    """Return the document: of all operations, or those of these names, and what is the same without a body."""
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        if names is not None and each.name.replace("head_", "show_") not in names:
            continue
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Thumbsmith",
            "version": version("thumbsmith"),
            "summary": "Images come in, thumbnails go out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _described(operation: Operation) -> dict[str, Any]:
    problems = sorted({*operation.problems, *_AT_THE_DOOR})
    answers = {str(status): _answer(*answer) for status, answer in operation.answers.items()}
    answers |= {str(status): _problem(status, has_body=operation.method != "HEAD") for status in problems}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(operation.parameters),
        **({"requestBody": {"required": True, "content": operation.body}} if operation.body else {}),
        "responses": answers,
    }


def _answer(means: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": means, **({"content": content} if content else {})}


def _problem(status: int, *, has_body: bool) -> dict[str, Any]:
    return _answer(HTTPStatus(status).phrase, {MEDIA_TYPE: {"schema": ref("Problem")}} if has_body else {})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")


# Answered by the gate, whatever is asked for: told once, above.
_COMMON = {"401", "403", "421"}


def reference() -> str:
    """Return all operations as Markdown."""
    content = document()
    return "\n".join(
        line
        for path, operations in content["paths"].items()
        for method, operation in operations.items()
        for line in _operation(f"{method.upper()} {path}", operation, content["components"]["schemas"])
    )


def _operation(title: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield f"{operation['summary']}\n"
    fields = _fields(operation, schemas)
    if fields:
        yield "| | | |\n|---|---|---|"
        yield from fields
        yield ""
    yield "| answer | |\n|---|---|"
    for status, answer in sorted(operation["responses"].items()):
        if status not in _COMMON:
            yield f"| {status} | {answer['description']} |"
    yield ""


def _fields(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[str]:
    """Return rows for what is in the path, the query and the body."""
    rows = [
        f"| `{each['name']}` | {each['in']} | {each['description']} |"
        for each in operation["parameters"]
        if each["in"] == "query"
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = schemas.get(content["schema"].get("$ref", "").rpartition("/")[2], {})
        for name, each in schema.get("properties", {}).items():
            needed = "" if name in schema["required"] else ", may be left out"
            rows.append(f"| `{name}` | body, {each['type']}{needed} | {each.get('description', '')} |")
    return rows


if __name__ == "__main__":
    sys.stdout.write(reference())
