"""The application on AWS: it accepts uploads, reads and deletes. Another Lambda function makes the thumbnails."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp

from thumbsmith.recipe import Recipe
from thumbsmith.store import Store
from thumbsmith.web.app import build_app
from thumbsmith.web.images import ImageEndpoints
from thumbsmith.web.library import MAX_READER_THREADS, ImageLibrary
from thumbsmith.web.recipes import RecipeEndpoints
from thumbsmith.web.renditions import RenditionEndpoint
from thumbsmith.web.settings import WebSettings
from thumbsmith.web.upload_grants import Tickets
from thumbsmith.web.uploads import UploadEndpoints

# The pause between two checks of a key that another function updates. One check takes three requests to S3.
FIRST_POLL_SECONDS: Final = 0.2
MAX_POLL_SECONDS: Final = 1.0


def app_on_aws(
    source: Store,
    destination: Store,
    recipe: Recipe,
    settings: WebSettings,
    *,
    max_body_bytes: int | None = None,
) -> ASGIApp:
    """Return the ASGI application over stores that others keep up to date by this recipe. It needs no lifespan.

    Clients upload straight to the source by presigned requests. A thumbnail of more than `max_body_bytes` is answered
    by a redirect to the destination (307).
    """
    threads = ThreadPoolExecutor(MAX_READER_THREADS, thread_name_prefix="thumbsmith-read")
    library = ImageLibrary(source, destination, recipe, threads)
    updater = ExternalUpdater(library)
    uploads = UploadEndpoints(library, updater, Tickets(), settings.upload_seconds)
    images = ImageEndpoints(library, updater, settings.max_wait)
    renditions = RenditionEndpoint(
        library, updater, "private", timeout=settings.max_wait, max_body_bytes=max_body_bytes
    )
    recipes = RecipeEndpoints(library)
    endpoints = {
        "create_upload": uploads.create,
        "show_image": images.show,
        "remove_image": images.remove,
        "list_images": images.browse,
        "show_rendition": renditions.show,
        "show_recipe": recipes.show,
        "check_recipe": recipes.check,
    }
    return build_app(endpoints, settings)


@dataclass(frozen=True, slots=True)
class ExternalUpdater:
    """An `Updater` that only waits: a Lambda function learns of changes from S3 events, and makes the thumbnails."""

    library: ImageLibrary

    def enqueue(self, key: str) -> bool:  # noqa: ARG002 - part of the protocol
        """Return False: S3 sends the event."""
        return False

    def ensure_queued(self, key: str) -> None:
        """Do nothing: S3 has sent the event."""

    async def wait(self, key: str, seconds: float) -> None:
        """Check the key again and again until it is up to date or deleted, for at most `seconds`. Raises StoreError."""
        deadline, pause = time.monotonic() + seconds, FIRST_POLL_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            image = await self.library.run(self.library.image, key)
            if image is None or image.status != "making":
                return
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    def failure(self, key: str) -> None:
        """Return None: the log of the Lambda function has the error."""
