"""Pillow, loaded a second time for this package alone.

Pillow keeps its switches in module globals: the limit against bombs, whether files that are cut are read, the plugins.
A host program that uses Pillow has them as it wants, and finds them unchanged after `render`. So the modules of the
installed Pillow are loaded again under this name, from the same files, with switches of their own. They warn of
nothing: Python's filters of warnings belong to the host, and changing them is not safe in threads.

The compiled parts are the same for both. A worker's template is a process of our own, and loads Pillow once.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Final

import PIL
from PIL import UnidentifiedImageError, __version__, _plugins

if TYPE_CHECKING:
    from PIL import Image as Image
    from PIL import ImageChops as ImageChops
    from PIL import ImageCms as ImageCms
    from PIL import ImageFile as ImageFile
    from PIL import ImageFilter as ImageFilter
    from PIL import ImageMath as ImageMath
    from PIL import ImageStat as ImageStat
    from PIL import PngImagePlugin as PngImagePlugin
    from PIL import TiffImagePlugin as TiffImagePlugin


__all__ = ["UnidentifiedImageError", "__version__", "_plugins", "plugin"]

# Where Python finds the modules of this package.
__path__ = list(PIL.__path__)


class _Silent:
    """What stands for the module `warnings` in Pillow's modules."""

    @staticmethod
    def warn(*_: object, **__: object) -> None:
        """Say nothing: what a file makes Pillow warn of has its own verdict here."""


# Loaded by whatever else is: these are what warns, besides plugins.
_WARNING: Final = ("Image", "TiffImagePlugin", "JpegImagePlugin", "PngImagePlugin")


def plugin(name: str) -> ModuleType:
    """Return a module of Pillow's, `JpegImagePlugin`, loaded for this package, which warns of nothing."""
    module = importlib.import_module(f"{__name__}.{name}")
    if hasattr(module, "warnings"):
        setattr(module, "warnings", _Silent)  # noqa: B010 - a ModuleType has no such attribute
    return module


for _name in _WARNING:
    plugin(_name)
