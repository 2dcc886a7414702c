"""A still WebP: decoded by libwebp's simple decoder, or averaged by libwebp while it is decoded, through libvips.

Pillow and libvips decode a still WebP as an animation of one frame, on several canvases. Measured on 12 megapixels: the
simple decoder (https://developers.google.com/speed/webp/docs/api#simple_decoding_api) of Pillow's libwebp takes 35 MB
and 130 ms of CPU time, libvips 93 MB and 220 ms, Pillow 205 MB and 210 ms. All give the same pixels.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from PIL import features

from thumbsmith.image import vips
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.geometry import Size
from thumbsmith.image.lanczos import streamed_reduction
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.transform import drop_opaque_alpha
from thumbsmith.image.vips_stream import (
    Streamed,
    gets_smaller,
    reduced,
    reduced_and_sampled,
    reduced_with_alpha,
    shrink_between,
    streamed,
    to_pillow,
)

# REDUCING_GAP for WebP: libwebp takes longer if it averages less. At 3, SSIM is 0.9994 instead of 0.9991, for a tenth
# more time.
WEBP_REDUCING_GAP: Final = 2.5


def _decoders() -> dict[int, Callable[..., Any]]:
    """Return libwebp's decoders to RGB and RGBA, by bytes for each pixel; none if Pillow does not show its libwebp."""
    if not features.check("webp"):
        return {}
    from PIL import _webp  # noqa: PLC0415 - a Pillow without WebP lacks it

    library = ctypes.CDLL(_webp.__file__)
    found = {3: getattr(library, "WebPDecodeRGBInto", None), 4: getattr(library, "WebPDecodeRGBAInto", None)}
    decoders = {bands: each for bands, each in found.items() if each}
    for each in decoders.values():
        each.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        each.restype = ctypes.c_void_p
    return decoders


_DECODERS: Final = _decoders()


def average(probe: Probe, reduction: float) -> int:
    """Return how many pixels libwebp can average on each axis, unless the result shows clipped colors.

    libwebp averages before it clips colors to RGB, as a JPEG decoder does at a DCT scale. Its averages of alpha are not
    exact enough.
    """
    return 1 if probe.alpha else max(1, int(reduction / WEBP_REDUCING_GAP))


def load(stream: SourceStream, probe: Probe, count: int, size: Size | None) -> Streamed:
    """Return a still WebP, averaged by `count` pixels on each axis, then reduced to `size` if only that is needed.

    Use no average of a picture that is not opaque. libwebp needs the whole file in memory. Raises VipsError
    if it cannot decode the file, and what the reader raises.
    """
    data = stream.read()
    opened = vips.Picture.open("webpload", data, scale=1 / count)
    profile = opened.profile()
    found = _reduced(opened if count > 1 else _decoded(data, opened, probe), probe, size, averaged=count > 1)
    return replace(found, shrink=shrink_between((probe.width, probe.height), found.image.size), profile=profile)


def _decoded(data: bytes, opened: vips.Picture, probe: Probe) -> vips.Picture:
    """Return a WebP that libvips has opened, decoded by libwebp where that is possible. Raises VipsError.

    The simple decoder accepts some files with damaged alpha that libvips and Pillow refuse, so those are left to them.
    A lossless picture has four bands. Those of which the header promises nothing are mostly opaque.
    """
    width, height, bands = opened.shape
    decoder = None if probe.alpha else _DECODERS.get(bands)
    if decoder is None:
        return opened
    pixels = bytearray(width * height * bands)
    memory = (ctypes.c_char * len(pixels)).from_buffer(pixels)
    data = _until_picture_ends(data)
    if not decoder(data, len(data), ctypes.addressof(memory), len(pixels), width * bands):
        raise vips.VipsError("libwebp cannot decode this file")
    whole = vips.Picture.from_pixels(pixels, width, height, bands)
    if bands == 4 and _rgba(pixels, (width, height)).getchannel("A").getextrema() == (255, 255):
        return whole.run("extract_band", band=0, n=3)
    return whole


def _until_picture_ends(data: bytes) -> bytes:
    """Return the file without what follows the coded picture.

    The simple decoder reads on after the end of a damaged picture, so that what follows would become pixels. The size
    in the header counts from byte 8: https://developers.google.com/speed/webp/docs/riff_container
    """
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + (size & 1)
        if name in {b"VP8 ", b"VP8L"}:
            break
    if at >= len(data):
        return data
    return b"RIFF" + (at - 8).to_bytes(4, "little") + data[8:at]


def _reduced(whole: vips.Picture, probe: Probe, size: Size | None, *, averaged: bool) -> Streamed:
    """Return a decoded WebP at `size`, or as it is if that is None or cannot be made. Raises VipsError."""
    width, height, bands = whole.shape
    if bands == 4 and probe.alpha and size and gets_smaller((width, height), size):
        return reduced_with_alpha(whole, size)
    if bands == 3 and size and (planned := streamed_reduction((width, height), size)):
        return reduced_and_sampled(whole, planned) if averaged else reduced(whole, planned)
    image = to_pillow(whole) if bands == 3 else _rgba(whole.pixels(), (width, height))
    image = image if probe.alpha else drop_opaque_alpha(image)
    return streamed(image, image.size)


def _rgba(pixels: Any, size: Size) -> Image.Image:
    return Image.frombuffer("RGBA", size, pixels, "raw", "RGBA", 0, 1)
