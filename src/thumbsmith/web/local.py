"""The application that keeps thumbnails itself, as on a laptop: endpoints over two stores, workers, and the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp

from thumbsmith.changes import followed
from thumbsmith.errors import RecipeError
from thumbsmith.store import overlaps
from thumbsmith.survey import Scope
from thumbsmith.web import operations, page
from thumbsmith.web.assembly import assembled
from thumbsmith.web.gate import Door
from thumbsmith.web.images import Images
from thumbsmith.web.intake import Tickets
from thumbsmith.web.keeper import Keeper
from thumbsmith.web.library import READERS, Library
from thumbsmith.web.on_demand import OnDemand
from thumbsmith.web.previews import Previews
from thumbsmith.web.recipes import Recipes
from thumbsmith.web.rendering import Rendering
from thumbsmith.web.renditions import Renditions
from thumbsmith.web.settings import Settings
from thumbsmith.web.uploads import Uploads
from thumbsmith.worker import Workers, usable_cores

# While one thread of a pair waits for its store, the other has a picture in a worker.
THREADS_A_JOB: Final = 2


def application(scope: Scope, settings: Settings | None = None, *, jobs: int | None = None) -> ASGIApp:
    """Return the ASGI application that keeps the scope's destination right and serves it, `jobs` pictures at once.

    What it needs is started with the server (ASGI lifespan) and ended with it. Raises RecipeError where the stores
    overlap; NotIsolated where isolation is required, and a layer is missing.
    """
    settings = settings or Settings()
    scope = replace(scope, source=followed(scope.source))
    if overlaps(scope.source, scope.destination):
        raise RecipeError(f"source {scope.source.url} and destination {scope.destination.url} overlap")
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
        _endpoints(library, keeper, workers, settings), settings, further=page.routes(scope.source), lifespan=lifespan
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
