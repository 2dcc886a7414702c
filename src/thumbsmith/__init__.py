"""Thumbnails of the images in a bucket or a folder, kept right for ever.

Recipe says what to make; `render` makes it of bytes; `converge` makes a destination agree with a source, key by key.
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

__all__ = ["Recipe", "converge", "open_store", "render"]


def _loaded(module: str, name: str) -> property:
    """Return the attribute that is a module's, loaded when it is asked for.

    It cannot be set: the import of the module `thumbsmith.reconcile.converge` would put it into the function's place.
    """
    return property(lambda _: getattr(import_module(f"{__name__}.{module}"), name), lambda *_: None)


class _Package(ModuleType):
    """This package, loaded part by part: a worker process needs few of them, and can be started before the rest."""

    Recipe = _loaded("recipe", "Recipe")
    converge = _loaded("reconcile.converge", "converge")
    open_store = _loaded("store", "open_store")
    render = _loaded("image.render", "render")


sys.modules[__name__].__class__ = _Package
