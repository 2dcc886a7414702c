"""The API's Lambda function, thumbsmith.aws.api.handler: uploads, reads and deletes. It renders nothing.

It passes the requests of an API Gateway HTTP API, in payload format 2.0, to the ASGI application of `thumbsmith.web`.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

Loading this module is the cold start, once for each execution environment: `_cold_start` opens the stores and builds
the application. As in handler.py, an error in the settings is logged once, and raised by each invocation.
"""

from __future__ import annotations

import asyncio
import base64
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Message, Scope

from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.dispatch.telemetry import log, log_problem
from thumbsmith.environment import allowed_origins
from thumbsmith.errors import ThumbsmithError
from thumbsmith.web.app_on_aws import app_on_aws
from thumbsmith.web.settings import WebSettings

# The longest wait for thumbnails in the making: an HTTP API stops waiting for its function after 30 seconds.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_WAIT_SECONDS: Final = 25.0

# The largest picture in a response: a response has at most 6 MB, with its headers, in base64.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_PICTURE_BYTES: Final = 4 << 20

# Characters that need no encoding in a path (RFC 3986, section 3.3), and "%": see `_encoded_path`.
_PATH_CHARACTERS: Final = "/%!$&'()*+,;=:@-._~"

# Content types of responses that are sent as text; all others are sent in base64.
_TEXT_TYPES: Final = re.compile(r"text/.*|application/(?:.+\+)?json")


class Gateway:
    """Runs an ASGI application for API Gateway's events. In Lambda it lasts as long as the process; else close it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the application's response to an event. A bug in the application is logged, and answered with 500."""
        body = event.get("body") or ""
        exchange = Exchange(base64.b64decode(body) if event.get("isBase64Encoded") else body.encode())
        try:
            self._runner.run(_call(self._app, _scope(event), exchange))
        except Exception as fault:
            log(level="ERROR", event="fault", error=type(fault).__name__, traceback=traceback.format_exc())
        return exchange.response()


@dataclass(slots=True)
class Exchange:
    """One request and its response, with `receive` and `send` for the application."""

    body: bytes
    status: int = 500
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    _received: bool = False

    async def receive(self) -> Message:
        """Return the whole body. A second call waits for a disconnect, which never comes."""
        if self._received:
            await asyncio.Event().wait()
        self._received = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Store a part of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            self.content += message.get("body", b"")

    def response(self) -> dict[str, Any]:
        """Return the response in API Gateway's form: text unchanged, everything else in base64."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        response = {"statusCode": self.status, "headers": headers}
        if _TEXT_TYPES.fullmatch(headers.get("content-type", "").partition(";")[0]):
            return {**response, "body": self.content.decode(), "isBase64Encoded": False}
        return {**response, "body": base64.b64encode(self.content).decode(), "isBase64Encoded": True}


async def _call(app: ASGIApp, scope: Scope, exchange: Exchange) -> None:
    await app(scope, exchange.receive, exchange.send)


def _scope(event: Mapping[str, Any]) -> Scope:
    http = event["requestContext"]["http"]
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    path = _encoded_path(event["rawPath"])
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": http["method"],
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": event.get("rawQueryString", "").encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()],
        "client": (http["sourceIp"], 0),
        "server": (headers.get("host", "").partition(":")[0], 443),
    }


def _encoded_path(raw_path: str) -> str:
    """Return the percent-encoded path. An HTTP API decodes a `rawPath`, except "%25", which it leaves.

    So "%" always begins an escape, and decoding the result once gives the original path.
    """
    return quote(raw_path, safe=_PATH_CHARACTERS)


def _cold_start() -> Gateway | ThumbsmithError:
    """Return the gateway for the environment's settings, or the error in them, which is also logged."""
    try:
        function = FunctionSettings.from_environment()
    except ThumbsmithError as problem:
        log_problem(problem)
        return problem
    settings = WebSettings(hosts=None, origins=allowed_origins(), max_wait=MAX_WAIT_SECONDS)
    app = app_on_aws(function.source, function.destination, function.recipe, settings, max_body_bytes=MAX_PICTURE_BYTES)
    return Gateway(app)


_GATEWAY: Final = _cold_start()


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    """Return the response to one request. Raises the error in the settings."""
    if isinstance(_GATEWAY, ThumbsmithError):
        raise _GATEWAY.with_traceback(None)
    return _GATEWAY.answer(event)
