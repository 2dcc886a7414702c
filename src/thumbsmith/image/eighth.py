"""The native decoder of a JPEG at an eighth (native/eighth.c), where it was built: see docs/decisions/0016-eighth.md.

It is code in C that reads malicious files. So only processes that have confined themselves may call it
(`Job.confined`).
"""

from __future__ import annotations

import ctypes
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.image.geometry import EIGHTH

FOLDER: Final = Path(__file__).with_name("native")

# The statuses of native/eighth.h that matter here.
_DONE: Final = 0
_NO_MEMORY: Final = 3


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture: rows of pixels without padding. `end` is the offset of the end marker in the file."""

    pixels: bytearray
    end: int


def library_path(system: str = sys.platform, machine: str = platform.machine()) -> Path:
    """Return where the library for a system and a processor is if it was built. There may be several of them."""
    return FOLDER / f"eighth-{system}-{machine}.so"


def load(path: Path) -> ctypes.CDLL | None:
    """Return a library, None if it was not built, or for another C library."""
    if not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    sizes = (ctypes.c_size_t, *[ctypes.c_uint32] * 3)
    library.eighth_decode.argtypes = (ctypes.c_char_p, *sizes, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t))
    library.eighth_decode.restype = ctypes.c_int
    return library


# Loaded at import: a confined process can open no file.
_LIBRARY: Final = load(library_path())


def is_available() -> bool:
    """Return whether the decoder was built for this machine."""
    return _LIBRARY is not None


def decode(data: bytes, size: tuple[int, int], channels: int) -> Decoded | None:
    """Return a JPEG of this size, in pixels, with an eighth of its sides, rounded up.

    One channel is gray, three are RGB, four CMYK as Pillow has it. Returns None if the decoder is not there, does not
    handle this kind of JPEG, or finds anything irregular in it, harmless or not. Raises MemoryError.
    """
    if _LIBRARY is None:
        return None
    width, height = (-(-side // EIGHTH) for side in size)
    pixels, end = bytearray(width * height * channels), ctypes.c_size_t()
    target = ctypes.byref(ctypes.c_char.from_buffer(pixels))
    status = _LIBRARY.eighth_decode(data, len(data), width, height, channels, target, ctypes.byref(end))
    if status == _NO_MEMORY:
        raise MemoryError
    return Decoded(pixels, end.value) if status == _DONE else None
