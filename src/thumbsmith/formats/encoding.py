"""Pictures to bytes."""

from __future__ import annotations

import importlib
from io import BytesIO
from typing import Any, Final

from PIL import Image

from thumbsmith.formats import picture
from thumbsmith.geometry import Plan
from thumbsmith.recipe.values import Format, Quality, Variant
from thumbsmith.rendition import Rendition

# The plugin that writes a format. Imported by name: `Image.save` would otherwise load all of Pillow's forty.
PLUGINS: Final = {
    Format.JPEG: "PIL.JpegImagePlugin",
    Format.PNG: "PIL.PngImagePlugin",
    Format.WEBP: "PIL.WebPImagePlugin",
    Format.AVIF: "PIL.AvifImagePlugin",
}

# Where effort stops paying, measured on 4 photographs at 1024 px: WebP method 2 takes 27 ms for 97 KB, the default 4
# takes 64 ms for 95 KB; AVIF speed 8 139 ms for 69 KB, 6 453 ms for 67 KB. One thread: the same bytes on any machine.
EFFORT: Final[dict[Format, dict[str, Any]]] = {
    Format.JPEG: {"subsampling": "4:2:0"},
    Format.PNG: {"compress_level": 6},
    Format.WEBP: {"method": 2},
    Format.AVIF: {"speed": 8, "max_threads": 1},
}


def rendition(
    image: Image.Image, plan: Plan, variant: Variant, kind: Format, profile: bytes | None = None
) -> Rendition:
    """Return a variant's picture in one of its formats: on its background where the format holds no alpha, padded.

    `profile` is the ICC profile of a picture that is in other colours than sRGB.
    """
    final = finished(image, plan, variant, kind)
    return Rendition(
        variant=variant.name,
        format=kind,
        type=kind.media_type,
        width=final.width,
        height=final.height,
        data=encode(final, kind, variant.quality, profile),
    )


def finished(image: Image.Image, plan: Plan, variant: Variant, kind: Format) -> Image.Image:
    """Return a picture as it is written."""
    flat = image if kind.holds_alpha else picture.flattened(image, variant.background)
    return picture.padded(flat, plan.canvas, plan.offset, variant.background)


def encode(image: Image.Image, kind: Format, quality: Quality, profile: bytes | None = None, **more: Any) -> bytes:
    """Return an RGB or RGBA picture as a file of this format, without metadata, and in sRGB without a colour profile.

    JPEG takes RGB only. The same picture gives the same bytes. `more` are Pillow's options for the format.
    """
    importlib.import_module(PLUGINS[kind])
    options = {**EFFORT[kind], **more}
    if kind is not Format.PNG:
        options["quality"] = getattr(quality, kind.value)
    if profile:
        options["icc_profile"] = profile
    file = BytesIO()
    image.save(file, kind.value, **options)
    return file.getvalue()
