"""The reference in docs, made of the OpenAPI document: `python -m thumbsmith.web.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from thumbsmith.web.openapi import document

# Answered by the gate, whatever is asked for: told once, above.
_AT_THE_DOOR = {"401", "403", "421"}


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
        if status not in _AT_THE_DOOR:
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
