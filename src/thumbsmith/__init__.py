"""Thumbnails of the images in a bucket or a folder, kept up to date.

A Recipe describes the thumbnails. `render` makes them from one image, in this process. `Workers` does that in processes
without rights. `converge` updates the thumbnails of one key in a destination store, `sync` those of all keys, and
`plan` says what `sync` would do. `open_store` opens a folder or a bucket. All errors are ThumbsmithErrors.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thumbsmith.bulk.stores import plan, sync
    from thumbsmith.errors import (
        MissingDecoder,
        RecipeError,
        Rejected,
        StoreError,
        ThumbsmithError,
        WorkerError,
    )
    from thumbsmith.image.render import render
    from thumbsmith.recipe import Limits, Recipe, Variant
    from thumbsmith.recipe.names import Rendition
    from thumbsmith.reconcile.converge import converge
    from thumbsmith.reconcile.protocol import Outcome
    from thumbsmith.store import open_store
    from thumbsmith.worker import Workers

__version__ = "0.1.0"

__all__ = [
    "Limits",
    "MissingDecoder",
    "Outcome",
    "Recipe",
    "RecipeError",
    "Rejected",
    "Rendition",
    "StoreError",
    "ThumbsmithError",
    "Variant",
    "WorkerError",
    "Workers",
    "__version__",
    "converge",
    "open_store",
    "plan",
    "render",
    "sync",
]

# The module of each name. They are imported on first use, because a worker process needs few of them.
_MODULES = {
    "Limits": "recipe",
    "MissingDecoder": "errors",
    "Outcome": "reconcile.protocol",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "Rejected": "errors",
    "Rendition": "recipe.names",
    "StoreError": "errors",
    "ThumbsmithError": "errors",
    "Variant": "recipe",
    "WorkerError": "errors",
    "Workers": "worker",
    "converge": "reconcile.converge",
    "open_store": "store",
    "plan": "bulk.stores",
    "render": "image.render",
    "sync": "bulk.stores",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first read."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, which shells and notebooks complete."""
    return sorted(__all__)
