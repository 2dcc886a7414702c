"""The page: a few files of this package, without anything from elsewhere.

The application that keeps thumbnails itself, as on a laptop: endpoints over two stores, workers, and the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from thumbsmith.bulk.scan import Scope
from thumbsmith.store import Store, refuse_overlap
from thumbsmith.web import operations
from thumbsmith.web.access import Door
from thumbsmith.web.app import assembled
from thumbsmith.web.background import Keeper
from thumbsmith.web.http import Problem, is_known
from thumbsmith.web.images import Images
from thumbsmith.web.library import READERS, Library
from thumbsmith.web.on_demand import OnDemand, Previews, Rendering
from thumbsmith.web.recipes import Recipes
from thumbsmith.web.renditions import Renditions
from thumbsmith.web.settings import Settings
from thumbsmith.web.uploads import Tickets, Uploads
from thumbsmith.worker import Workers, usable_cores

_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def routes(source: Store) -> list[Route]:
    """Return the routes of the page, which may send what is dropped on it to the source's own address."""
    policy = _policy(source)

    async def index(request: Request) -> Response:
        return _file(request, "index.html", policy)

    async def part(request: Request) -> Response:
        return _file(request, request.path_params["name"], policy)

    return [Route("/", index, name="page"), Route("/page/{name}", part, name="part")]


@cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    """Return the content and the type of each file, by name."""
    folder = files("thumbsmith.web") / "assets"
    return {
        each.name: (each.read_bytes(), _TYPES[each.name.rpartition(".")[2]])
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in _TYPES
    }


def _file(request: Request, name: str, policy: str) -> Response:
    content, kind = _files().get(name, (None, ""))
    if content is None:
        raise Problem(404, "There is no such page.", code="not_found")
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": policy}
    if is_known(etag, request.headers):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)


def _policy(source: Store) -> str:
    """Return the Content-Security-Policy: everything from here, but uploads to where the source takes them."""
    upload = "".join(f" {origin}" for origin in source.upload_origins)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'{upload};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


# While one thread of a pair waits for its store, the other has a picture in a worker.
THREADS_A_JOB: Final = 2


def application(scope: Scope, settings: Settings | None = None, *, jobs: int | None = None) -> ASGIApp:
    """Return the ASGI application that keeps the scope's destination right and serves it, `jobs` pictures at once.

    What it needs is started with the server (ASGI lifespan) and ended with it. Raises UsageError where the stores
    overlap; NotIsolated where isolation is required, and a layer is missing.
    """
    settings = settings or Settings()
    scope = replace(scope, source=scope.source.as_watched())
    refuse_overlap(scope.source, scope.destination)
    count = jobs or usable_cores()
    threads = ThreadPoolExecutor(READERS, thread_name_prefix="thumbsmith-read")
    workers = Workers(count)
    workers.check_isolation()
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

    return assembled(
        _endpoints(library, keeper, workers, settings), settings, further=routes(scope.source), lifespan=lifespan
    )


def _endpoints(
    library: Library, keeper: Keeper, workers: Workers, settings: Settings
) -> dict[str, operations.Endpoint]:
    images = Images(library, keeper, settings.max_wait)
    renditions = Renditions(library, keeper, "private" if settings.token else "public")
    uploads = Uploads(library, keeper, Tickets(), settings.upload_seconds)
    recipes, rendering = Recipes(library), Rendering(library, workers)
    signed = {"show_on_demand": OnDemand(rendering, settings.signing_secret).show} if settings.signing_secret else {}
    return {
        "create_upload": uploads.create,
        "receive_upload": uploads.receive,
        "show_image": images.show,
        "remove_image": images.remove,
        "list_images": images.browse,
        "show_rendition": renditions.show,
        "show_recipe": recipes.show,
        "check_recipe": recipes.check,
        "preview": Previews(rendering).preview,
        "enter": Door(settings).enter,
        **signed,
    }
