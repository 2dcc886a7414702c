"""The page of the reference about HTTP, from the OpenAPI document, as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from thumbsmith.web.openapi import document

Schema = Mapping[str, Any]

# What each status of a problem means, for all operations. `detail` in the answer is about the one request.
PROBLEMS = {
    400: "The request is not valid: a value, the body, or the key.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another origin, or a signature is wrong or expired.",
    404: "There is no image, thumbnail or upload with this name.",
    406: "The thumbnail exists in no format that `Accept` allows.",
    408: "The body arrived too slowly.",
    409: "The name is taken, or the upload is in progress.",
    413: "The body or the image is too large.",
    415: "The media type is not supported.",
    416: "`Range` asks for bytes that the thumbnail does not have.",
    421: "The server does not answer to this host name.",
    422: "The image is rejected, or the recipe is not valid.",
    500: "A fault of the server. Its log has the details.",
    503: "The store or the server is not available. `Retry-After` says when to try again.",
}
# They may be the answer to any request, so the tables of the operations leave them out.
OF_ACCESS = {401, 403, 421}


def http() -> str:
    """Return a section for each operation, and for each kind of JSON in a body."""
    content = document()
    lines = [
        "# HTTP operations",
        "",
        "All operations of the API, from its OpenAPI document (`GET /openapi.json`). [HTTP API](../api.md) explains",
        "them. A problem is `application/problem+json`, with the fields of [Problem](#problem). The tables leave out",
        "401, 403 and 421, which may be the answer to any request.",
        "",
        "| status of a problem | meaning |",
        "|---|---|",
        *(f"| {status} | {meaning} |" for status, meaning in PROBLEMS.items()),
        "",
    ]
    for path, operations in content["paths"].items():
        for method, operation in operations.items():
            lines += _operation(f"{method.upper()} {path}", operation)
    for name, schema in sorted(content["components"]["schemas"].items()):
        lines += [f"## {name}", "", *_fields(schema), ""]
    return "\n".join(lines)


def _operation(title: str, operation: Schema) -> Iterator[str]:
    yield from (f"## `{title}`", "", operation["summary"], "")
    if operation["parameters"]:
        yield from ("| parameter | in | value | |", "|---|---|---|---|")
        for each in operation["parameters"]:
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {each['description']} |"
        yield ""
    if body := operation.get("requestBody"):
        yield from (f"Body: {_content(body['content'])}.", "")
    yield from ("| status | answer | content |", "|---|---|---|")
    for status, answer in sorted(operation["responses"].items()):
        if int(status) not in OF_ACCESS:
            description = PROBLEMS.get(int(status), answer["description"])
            yield f"| {status} | {description} | {_content(answer.get('content', {}))} |"
    yield ""


def _content(content: Schema) -> str:
    """Return media types with the kinds of their bodies. Media types with the same kind are listed together."""
    by_kind: dict[str, list[str]] = {}
    for media_type, each in content.items():
        schema = each.get("schema", {})
        kind = _type(schema) if "$ref" in schema or "anyOf" in schema else ""
        by_kind.setdefault(kind, []).append(f"`{media_type}`")
    return "; ".join(f"{', '.join(types)} {kind}".strip() for kind, types in by_kind.items())


def _fields(schema: Schema) -> Iterator[str]:
    """Yield a table of the fields of an object. Fields of inner objects have names such as `upload.url`."""
    yield from ("| field | value | |", "|---|---|---|")
    for name, each, required in _flat(schema, ""):
        notes = [*([] if required else ["Optional."]), *([each["description"]] if "description" in each else [])]
        yield f"| `{name}` | {_type(each)} | {' '.join(notes)} |"


def _flat(schema: Schema, before: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, each in schema.get("properties", {}).items():
        yield f"{before}{name}", each, name in schema.get("required", ())
        inner, mark = (each["items"], "[].") if each.get("type") == "array" else (each, ".")
        yield from _flat(inner, f"{before}{name}{mark}")


def _type(schema: Schema) -> str:
    """Return the type of a value in words: `integer from 1`, `list of Image`, `"ok"`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    types = schema.get("type", "any")
    text = types if isinstance(types, str) else " or ".join(types)
    least, most = (schema.get(f"{end}imum") for end in ("min", "max"))
    bounds = [f"from {least}"] if least is not None else []
    bounds += [f"up to {most}"] if most is not None else []
    return " ".join([text, *bounds])
