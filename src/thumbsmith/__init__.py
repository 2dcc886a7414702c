"""Thumbnails of the images in a bucket or a folder, kept right for ever.

Recipe says what to make; `render` makes it of bytes; `converge` makes a destination agree with a source, key by key.
"""

from thumbsmith.converge import converge
from thumbsmith.recipe import Recipe
from thumbsmith.render import render
from thumbsmith.store import open_store

__all__ = ["Recipe", "converge", "open_store", "render"]
