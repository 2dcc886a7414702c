"""HEIC sequences, written by the libheif and x265 of pillow-heif through libheif's interface for C."""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

# How frames refer to each other: not at all, to earlier ones, or to earlier and later ones.
INTRA, FORWARD, REORDERED = range(3)

RGB, RGBA, RGB_DEEP, RGBA_DEEP = 10, 11, 14, 15
POINTER = ctypes.c_void_p


class Error(ctypes.Structure):
    """`heif_error`."""

    _fields_ = (("code", ctypes.c_int), ("subcode", ctypes.c_int), ("message", ctypes.c_char_p))


class Options(ctypes.Structure):
    """`heif_sequence_encoding_options`."""

    _fields_ = (
        ("version", ctypes.c_uint8),
        ("profile", POINTER),
        ("conversion", ctypes.c_int * 4),
        ("references", ctypes.c_int),
        ("distances", ctypes.c_int * 2),
        ("alpha", ctypes.c_int),
    )


def film(
    pictures: Sequence[Image.Image],
    durations: Sequence[int],
    *,
    references: int = FORWARD,
    depth: int = 8,
    quality: int = 90,
) -> bytes:
    """Return a HEIC sequence of pictures in RGB, RGBA or L, with durations in milliseconds."""
    library = _library()
    context, encoder, track = POINTER(library.heif_context_alloc()), POINTER(), POINTER()
    width, height = pictures[0].size
    library.heif_context_get_encoder_for_format(context, 1, ctypes.byref(encoder))
    library.heif_encoder_set_lossy_quality(encoder, quality)
    library.heif_context_set_sequence_timescale(context, 1000)
    track_options = POINTER(library.heif_track_options_alloc())
    library.heif_track_options_set_timescale(track_options, 1000)
    options = ctypes.cast(library.heif_sequence_encoding_options_alloc(), ctypes.POINTER(Options))
    options.contents.references, options.contents.alpha = references, pictures[0].mode == "RGBA"
    kind = int.from_bytes(b"pict")
    library.heif_context_add_visual_sequence_track(
        context, width, height, kind, track_options, options, ctypes.byref(track)
    )
    for picture, duration in zip(pictures, durations, strict=True):
        image = _image(library, picture, depth)
        library.heif_image_set_duration(image, duration)
        library.heif_track_encode_sequence_image(track, image, encoder, options)
        library.heif_image_release(image)
    library.heif_track_encode_end_of_sequence(track, encoder)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.heic"
        library.heif_context_write_to_file(context, str(path).encode())
        return path.read_bytes()


def _image(library: Any, picture: Image.Image, depth: int) -> POINTER:
    image, stride = POINTER(), ctypes.c_int()
    gray = picture.mode == "L"
    chroma = {("RGB", 8): RGB, ("RGBA", 8): RGBA, ("RGB", 10): RGB_DEEP, ("RGBA", 10): RGBA_DEEP, ("L", 8): 0}
    space, channel = (2, 0) if gray else (1, 10)
    levels = np.asarray(picture)
    stored = levels if depth == 8 else levels.astype("<u2") << depth - 8
    library.heif_image_create(*picture.size, space, chroma[picture.mode, depth], ctypes.byref(image))
    library.heif_image_add_plane(image, channel, *picture.size, depth)
    start = library.heif_image_get_plane(image, channel, ctypes.byref(stride))
    for number, row in enumerate(stored):
        ctypes.memmove(start + number * stride.value, row.tobytes(), row.nbytes)
    return image


@cache
def _library() -> Any:
    import _pillow_heif  # noqa: PLC0415 - it is large, and only some tests need it

    library = ctypes.CDLL(_pillow_heif.__file__)
    for name in (
        "heif_context_get_encoder_for_format",
        "heif_encoder_set_lossy_quality",
        "heif_context_add_visual_sequence_track",
        "heif_track_encode_sequence_image",
        "heif_track_encode_end_of_sequence",
        "heif_context_write_to_file",
        "heif_image_create",
        "heif_image_add_plane",
    ):
        function = getattr(library, name)
        function.restype, function.errcheck = Error, _check
    for name in (
        "heif_context_alloc",
        "heif_track_options_alloc",
        "heif_sequence_encoding_options_alloc",
        "heif_image_get_plane",
    ):
        getattr(library, name).restype = POINTER
    library.heif_image_get_plane.argtypes = [POINTER, ctypes.c_int, POINTER]
    library.heif_track_options_set_timescale.argtypes = [POINTER, ctypes.c_uint32]
    return library


def _check(error: Error, *_: Any) -> None:
    if error.code:
        raise RuntimeError(error.message.decode())
