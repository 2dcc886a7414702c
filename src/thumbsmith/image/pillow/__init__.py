"""Pillow, loaded a second time for this package alone.

Pillow keeps settings in module globals: the limit against decompression bombs, whether truncated files are read, the
plugins. `render` must not change them in a host program that uses Pillow too. So the modules of the installed Pillow
are loaded again under this name, from the same files, with their own settings. They give no warnings: Python's warning
filters belong to the host, and changing them is not safe in threads.

Both copies share the compiled parts. A worker's template is a separate process, and loads Pillow once.
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
    from PIL import JpegImagePlugin as JpegImagePlugin
    from PIL import PngImagePlugin as PngImagePlugin
    from PIL import TiffImagePlugin as TiffImagePlugin


__all__ = ["UnidentifiedImageError", "__version__", "_plugins", "plugin"]

# Where Python finds the modules of this package.
__path__ = list(PIL.__path__)


class _Silent:
    """Replaces the module `warnings` in Pillow's modules."""

    @staticmethod
    def warn(*_: object, **__: object) -> None:
        """Do nothing: our own checks judge what Pillow would warn of."""


# The modules that give warnings, except plugins. They are always loaded, because other modules import them.
_WARNING: Final = ("Image", "TiffImagePlugin", "JpegImagePlugin", "PngImagePlugin")


def plugin(name: str) -> ModuleType:
    """Return a module of Pillow, such as `JpegImagePlugin`, loaded for this package. It gives no warnings."""
    module = importlib.import_module(f"{__name__}.{name}")
    if hasattr(module, "warnings"):
        setattr(module, "warnings", _Silent)  # noqa: B010 - a ModuleType has no such attribute
    return module


for _name in _WARNING:
    plugin(_name)
