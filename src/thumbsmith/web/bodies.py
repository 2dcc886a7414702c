"""JSON bodies read with a bound and a time-out, and checked field by field."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from thumbsmith.web.problems import Problem

T = TypeVar("T", str, int, bool)

# A recipe of fifty variants is 10 KB.
MAX_BYTES: Final = 256 << 10

_WORDS: Final[dict[type, str]] = {str: "text", int: "a whole number", bool: "true or false", dict: "an object"}


async def read_object(request: Request, fields: frozenset[str]) -> dict[str, Any]:
    """Return the JSON object in the body. Raises Problem: 400, 413, or 415 where the body is not said to be JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "Content-Type: expected application/json.", code="unsupported_type")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BYTES:
                raise Problem(413, f"The body has more than {MAX_BYTES} bytes.", code="too_many_bytes")
    except ClientDisconnect:
        raise Problem(400, "The body broke off.", code="bad_body") from None
    return _checked(bytes(body), fields)


def field(content: dict[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    """Return the value of a field. Raises Problem (400) where it is missing without a default, or of another type."""
    value = content.get(name, default)
    if type(value) is not kind:
        raise Problem(400, f"{name}: expected {_WORDS[kind]}.", code="bad_body")
    if isinstance(value, str) and not _is_unicode(value):
        raise Problem(400, f"{name}: expected text in Unicode, found half of a surrogate pair.", code="bad_body")
    return value


def _checked(body: bytes, fields: frozenset[str]) -> dict[str, Any]:
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Problem(400, "The body: expected JSON in UTF-8.", code="bad_body") from None
    if not isinstance(content, dict):
        raise Problem(400, "The body: expected an object.", code="bad_body")
    unknown = sorted(set(content) - fields)
    if unknown:
        names = ", ".join(sorted(fields))
        raise Problem(400, f"The body: expected only {names}, found {ascii(unknown[0])[:80]}.", code="bad_body")
    return content


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
