"""Refusals as `application/problem+json` (RFC 9457), whatever went wrong and wherever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
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
