"""JPEG 2000 by Pillow (openjpeg), at 1/2, 1/4 and so on where that is enough: finer parts are not decoded."""

from __future__ import annotations

from typing import IO, Any, cast

from thumbsmith.image import pillow
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.containers.jpeg2000 import check_complete, read_boxes
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream


def open_jpeg2000(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return the image with its header read, and with its color profile.

    Raises ShortRead if a tile is missing, Rejected(corrupt), what Pillow raises, and what the stream raises.
    """
    around = read_boxes(stream.window())
    check_complete(around.codestream)
    stream.seek(0)
    image = load_plugin()(cast("IO[bytes]", stream))
    if around.profile:
        start, length = around.profile
        image.info["icc_profile"] = stream.window().read(start, length)
    return cast("Image.Image", image)


def reduce_in_decoder(image: Image.Image, shrink: int) -> None:
    """Let the image, which was opened here, be loaded with both sides divided by `shrink`, a power of 2.

    Pillow has an attribute for this, but rounds the sides to the nearest number, while openjpeg rounds them up (T.800,
    B-15). It then refuses its own picture.
    """
    opened: Any = image
    kind, _, offset, (codec, _, layers, file, length) = opened.tile[0]
    opened._size = (-(-image.width // shrink), -(-image.height // shrink))
    opened.tile = [(kind, (0, 0, *opened._size), offset, (codec, shrink.bit_length() - 1, layers, file, length))]


def load_plugin() -> Any:
    """Load Pillow's plugin; return its class."""
    return pillow.plugin("Jpeg2KImagePlugin").Jpeg2KImageFile
