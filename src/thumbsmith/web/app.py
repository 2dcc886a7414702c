"""Time-outs for clients that send slowly, so that none holds what others need; those that take slowly see server.py.

Headers that every answer has, whoever made it: nothing of it is run, framed, sniffed or told to others.

The application as ASGI: endpoints behind the gate, every answer with its headers.

The application where others keep the thumbnails, as on AWS: it takes uploads, reads, deletes, and makes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from thumbsmith.recipe import Recipe
from thumbsmith.store import Store
from thumbsmith.web import operations
from thumbsmith.web.access import Gate
from thumbsmith.web.http import HANDLERS, Problem
from thumbsmith.web.images import Images
from thumbsmith.web.library import READERS, KeptByOthers, Library
from thumbsmith.web.openapi import document
from thumbsmith.web.recipes import Recipes
from thumbsmith.web.renditions import Renditions
from thumbsmith.web.settings import Settings
from thumbsmith.web.uploads import Tickets, Uploads

# Seconds until the next piece of a body has to be there.
PIECE_SECONDS: Final = 20.0

# A body may take so many seconds, and one more for each so many bytes that it says it has.
BODY_SECONDS: Final = 20.0
SLOWEST: Final = 32 << 10


@dataclass(frozen=True, slots=True)
class Patience:
    """ASGI middleware: answers 408 to a client whose body comes too slowly."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a time-out for each piece of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
        until = time.monotonic() + BODY_SECONDS + size / SLOWEST
        body_is_here = False

        async def patient_receive() -> Message:
            nonlocal body_is_here
            if body_is_here:
                return await receive()  # all that can come now is that the client hangs up
            try:
                async with asyncio.timeout(min(PIECE_SECONDS, until - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "The body came too slowly.", code="too_slow") from None
            body_is_here = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self.app(scope, patient_receive, send)


# https://owasp.org/www-project-secure-headers/
SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@dataclass(slots=True)
class SecurityHeaders:
    """ASGI middleware. `shared` says that pages elsewhere may show the pictures."""

    app: ASGIApp
    shared: bool
    _added: list[tuple[bytes, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        added = {**SECURITY, "Cross-Origin-Resource-Policy": "cross-origin" if self.shared else "same-origin"}
        self._added = [(name.lower().encode(), value.encode()) for name, value in added.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that the answer does not have itself."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = message["headers"]
                there = {name for name, _ in sent}
                message["headers"] = [*sent, *(each for each in self._added if each[0] not in there)]
            await send(message)

        await self.app(scope, receive, with_headers)


def assembled(
    endpoints: Mapping[str, operations.Endpoint],
    settings: Settings,
    *,
    further: Sequence[Route] = (),
    lifespan: Lifespan[Any] | None = None,
) -> ASGIApp:
    """Return an application that has these operations, by name, and `further` routes, which are no part of the API."""
    content = document(frozenset(endpoints) | {"health"})

    async def openapi(_: Request) -> Response:
        return JSONResponse(content, headers={"Cache-Control": "no-cache"})

    app = Starlette(
        routes=[*operations.routes({**endpoints, "health": _health}), Route("/openapi.json", openapi), *further],
        middleware=[Middleware(Patience), Middleware(Gate, settings), *_cors(settings)],
        exception_handlers=dict(HANDLERS),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return SecurityHeaders(app, shared=bool(settings.origins))


def _cors(settings: Settings) -> list[Middleware]:
    """Return what lets pages of other origins in, where there are any."""
    if not settings.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=sorted(settings.origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Range"],
            expose_headers=["ETag", "Location", "Content-Range", "Retry-After"],
            max_age=600,
        )
    ]


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def hosted(
    source: Store, destination: Store, recipe: Recipe, settings: Settings, *, largest: int | None = None
) -> ASGIApp:
    """Return the ASGI application over what others keep right by this recipe; it needs no lifespan.

    Uploads go straight to the source by presigned requests. A picture of more than `largest` bytes is not sent but
    redirected to (307).
    """
    library = Library(source, destination, recipe, ThreadPoolExecutor(READERS, thread_name_prefix="thumbsmith-read"))
    keeping = KeptByOthers(library)
    images = Images(library, keeping, settings.max_wait)
    renditions = Renditions(library, keeping, "private", patience=settings.max_wait, largest=largest)
    recipes = Recipes(library)
    endpoints = {
        "create_upload": Uploads(library, keeping, Tickets(), settings.upload_seconds).create,
        "show_image": images.show,
        "remove_image": images.remove,
        "list_images": images.browse,
        "show_rendition": renditions.show,
        "show_recipe": recipes.show,
        "check_recipe": recipes.check,
    }
    return assembled(endpoints, settings)
