"""HTTP for every endpoint: problems as answers, JSON bodies, and keys in paths."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from thumbsmith.errors import Rejected, ThumbsmithError

T = TypeVar("T", str, int, bool)

# Problem details for HTTP APIs: RFC 9457.
PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

# The Retry-After header of an answer to a transient error.
RETRY_AFTER_SECONDS: Final = "2"

# A recipe of fifty variants has 10 KB.
MAX_JSON_BYTES: Final = 256 << 10

# Phrases of RFC 9110 that http.HTTPStatus has only since Python 3.13. Earlier versions use those of older standards.
_NEW_PHRASES: Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}

_TYPE_NAMES: Final[dict[type, str]] = {str: "text", int: "a whole number", bool: "true or false"}


class Problem(Exception):
    """A request that is refused: the status, one sentence, and a stable `code` for programs.

    `more` are further members of the problem, as RFC 9457 allows.
    """

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

    def content(self) -> dict[str, Any]:
        """Return the problem as a JSON object."""
        return {
            "type": "about:blank",
            "title": status_phrase(self.status),
            "status": self.status,
            "detail": self.detail,
            **({"code": self.code} if self.code else {}),
            **self.more,
        }

    def response(self) -> Response:
        """Return the answer as `application/problem+json`."""
        body = json.dumps(self.content(), ensure_ascii=False).encode()
        return Response(body, self.status, {"Cache-Control": "no-store", **self.headers}, PROBLEM_MEDIA_TYPE)


def status_phrase(status: int) -> str:
    """Return the phrase of a status in RFC 9110, section 15: the same on every version of Python."""
    return _NEW_PHRASES.get(status) or HTTPStatus(status).phrase


def problem_from_error(error: ThumbsmithError) -> Problem:
    """Return the problem for an error: 422 for a rejected source, 503 for a transient error, else 500."""
    if isinstance(error, Rejected):
        rejection = {"rejection": {"code": str(error.code), "detail": error.detail}}
        return Problem(422, error.detail, code=str(error.code), more=rejection)
    if error.transient:
        return Problem(503, str(error), code="try_again", headers={"Retry-After": RETRY_AFTER_SECONDS})
    return Problem(500, str(error), code="store_failed")


def _handle_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - Starlette declares Exception for every handler
    return error.response()


def _handle_thumbsmith_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ThumbsmithError)  # noqa: S101 - as above
    return problem_from_error(error).response()


def _handle_http_exception(_: Request, error: Exception) -> Response:
    """Answer to what Starlette refuses: an unknown path, or a method that is not allowed."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    return Problem(error.status_code, f"{error.detail}.", headers=error.headers).response()


def _handle_unexpected(_: Request, error: Exception) -> Response:  # noqa: ARG001 - its text may contain a secret
    """Answer to an error of the program. The details are only in the log of the server."""
    return Problem(
        500, "An internal error occurred. The log of the server has the details.", code="internal"
    ).response()


PROBLEM_HANDLERS: Final = {
    Problem: _handle_problem,
    ThumbsmithError: _handle_thumbsmith_error,
    HTTPException: _handle_http_exception,
    Exception: _handle_unexpected,
}


async def read_json_object(request: Request, fields: frozenset[str]) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises Problem: 400 if it is not an object or has other fields than `fields`, 413 if it is too large, 415 if the
    Content-Type is not JSON.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "Content-Type: expected application/json.", code="unsupported_type")
    return _parse_object(await read_body(request, MAX_JSON_BYTES), fields)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body. Raises Problem: 400 if the connection closes before its end, 413 if it is too large."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > max_bytes:
                raise Problem(413, f"The body has more than {max_bytes} bytes.", code="too_many_bytes")
    except ClientDisconnect:
        raise Problem(400, "The connection closed before the body was complete.", code="bad_body") from None
    return bytes(body)


def _parse_object(body: bytes, fields: frozenset[str]) -> dict[str, Any]:
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Problem(400, "The body: expected JSON in UTF-8.", code="bad_body") from None
    if not isinstance(content, dict):
        raise Problem(400, "The body: expected a JSON object.", code="bad_body")
    unknown = sorted(set(content) - fields)
    if unknown:
        names = ", ".join(sorted(fields))
        raise Problem(400, f"The body: expected only {names}, found {ascii(unknown[0])[:80]}.", code="bad_body")
    return content


def read_field(content: dict[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    """Return the value of a field. Raises Problem (400) if it is missing without a default, or of another type."""
    value = content.get(name, default)
    if type(value) is not kind:
        raise Problem(400, f"{name}: expected {_TYPE_NAMES[kind]}.", code="bad_body")
    if isinstance(value, str) and not is_unicode(value):
        raise Problem(400, f"{name}: expected Unicode text, found half of a surrogate pair.", code="bad_body")
    return value


def is_unicode(text: str) -> bool:
    """Return whether the text can be encoded as UTF-8. The names of files, and JSON escapes, may contain surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in JSON that is not to be cached unless `headers` say so."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def wait_seconds(request: Request, maximum: float) -> float:
    """Return the `wait` of the query in seconds, at most `maximum`; 0 without it. Raises Problem (400)."""
    try:
        seconds = float(request.query_params.get("wait", "0"))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise Problem(400, "wait: expected a number of seconds, 0 or more.", code="bad_query")
    return min(seconds, maximum)


def flag_from_query(request: Request, name: str) -> bool:
    """Return a parameter of the query that is true or false; false without it. Raises Problem (400)."""
    text = request.query_params.get(name, "false")
    if text not in {"true", "false"}:
        raise Problem(400, f"{name}: expected true or false.", code="bad_query")
    return text == "true"


class _KeyConvertor(Convertor[str]):
    """A path parameter that matches any characters: a key may contain slashes and line ends."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("key", _KeyConvertor())


def key_from_path(request: Request) -> str:
    """Return the key after the first segment of the path. Raises Problem: 400 if it is not UTF-8, 404 if empty."""
    key = percent_decode(encoded_rest_of_path(request))
    if not key:
        raise Problem(404, "The path contains no key.", code="not_found")
    return key


def encoded_rest_of_path(request: Request) -> str:
    """Return the path after its first segment, as the client sent it: percent-encoded."""
    sent: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    mounted_at = quote(request.scope.get("root_path", "")).encode()
    return sent.removeprefix(mounted_at).lstrip(b"/").partition(b"/")[2].decode("ascii", "replace")


def percent_decode(encoded: str) -> str:
    """Return the text of a percent-encoded part of the path. Raises Problem (400) if it is not UTF-8."""
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise Problem(400, "The path is not UTF-8.", code="bad_path") from None


def encode_key(key: str) -> str:
    """Return the key percent-encoded for a path. Slashes stay unless a client could change the path.

    Clients resolve the segments `.` and `..`, and some merge empty segments. Such a key becomes one segment.
    https://url.spec.whatwg.org/#path-state
    """
    is_stable = all(part not in {"", ".", ".."} for part in key.split("/"))
    return quote(key, safe="/" if is_stable else "")
