"""The application as ASGI: endpoints behind the gate, every answer with its headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan

from thumbsmith.web import operations
from thumbsmith.web.gate import Gate
from thumbsmith.web.headers import SecurityHeaders
from thumbsmith.web.openapi import document
from thumbsmith.web.patience import Patience
from thumbsmith.web.problems import HANDLERS
from thumbsmith.web.settings import Settings


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
