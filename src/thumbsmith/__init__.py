"""Thumbnails of the images in a bucket or a folder, kept up to date.

A Recipe describes the thumbnails. `render` makes them from the bytes of one image. `converge` updates the thumbnails of
one key in a destination store.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thumbsmith.image.render import render
    from thumbsmith.recipe import Recipe
    from thumbsmith.reconcile.converge import converge
    from thumbsmith.store import open_store

__version__ = "0.1.0"

__all__ = ["Recipe", "converge", "open_store", "render"]


def _loaded(module: str, name: str) -> property:
    """Return a property that imports the module when it is first read.

    To set it does nothing: an import of the module `converge` would otherwise replace the function.
    """
    return property(lambda _: getattr(import_module(f"{__name__}.{module}"), name), lambda *_: None)


class _Package(ModuleType):
    """This package. Its parts are imported on first use, because a worker process needs few of them."""

    Recipe = _loaded("recipe", "Recipe")
    converge = _loaded("reconcile.converge", "converge")
    open_store = _loaded("store", "open_store")
    render = _loaded("image.render", "render")


sys.modules[__name__].__class__ = _Package
