"""What API Gateway's HTTP APIs ask a function, put to an ASGI application.

Payload format 2.0: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

The API's Lambda function: thumbsmith.aws.api.handler. It takes uploads, reads and deletes; it makes no picture.

What is done when this is loaded is done once for a sandbox.
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

from thumbsmith.aws.settings import from_environment
from thumbsmith.aws.telemetry import tell, tell_problem
from thumbsmith.environment import origins_setting
from thumbsmith.errors import ThumbsmithError
from thumbsmith.web.app_on_aws import app_on_aws
from thumbsmith.web.settings import WebSettings

# What stands in a path as it is, RFC 3986, section 3.3; and "%", of which see `_path`.
_IN_PATHS: Final = "/%!$&'()*+,;=:@-._~"

_TEXT: Final = re.compile(r"text/.*|application/(?:.+\+)?json")


@dataclass(slots=True)
class Exchange:
    """One request and what is answered to it: the application's `receive` and `send`."""

    body: bytes
    status: int = 500
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    _asked: bool = False

    async def receive(self) -> Message:
        """Return the body, which is here as a whole; a second time, wait: nobody hangs up before the answer."""
        if self._asked:
            await asyncio.Event().wait()
        self._asked = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Take note of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            self.content += message.get("body", b"")

    def answer(self) -> dict[str, Any]:
        """Return the answer as API Gateway takes it: text as it is, anything else in base64."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        said = {"statusCode": self.status, "headers": headers}
        if _TEXT.fullmatch(headers.get("content-type", "").partition(";")[0]):
            return {**said, "body": self.content.decode(), "isBase64Encoded": False}
        return {**said, "body": base64.b64encode(self.content).decode(), "isBase64Encoded": True}


class Gateway:
    """An application, to be called with events. On Lambda it lasts as long as the process; elsewhere close it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """End what it needs of asyncio."""
        self._runner.close()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the application answers. A fault of its own is told in the log, and is a 500 to the client."""
        body = event.get("body") or ""
        exchange = Exchange(base64.b64decode(body) if event.get("isBase64Encoded") else body.encode())
        try:
            self._runner.run(_asked(self._app, _scope(event), exchange))
        except Exception as fault:
            tell(level="ERROR", event="fault", error=type(fault).__name__, traceback=traceback.format_exc())
        return exchange.answer()


async def _asked(app: ASGIApp, scope: Scope, exchange: Exchange) -> None:
    await app(scope, exchange.receive, exchange.send)


def _scope(event: Mapping[str, Any]) -> Scope:
    http = event["requestContext"]["http"]
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    path = _path(event["rawPath"])
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


def _path(raw: str) -> str:
    """Return the path percent-encoded. A `rawPath` is not: an HTTP API decodes all but "%25", which it leaves.

    So "%" in it begins an escape, and decoding the path once gives what was meant.
    """
    return quote(raw, safe=_IN_PATHS)


# Seconds that are waited for thumbnails in the making: an HTTP API gives up on its function after 30.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_WAIT: Final = 25.0

# Bytes of the largest picture that is sent from here: an answer has at most 6 MB, base64 and headers included.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LARGEST: Final = 4 << 20


def _gateway() -> Gateway | ThumbsmithError:
    """Return what answers by the environment's settings, or why there is none: also told, once."""
    try:
        found = from_environment()
    except ThumbsmithError as problem:
        tell_problem(problem)
        return problem
    settings = WebSettings(hosts=None, origins=origins_setting(), max_wait=MAX_WAIT)
    return Gateway(app_on_aws(found.source, found.destination, found.recipe, settings, max_body_bytes=LARGEST))


_GATEWAY: Final = _gateway()


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    """Return the answer to one request. Raises what is wrong with the settings."""
    if isinstance(_GATEWAY, ThumbsmithError):
        raise _GATEWAY.with_traceback(None)
    return _GATEWAY.answer(event)
