"""Refusals as `application/problem+json` (RFC 9457), whatever went wrong and wherever.

Conditional and range requests (RFC 9110, sections 13 and 14): pure, from headers to what is to be sent.

Keys in paths: percent-encoded as one segment or with "/" kept, and read from the path as it was sent.

JSON bodies read with a bound and a time-out, and checked field by field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from thumbsmith.errors import Rejected, ThumbsmithError

MEDIA_TYPE: Final = "application/problem+json"

# Seconds after which to come back, where something failed that may pass.
RETRY_AFTER: Final = "2"


class Problem(Exception):
    """A request that is refused: a status, one sentence, a stable `code` for programs, and what else helps."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def response(self) -> Response:
        """Return the answer."""
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"code": self.code} if self.code else {}),
            **self.more,
        }
        body = json.dumps(content, ensure_ascii=False).encode()
        return Response(body, self.status, {"Cache-Control": "no-store", **self.headers}, MEDIA_TYPE)


def from_error(error: ThumbsmithError) -> Problem:
    """Return what an error of ours means to a client: 422 for a source that is at fault, 503 for what may pass."""
    if isinstance(error, Rejected):
        rejection = {"rejection": {"code": str(error.code), "detail": error.detail}}
        return Problem(422, error.detail, code=str(error.code), more=rejection)
    if error.transient:
        return Problem(503, str(error), code="try_again", headers={"Retry-After": RETRY_AFTER})
    return Problem(500, str(error), code="store_failed")


def on_problem(_: Request, error: Exception) -> Response:
    """Answer with a problem that was raised."""
    assert isinstance(error, Problem)  # noqa: S101 - Starlette's types know no better
    return error.response()


def on_error(_: Request, error: Exception) -> Response:
    """Answer with what an error of ours means."""
    assert isinstance(error, ThumbsmithError)  # noqa: S101 - as above
    return from_error(error).response()


def on_http(_: Request, error: Exception) -> Response:
    """Answer with what Starlette refuses: an unknown path, a method that is not allowed."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    return Problem(error.status_code, f"{error.detail}.", headers=error.headers).response()


def on_surprise(_: Request, error: Exception) -> Response:  # noqa: ARG001 - what a surprise says may be a secret
    """Answer without a word about a fault of our own; the server's log tells."""
    return Problem(500, "Something went wrong here; the log of the server says what.", code="internal").response()


HANDLERS: Final = {
    Problem: on_problem,
    ThumbsmithError: on_error,
    HTTPException: on_http,
    Exception: on_surprise,
}


_SPAN: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def is_known(etag: str, headers: Mapping[str, str]) -> bool:
    """Return whether the client has this version already (If-None-Match, compared weakly)."""
    wanted = headers.get("if-none-match")
    if wanted is None:
        return False
    return wanted.strip() == "*" or etag in _TAG.findall(wanted)


def span(size: int, etag: str, headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the first byte that is asked for and the one behind the last; None for all of them.

    Several ranges at once are answered by everything, as is a range of another version (If-Range). A range that cannot
    be read counts as none. Raises ValueError where nothing of the range is there (416).
    """
    found = _SPAN.fullmatch(headers.get("range", ""))
    if not found or not any(found.groups()) or headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < int(first):
            return None
    if start >= size or start >= end:
        raise ValueError(f"bytes */{size}")
    return start, end


class AnyText(Convertor[str]):
    """The rest of a path, of whatever characters: a key may hold line ends as well."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor("key", AnyText())

_NOT_UTF8: Final = Problem(400, "The path is not UTF-8.", code="bad_path")


def rest(request: Request) -> str:
    """Return what follows the first segment of the path, still percent-encoded."""
    sent: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    mounted = quote(request.scope.get("root_path", "")).encode()
    return sent.removeprefix(mounted).lstrip(b"/").partition(b"/")[2].decode("ascii", "replace")


def decoded(encoded: str) -> str:
    """Return the text that was percent-encoded. Raises Problem (400) where it is not UTF-8."""
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise _NOT_UTF8 from None


def key_of(request: Request) -> str:
    """Return the key that follows the first segment of the path. Raises Problem: 400, or 404 where there is none."""
    key = decoded(rest(request))
    if not key:
        raise Problem(404, "There is no key in the path.", code="not_found")
    return key


def encoded(key: str) -> str:
    """Return the key for use in a path, with "/" kept where no client takes it for something else.

    Clients resolve segments that are dots, and some merge slashes: then the key is one segment.
    https://url.spec.whatwg.org/#path-state
    """
    plain = all(part not in {"", ".", ".."} for part in key.split("/"))
    return quote(key, safe="/" if plain else "")


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


def read_field(content: dict[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
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
