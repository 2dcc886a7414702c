"""The ASGI application: the routes of the API, and the middleware that every request passes through.

`app_local` builds the application that makes thumbnails itself. `app_on_aws` builds the one that leaves this to others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from thumbsmith.web.access import AccessMiddleware
from thumbsmith.web.http import PROBLEM_HANDLERS, Problem
from thumbsmith.web.openapi import document
from thumbsmith.web.root_path import RootPathMiddleware
from thumbsmith.web.routes import Endpoint, routes
from thumbsmith.web.settings import WebSettings

# https://owasp.org/www-project-secure-headers/
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

# The longest pause between two pieces of a request body.
MAX_PIECE_SECONDS: Final = 20.0

# A whole request body may take this long, plus one second for each MIN_BYTES_PER_SECOND of its Content-Length, or of
# what has arrived if its length is not known.
MIN_BODY_SECONDS: Final = 20.0
MIN_BYTES_PER_SECOND: Final = 32 << 10


def build_app(
    endpoints: Mapping[str, Endpoint],
    settings: WebSettings,
    *,
    extra_routes: Sequence[Route] = (),
    lifespan: Lifespan[Any] | None = None,
) -> ASGIApp:
    """Return an application with these endpoints, given by the name of their operation.

    `extra_routes` are not part of the API: the OpenAPI document does not describe them.
    """
    openapi = document(frozenset(endpoints) | {"health"})

    async def show_openapi(_: Request) -> Response:
        return JSONResponse(openapi, headers={"Cache-Control": "no-cache"})

    api_routes = routes({**endpoints, "health": _show_health})
    app = Starlette(
        routes=[*api_routes, Route("/openapi.json", show_openapi), *extra_routes],
        middleware=[
            Middleware(BodyTimeoutMiddleware),
            Middleware(AccessMiddleware, settings),
        ],
        exception_handlers=dict(PROBLEM_HANDLERS),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    # Outside Starlette, so that answers to unexpected errors have the headers too.
    with_cors = CrossOriginMiddleware(app, settings.origins)
    with_headers = SecurityHeadersMiddleware(with_cors, cross_origin=bool(settings.origins))
    return RootPathMiddleware(with_headers, settings.root_path, settings.trusts_proxy)


async def _show_health(_: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@dataclass(slots=True)
class CrossOriginMiddleware:
    """ASGI middleware: lets pages of the allowed origins read every answer, errors included (CORS).

    Requests of other origins pass through unchanged. `AccessMiddleware` refuses them. All answers then depend on the
    origin, so a cache must not give the answer to an `<img>` to a request that needs the headers (Vary: Origin).
    """

    app: ASGIApp
    origins: frozenset[str]
    _cors: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        self._cors = CORSMiddleware(
            self.app,
            allow_origins=sorted(self.origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "If-Modified-Since", "If-Range", "Range"],
            expose_headers=["ETag", "Last-Modified", "Location", "Content-Range", "Retry-After", "X-Thumbsmith-Size"],
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the headers of CORS on its answer if its origin is allowed."""
        if scope["type"] != "http" or not self.origins:
            await self.app(scope, receive, send)
        elif Headers(scope=scope).get("origin", "").lower() in self.origins:
            await self._cors(scope, receive, send)
        else:
            await self.app(scope, receive, _varying(send))


def _varying(send: Send) -> Send:
    """Return `send` with `Vary: Origin` on the answer."""

    async def send_varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            MutableHeaders(scope=message).add_vary_header("Origin")
        await send(message)

    return send_varying


@dataclass(frozen=True, slots=True)
class BodyTimeoutMiddleware:
    """ASGI middleware: answers 408 if a request body arrives too slowly.

    `server` limits the time for the head of a request, and for the client to read the answer.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a timeout for each piece of its body and for the whole body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
        start, received = time.monotonic(), 0
        is_complete = False

        async def receive_in_time() -> Message:
            nonlocal is_complete, received
            if is_complete:
                return await receive()  # only the disconnect of the client can follow
            deadline = start + MIN_BODY_SECONDS + max(size, received) / MIN_BYTES_PER_SECOND
            try:
                async with asyncio.timeout(min(MAX_PIECE_SECONDS, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "The request body arrived too slowly.", code="too_slow") from None
            received += len(message.get("body", b""))
            is_complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self.app(scope, receive_in_time, send)


@dataclass(slots=True)
class SecurityHeadersMiddleware:
    """ASGI middleware: adds the security headers that an answer does not set itself.

    With `cross_origin`, pages of other sites may show the thumbnails.
    """

    app: ASGIApp
    cross_origin: bool
    _headers: list[tuple[bytes, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        policy = "cross-origin" if self.cross_origin else "same-origin"
        headers = {**SECURITY_HEADERS, "Cross-Origin-Resource-Policy": policy}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                names = {name for name, _ in given}
                message["headers"] = [*given, *(each for each in self._headers if each[0] not in names)]
            await send(message)

        await self.app(scope, receive, send_with_headers)
