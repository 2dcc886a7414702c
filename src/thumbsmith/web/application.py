"""The application: endpoints over two stores, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from thumbsmith.errors import RecipeError
from thumbsmith.store import overlaps
from thumbsmith.survey import Scope
from thumbsmith.web import operations, page
from thumbsmith.web.gate import Door, Gate
from thumbsmith.web.headers import SecurityHeaders
from thumbsmith.web.images import Images
from thumbsmith.web.intake import Tickets
from thumbsmith.web.keeper import Keeper
from thumbsmith.web.library import Library
from thumbsmith.web.openapi import document
from thumbsmith.web.patience import Patience
from thumbsmith.web.problems import HANDLERS
from thumbsmith.web.recipes import Recipes
from thumbsmith.web.renditions import Renditions
from thumbsmith.web.settings import Settings
from thumbsmith.web.uploads import Uploads
from thumbsmith.worker import Workers, usable_cores

# Threads that read from the stores: they mostly wait.
READERS: Final = 16

# While one thread of a pair waits for its store, the other has a picture in a worker.
THREADS_A_JOB: Final = 2


def application(scope: Scope, settings: Settings | None = None, *, jobs: int | None = None) -> ASGIApp:
    """Return the ASGI application that keeps the scope's destination right and serves it, `jobs` pictures at once.

    What it needs is started with the server (ASGI lifespan) and ended with it. Raises RecipeError where the stores
    overlap.
    """
    settings = settings or Settings()
    if overlaps(scope.source, scope.destination):
        raise RecipeError(f"source {scope.source.url} and destination {scope.destination.url} overlap")
    count = jobs or usable_cores()
    threads = ThreadPoolExecutor(READERS, thread_name_prefix="thumbsmith-read")
    workers = Workers(count)
    keeper = Keeper(scope, workers, THREADS_A_JOB * count)
    library = Library(scope.source, scope.destination.as_destination(), scope.recipe, threads)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        keeper.follow()
        try:
            yield
        finally:
            await library.run(keeper.close)
            workers.close()
            threads.shutdown(wait=False, cancel_futures=True)

    app = Starlette(
        routes=[*_routes(library, keeper, workers, settings), *page.routes(scope.source)],
        middleware=[Middleware(Patience), Middleware(Gate, settings), *_cors(settings)],
        exception_handlers=dict(HANDLERS),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return SecurityHeaders(app, shared=bool(settings.origins))


def _routes(library: Library, keeper: Keeper, workers: Workers, settings: Settings) -> list[Route]:
    images = Images(library, keeper, settings.max_wait)
    renditions = Renditions(library, keeper, "private" if settings.token else "public")
    uploads = Uploads(library, keeper, Tickets(), settings.upload_seconds)
    recipes = Recipes(library, workers)
    endpoints: dict[str, operations.Endpoint] = {
        "create_upload": uploads.create,
        "receive_upload": uploads.receive,
        "show_image": images.show,
        "remove_image": images.remove,
        "list_images": images.browse,
        "show_rendition": renditions.show,
        "show_recipe": recipes.show,
        "check_recipe": recipes.check,
        "preview": recipes.preview,
        "enter": Door(settings).enter,
        "health": _health,
    }
    return [*operations.routes(endpoints), Route("/openapi.json", _openapi)]


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


async def _openapi(_: Request) -> Response:
    return JSONResponse(document(), headers={"Cache-Control": "no-cache"})
