"""BMP: size, depth and bit masks.

https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-header-types. There is alpha where a mask for it is given, as
in Chromium.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window

_CORE_HEADER: Final = 12
_INFO_HEADERS: Final = (40, 52, 56, 64, 108, 124)
_DEPTHS: Final = (1, 2, 4, 8, 16, 24, 32)
_RUN_LENGTHS: Final = {1: 8, 2: 4}  # compression: the bits that a pixel must have
_BIT_FIELDS: Final = 3
_ALPHA_BIT_FIELDS: Final = 6  # of Windows CE: like 3, and a fourth mask for alpha follows the shortest header


@dataclass(frozen=True, slots=True)
class Fields:
    """A BMP with bit masks: its size in pixels, bits a pixel, and where its pixels begin in the file.

    `masks` are those of red, green, blue and alpha.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    offset: int
    masks: tuple[int, int, int, int]


def read(data: Window) -> Probe:
    """Return what a BMP's header says. Raises Rejected for a broken header or a kind that is not read, ShortRead."""
    width, height, bits, compression = _header(data)
    masks = _masks(data, bits, compression)
    alpha = bool(masks and masks[3])
    return Probe(
        format="bmp",
        bytes=data.size,
        width=width,
        height=abs(height),  # rows are stored from the top where it is negative
        channels=1 if bits <= 8 else 3 + alpha,
        depth=min(bits, 8),
        alpha=alpha,
    )


def bit_fields(data: Window) -> Fields | None:
    """Return where the channels of a BMP with bit masks lie, None for a BMP without. Raises as `read`."""
    width, height, bits, compression = _header(data)
    masks = _masks(data, bits, compression)
    if masks is None:
        return None
    (offset,) = data.unpack("<I", 10)
    return Fields(width, abs(height), height < 0, bits, offset, masks)


def _header(data: Window) -> tuple[int, int, int, int]:
    """Return width, height, bits a pixel and compression."""
    (header_size,) = data.unpack("<I", 14)
    header = data.window(14, header_size)
    compression = 0
    if header_size == _CORE_HEADER:
        width, height, _, bits = header.unpack("<HHHH", 4)
    elif header_size in _INFO_HEADERS:
        width, height, _, bits, compression = header.unpack("<iiHHI", 4)
    else:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP with a header of {header_size} bytes is not read here")
    fields = compression in (_BIT_FIELDS, _ALPHA_BIT_FIELDS) and bits in (16, 32)
    if bits not in _DEPTHS or not (compression == 0 or fields or _RUN_LENGTHS.get(compression) == bits):
        what = f"{bits} bits a pixel and compression {compression}"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {what} is not read here")
    if width <= 0 or height == 0:
        raise Rejected(Code.CORRUPT, f"the BMP claims to be {width} x {height}")
    return width, height, bits, compression


def _masks(data: Window, bits: int, compression: int) -> tuple[int, int, int, int] | None:
    """Return the four masks, None for a BMP without.

    The header of 52 bytes has none for alpha. The shortest is followed by three, with compression 6 by four.
    """
    if compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS):
        return None
    (header_size,) = data.unpack("<I", 14)
    red, green, blue = data.unpack("<3I", 14 + 40)
    four = header_size >= 56 or compression == _ALPHA_BIT_FIELDS
    (alpha,) = data.unpack("<I", 14 + 52) if four else (0,)
    masks = (red, green, blue, alpha)
    for mask in masks:
        gapless = mask and mask // (mask & -mask) + 1
        if mask >> bits or gapless & (gapless - 1):
            raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {bits} bits with the mask {mask:#x} is not read here")
    if not red | green | blue:
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a BMP whose masks for color are all zero is not read here")
    if red & green or (red | green) & blue or (red | green | blue) & alpha:
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a BMP whose masks overlap is not read here")
    return masks
