"""The application on this machine: it makes the thumbnails itself, and serves the page.

The page consists of a few files of this package. It loads nothing from other servers.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from thumbsmith.bulk.scan import Scope
from thumbsmith.dispatch.converger import Converger
from thumbsmith.dispatch.metrics import Metrics
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.converge import Renderer
from thumbsmith.store import Store, refuse_overlap
from thumbsmith.web.access import SessionEndpoint
from thumbsmith.web.app import build_app
from thumbsmith.web.background import BackgroundUpdater
from thumbsmith.web.conditional import Validators
from thumbsmith.web.direct_uploads import DirectUploadEndpoints
from thumbsmith.web.events import ConvergingReceiver, EventsEndpoint, QueueingReceiver, Sending
from thumbsmith.web.formats import FormatsEndpoint
from thumbsmith.web.http import Problem
from thumbsmith.web.images import ImageEndpoints
from thumbsmith.web.library import MAX_READER_THREADS, ImageLibrary
from thumbsmith.web.markup import MarkupEndpoint
from thumbsmith.web.metrics import MeasuredRenderer, MetricsEndpoint
from thumbsmith.web.on_demand import OnDemandEndpoint, OnDemandRenderer, PreviewEndpoint
from thumbsmith.web.recipe_plan import RecipePlanEndpoint
from thumbsmith.web.recipes import RecipeEndpoints, RecipeFileEndpoint
from thumbsmith.web.renditions import RenditionEndpoint
from thumbsmith.web.routes import Endpoint
from thumbsmith.web.settings import WebSettings
from thumbsmith.web.upload_grants import Tickets
from thumbsmith.web.uploads import UploadEndpoints
from thumbsmith.worker import THREADS_PER_WORKER, Workers, usable_cores

_MEDIA_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def application(
    scope: Scope, settings: WebSettings | None = None, *, jobs: int | None = None, events_to: Sending | None = None
) -> ASGIApp:
    """Return the ASGI application that keeps the scope's destination up to date and serves it.

    `jobs` is the number of worker processes; by default one for each usable core. `events_to` is a queue that stores
    the notifications of `POST /events`; by default they are handled here. Background work starts and ends with
    the server (ASGI lifespan). An application that mounts this one may not pass that on. Then the work starts with the
    first request, and ends when the main thread does. Raises UsageError if the stores overlap, and NotIsolated if
    isolation is required and a layer is missing.
    """
    settings = settings or WebSettings()
    scope = replace(scope, source=scope.source.as_watched())
    refuse_overlap(scope.source, scope.destination)
    count = jobs or usable_cores()
    workers = Workers(count)
    workers.check_isolation()
    metrics = Metrics()
    renderer = MeasuredRenderer(workers, metrics)
    updater = BackgroundUpdater(scope, renderer, THREADS_PER_WORKER * count, metrics.count)
    threads = ThreadPoolExecutor(MAX_READER_THREADS, thread_name_prefix="thumbsmith-read")
    library = ImageLibrary(scope.source, scope.destination.as_destination(), scope.recipe, threads)
    work = BackgroundWork(updater, workers, threads)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        work.start()
        try:
            yield
        finally:
            await library.run(work.close)

    def use_recipe(recipe: Recipe) -> None:
        library.recipe = recipe
        updater.use_recipe(recipe)

    endpoints = _endpoints(library, updater, renderer, settings)
    endpoints["save_recipe"] = RecipeFileEndpoint(library, settings.recipe_file, use_recipe).save
    endpoints["plan_recipe"] = RecipePlanEndpoint(scope, library, count).plan
    endpoints["show_metrics"] = MetricsEndpoint(metrics, updater.load).show
    endpoints["receive_event"] = _events_endpoint(library, settings, workers, metrics, events_to).receive
    app = build_app(endpoints, settings, extra_routes=_page_routes(scope.source), lifespan=lifespan)
    return StartingMiddleware(app, work)


@dataclass(slots=True)
class BackgroundWork:
    """The updates of the application, and the workers and threads that all requests share."""

    updater: BackgroundUpdater
    workers: Workers
    threads: ThreadPoolExecutor
    is_started: bool = False
    is_closed: bool = False

    def start(self) -> None:
        """Start to follow the source. Raises RuntimeError if it has ended already."""
        if self.is_closed:
            raise RuntimeError(
                "this application has ended with its lifespan: for another one, call application() again"
            )
        self.is_started = True
        self.updater.follow_source()

    def close(self) -> None:
        """Wait for the updates that are running, and end everything."""
        self.is_closed = True
        self.updater.close()
        self.workers.close()
        self.threads.shutdown(wait=False, cancel_futures=True)

    def close_at_exit(self) -> None:
        """End everything when the main thread ends. The interpreter waits for this thread."""
        threading.main_thread().join()
        self.close()


@dataclass(frozen=True, slots=True)
class StartingMiddleware:
    """ASGI middleware: starts the background work with the first request if no lifespan has started it."""

    app: ASGIApp
    work: BackgroundWork

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and not self.work.is_started:
            self.work.start()
            threading.Thread(target=self.work.close_at_exit, name="thumbsmith-exit").start()
        await self.app(scope, receive, send)


def _endpoints(
    library: ImageLibrary, updater: BackgroundUpdater, renderer: Renderer, settings: WebSettings
) -> dict[str, Endpoint]:
    uploads = UploadEndpoints(library, updater, Tickets(), settings.upload_seconds)
    images = ImageEndpoints(library, updater, settings.max_wait)
    direct = DirectUploadEndpoints(library, updater, images)
    renditions = RenditionEndpoint(library, updater, "private" if settings.token else "public")
    recipes = RecipeEndpoints(library, settings.recipe_file)
    on_demand = OnDemandRenderer(library, renderer)
    endpoints: dict[str, Endpoint] = {
        "create_upload": uploads.create,
        "receive_upload": uploads.receive,
        "put_image": direct.put,
        "post_images": direct.post,
        "show_image": images.show,
        "remove_image": images.remove,
        "list_images": images.browse,
        "show_rendition": renditions.show,
        "show_recipe": recipes.show,
        "check_recipe": recipes.check,
        "preview": PreviewEndpoint(on_demand).preview,
        "show_markup": MarkupEndpoint(library).show,
        "show_formats": FormatsEndpoint(library).show,
        "enter": SessionEndpoint(settings).create,
    }
    if settings.signing_secret:
        signed = OnDemandEndpoint(on_demand, settings.signing_secret)
        endpoints |= {"show_on_demand": signed.show, "sign_on_demand": signed.sign}
    return endpoints


def _events_endpoint(
    library: ImageLibrary, settings: WebSettings, workers: Workers, metrics: Metrics, queue: Sending | None
) -> EventsEndpoint:
    def converger() -> Converger:
        stores = FunctionSettings(source=library.source, destination=library.destination, recipe=library.recipe)
        return Converger(stores, workers)

    receiver = QueueingReceiver(queue) if queue else ConvergingReceiver(converger, metrics.count)
    return EventsEndpoint(receiver, is_protected=bool(settings.events_token or settings.token))


def _page_routes(source: Store) -> list[Route]:
    """Return the routes of the page. The page may upload to the address of the source."""
    policy = _page_policy(source)

    async def show_index(request: Request) -> Response:
        return _asset_response(request, "index.html", policy)

    async def show_docs(request: Request) -> Response:
        return _asset_response(request, "docs.html", policy)

    async def show_asset(request: Request) -> Response:
        return _asset_response(request, request.path_params["name"], policy)

    return [
        Route("/", show_index, name="page"),
        Route("/docs", show_docs, name="docs"),
        Route("/page/{name}", show_asset, name="part"),
    ]


def _page_policy(source: Store) -> str:
    """Return the Content-Security-Policy of the page: only this server, and the source for uploads."""
    upload = "".join(f" {origin}" for origin in source.upload_origins)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'{upload};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _asset_response(request: Request, name: str, policy: str) -> Response:
    content, media_type = _assets().get(name, (None, ""))
    if content is None:
        raise Problem(404, "The page has no file of this name.", code="not_found")
    validators = Validators(f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    headers = {**validators.headers(), "Cache-Control": "no-cache", "Content-Security-Policy": policy}
    if validators.match(request.headers):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@cache
def _assets() -> Mapping[str, tuple[bytes, str]]:
    """Return the content and media type of each file of the page, by name."""
    assets: dict[str, tuple[bytes, str]] = {}
    for file in (files("thumbsmith.web") / "assets").iterdir():
        extension = file.name.rpartition(".")[2]
        if extension in _MEDIA_TYPES:
            assets[file.name] = (file.read_bytes(), _MEDIA_TYPES[extension])
    return assets
