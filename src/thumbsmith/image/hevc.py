"""Frames of HEVC (ITU-T H.265), decoded by the libde265 in the wheels of pi_heif, and converted to RGB.

pi_heif shows only still images to Python. The libheif in it decodes tracks, but loses frames whose order was changed
(1.23.0). https://github.com/strukturag/libde265, libde265/de265.h, version 1.1.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Window
from thumbsmith.image.geometry import Size
from thumbsmith.image.pillow import Image

# Values of de265_error.
_OUT_OF_MEMORY: Final = 7
_STALLED: Final = frozenset({9, 13})  # pictures must be taken first, or more data is needed
_NO_THREADS: Final = 1000  # a warning that says nothing about the picture

# The largest coding block: the coded size is a multiple of a block, and may be larger than the picture.
_BLOCK: Final = 64

# Offsets in the decoder configuration, `hvcC` (ISO/IEC 14496-15, 8.3.3.1.2).
_LENGTH_SIZE: Final = 21
_ARRAYS: Final = 22

# Matrix coefficients of ITU-T H.273 -> the shares of red and blue in the luma. 2 means unspecified.
_SHARES: Final = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_IDENTITY: Final = 0
_UNSPECIFIED: Final = 2

_POINTER: Final = ctypes.c_void_p
_INT: Final = ctypes.c_int

# Function -> the types of its arguments, and of its result.
_FUNCTIONS: Final[dict[str, tuple[list[Any], Any]]] = {
    "de265_new_decoder": ([], _POINTER),
    "de265_free_decoder": ([_POINTER], _INT),
    "de265_get_security_limits": ([_POINTER], _POINTER),
    "de265_push_NAL": ([_POINTER, ctypes.c_char_p, _INT, ctypes.c_int64, _POINTER], _INT),
    "de265_flush_data": ([_POINTER], _INT),
    "de265_decode": ([_POINTER, _POINTER], _INT),
    "de265_get_warning": ([_POINTER], _INT),
    "de265_get_next_picture": ([_POINTER], _POINTER),
    "de265_get_image_width": ([_POINTER, _INT], _INT),
    "de265_get_image_height": ([_POINTER, _INT], _INT),
    "de265_get_chroma_format": ([_POINTER], _INT),
    "de265_get_bits_per_pixel": ([_POINTER, _INT], _INT),
    "de265_get_image_plane": ([_POINTER, _INT, _POINTER], _POINTER),
    "de265_get_image_full_range_flag": ([_POINTER], _INT),
    "de265_get_image_matrix_coefficients": ([_POINTER], _INT),
}


class _Limits(ctypes.Structure):
    """The first fields of `de265_security_limits`."""

    _fields_ = (("version", ctypes.c_uint8), ("max_image_size_pixels", ctypes.c_uint32))


@lru_cache(maxsize=1)
def load() -> Any:
    """Return the library. Raises ImportError without pi_heif, AttributeError if its libde265 is too old."""
    import _pi_heif  # noqa: PLC0415 - loaded only where HEIC is decoded

    library = ctypes.CDLL(_pi_heif.__file__)
    for name, (arguments, result) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


@dataclass(frozen=True, slots=True)
class Coding:
    """How levels mean colors: matrix coefficients of ITU-T H.273, and whether levels use the full range."""

    matrix: int
    full_range: bool


def frames(
    configuration: Window, samples: Iterable[bytes], size: Size, coding: Coding | None, *, gray: bool = False
) -> Iterator[Image.Image]:
    """Yield the frames of a track as RGB, or their luma as L with `gray`, in the order of their display.

    `configuration` is the body of `hvcC`, `size` the size that the container says. Without `coding`, the data say how
    colors are coded. Raises Rejected(corrupt) for another size, and for data that cannot be decoded in full;
    Rejected(unsupported_format) for other matrices; MemoryError.
    """
    library = load()
    decoder = library.de265_new_decoder()
    try:
        limits = _Limits.from_address(library.de265_get_security_limits(decoder))
        limits.max_image_size_pixels = (size[0] + _BLOCK) * (size[1] + _BLOCK)
        for unit in _units(configuration, samples):
            _check(library.de265_push_NAL(decoder, unit, len(unit), 0, None))
            for picture in _decoded(library, decoder):
                yield _converted(library, picture, size, coding, gray=gray)
        _check(library.de265_flush_data(decoder))
        for picture in _decoded(library, decoder):
            yield _converted(library, picture, size, coding, gray=gray)
    finally:
        library.de265_free_decoder(decoder)


def _units(configuration: Window, samples: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the NAL units of the configuration, then those of the samples. Raises Rejected(corrupt), ShortRead."""
    at = _ARRAYS + 1
    for _ in range(configuration.byte(_ARRAYS)):
        (count,) = configuration.unpack(">H", at + 1)
        at += 3
        for _ in range(count):
            (length,) = configuration.unpack(">H", at)
            yield configuration.read(at + 2, length)
            at += 2 + length
    width = (configuration.byte(_LENGTH_SIZE) & 3) + 1
    for sample in samples:
        start = 0
        while start < len(sample):
            end = start + width + int.from_bytes(sample[start : start + width])
            if end > len(sample):
                raise Rejected(Code.CORRUPT, "a frame is longer than its data")
            yield sample[start + width : end]
            start = end


def _decoded(library: Any, decoder: Any) -> Iterator[Any]:
    """Yield the pictures that the decoder has finished. Each is valid until the next one."""
    more = _INT(1)
    while more.value:
        error = library.de265_decode(decoder, ctypes.byref(more))
        while picture := library.de265_get_next_picture(decoder):
            yield picture
        if error in _STALLED:
            break
        _check(error)
    while warning := library.de265_get_warning(decoder):
        if warning != _NO_THREADS:
            _check(warning)


def _check(error: int) -> None:
    if error == _OUT_OF_MEMORY:
        raise MemoryError
    if error:
        raise Rejected(Code.CORRUPT, "the decoder cannot make sense of a frame")


def _converted(library: Any, picture: Any, size: Size, coding: Coding | None, *, gray: bool) -> Image.Image:
    """Return a decoded picture as RGB or L."""
    found = (library.de265_get_image_width(picture, 0), library.de265_get_image_height(picture, 0))
    if found != size:
        sizes = "{}x{}, not {}x{}".format(*found, *size)
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")
    luma = _plane(library, picture, 0)
    if gray:
        return luma
    coding = coding or Coding(
        library.de265_get_image_matrix_coefficients(picture), bool(library.de265_get_image_full_range_flag(picture))
    )
    if library.de265_get_chroma_format(picture) == 0:
        middle = Image.new("L", size, 128)
        planes = [luma, middle, middle]
    else:
        planes = [
            luma,
            *(_plane(library, picture, channel).resize(size, Image.Resampling.BILINEAR) for channel in (1, 2)),
        ]
    return Image.merge("RGB", planes).convert("RGB", to_rgb_matrix(coding))


def _plane(library: Any, picture: Any, channel: int) -> Image.Image:
    """Return one plane of a picture in 8 bits."""
    size = library.de265_get_image_width(picture, channel), library.de265_get_image_height(picture, channel)
    depth, stride = library.de265_get_bits_per_pixel(picture, channel), _INT()
    start = library.de265_get_image_plane(picture, channel, ctypes.byref(stride))
    if not start:
        raise Rejected(Code.CORRUPT, "a frame has no pixels")
    data = ctypes.string_at(start, stride.value * (size[1] - 1) + size[0] * (1 + (depth > 8)))
    if depth <= 8:
        return Image.frombytes("L", size, data, "raw", "L", stride.value)
    deep = Image.frombytes("I;16", size, data, "raw", "I;16", stride.value)
    scale = 1 / (1 << depth - 8)
    return deep.point(lambda level: level * scale + 0.5).convert("L")


def to_rgb_matrix(coding: Coding) -> tuple[float, ...]:
    """Return the matrix from luma and two chroma channels, 0 to 255, to RGB, in three rows of four numbers.

    ITU-T H.273, 8.3. Raises Rejected(unsupported_format) for other matrices than those of television.
    """
    luma, chroma, black = (1.0, 1.0, 0.0) if coding.full_range else (255 / 219, 255 / 224, 16.0)
    if coding.matrix == _IDENTITY:
        return (0, 0, luma, -luma * black, luma, 0, 0, -luma * black, 0, luma, 0, -luma * black)
    if coding.matrix not in _SHARES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a HEIC sequence in colors by matrix {coding.matrix} is not supported")
    red, blue = _SHARES[coding.matrix]
    green = 1 - red - blue
    to_red, to_blue = 2 * (1 - red) * chroma, 2 * (1 - blue) * chroma
    rows = ((0.0, to_red), (-to_blue * blue / green, -to_red * red / green), (to_blue, 0.0))
    return tuple(
        number for first, second in rows for number in (luma, first, second, -luma * black - 128 * (first + second))
    )
