"""The application where others keep the thumbnails, as on AWS: it takes uploads, reads, deletes, and makes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp

from thumbsmith.recipe import Recipe
from thumbsmith.store import Store
from thumbsmith.web.assembly import assembled
from thumbsmith.web.images import Images
from thumbsmith.web.intake import Tickets
from thumbsmith.web.keeping import KeptByOthers
from thumbsmith.web.library import READERS, Library
from thumbsmith.web.recipes import Recipes
from thumbsmith.web.renditions import Renditions
from thumbsmith.web.settings import Settings
from thumbsmith.web.uploads import Uploads


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
