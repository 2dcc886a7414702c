"""Frames of HEVC tracks, by the libheif in the wheels of pi_heif, which shows only still images to Python.

https://github.com/strukturag/libheif, heif.h and heif_sequences.h, from version 1.20 on.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.geometry import Size
from thumbsmith.image.pillow import Image

# Values of heif_error_code, heif_colorspace, heif_chroma and heif_channel.
_OUT_OF_MEMORY: Final = 6
_END_OF_SEQUENCE: Final = 13
_RGB: Final = 1
_INTERLEAVED: Final = 10

_POINTER: Final = ctypes.c_void_p


class _Error(ctypes.Structure):
    """`heif_error`: 0 means success."""

    _fields_ = (("code", ctypes.c_int), ("subcode", ctypes.c_int), ("message", ctypes.c_char_p))


# Function -> the types of its arguments, and of its result.
_FUNCTIONS: Final[dict[str, tuple[list[Any], Any]]] = {
    "heif_context_alloc": ([], _POINTER),
    "heif_context_free": ([_POINTER], None),
    "heif_context_set_max_decoding_threads": ([_POINTER, ctypes.c_int], None),
    "heif_context_set_maximum_image_size_limit": ([_POINTER, ctypes.c_int], None),
    "heif_context_read_from_memory_without_copy": ([_POINTER, ctypes.c_char_p, ctypes.c_size_t, _POINTER], _Error),
    "heif_context_get_track": ([_POINTER, ctypes.c_uint32], _POINTER),
    "heif_track_release": ([_POINTER], None),
    "heif_track_decode_next_image": ([_POINTER, _POINTER, ctypes.c_int, ctypes.c_int, _POINTER], _Error),
    "heif_image_get_width": ([_POINTER, ctypes.c_int], ctypes.c_int),
    "heif_image_get_height": ([_POINTER, ctypes.c_int], ctypes.c_int),
    "heif_image_get_plane_readonly": ([_POINTER, ctypes.c_int, _POINTER], _POINTER),
    "heif_image_release": ([_POINTER], None),
}


@lru_cache(maxsize=1)
def load() -> Any:
    """Return the library. Raises ImportError without pi_heif, AttributeError if its libheif has no sequences."""
    import _pi_heif  # noqa: PLC0415 - loaded only where HEIC is decoded

    library = ctypes.CDLL(_pi_heif.__file__)
    for name, (arguments, result) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


def frames(file: bytes, size: Size) -> Iterator[Image.Image]:
    """Yield the frames of a file with one track, as RGB, in the order of their display.

    `size` is that of its header. Raises Rejected(corrupt) for another one, and for data that cannot be decoded;
    MemoryError.
    """
    library = load()
    context = library.heif_context_alloc()
    try:
        library.heif_context_set_max_decoding_threads(context, 1)  # a worker uses one core
        library.heif_context_set_maximum_image_size_limit(context, max(size))
        _check(library.heif_context_read_from_memory_without_copy(context, file, len(file), None))
        track = library.heif_context_get_track(context, 0)
        if not track:
            raise Rejected(Code.CORRUPT, "the file has no frames")
        try:
            while (image := _next_image(library, track)) is not None:
                yield _to_pillow(library, image, size)
        finally:
            library.heif_track_release(track)
    finally:
        library.heif_context_free(context)


def _next_image(library: Any, track: Any) -> Any | None:
    """Return the next frame, which the caller must release; None after the last one."""
    image = ctypes.c_void_p()
    error = library.heif_track_decode_next_image(track, ctypes.byref(image), _RGB, _INTERLEAVED, None)
    if error.code == _END_OF_SEQUENCE:
        return None
    _check(error)
    return image


def _to_pillow(library: Any, image: Any, size: Size) -> Image.Image:
    """Return a frame, and release it."""
    try:
        width, height = (
            library.heif_image_get_width(image, _INTERLEAVED),
            library.heif_image_get_height(image, _INTERLEAVED),
        )
        if (width, height) != size:
            sizes = "{}x{}, not {}x{}".format(width, height, *size)
            raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")
        stride = ctypes.c_int()
        plane = library.heif_image_get_plane_readonly(image, _INTERLEAVED, ctypes.byref(stride))
        if not plane:
            raise Rejected(Code.CORRUPT, "a frame has no pixels")
        pixels = ctypes.string_at(plane, stride.value * (height - 1) + 3 * width)
        return Image.frombytes("RGB", size, pixels, "raw", "RGB", stride.value)
    finally:
        library.heif_image_release(image)


def _check(error: _Error) -> None:
    if error.code == _OUT_OF_MEMORY:
        raise MemoryError
    if error.code:
        raise Rejected(Code.CORRUPT, "the decoder cannot make sense of a frame")
