"""BMP: size, depth, compression, bit masks, and where palette, pixels and color profile lie.

https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-header-types, and for headers of OS/2
https://www.fileformat.info/format/os2bmp/egff.htm. Where files differ from these, what Chromium 156 shows is the
reference.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, Window

# Red, green, blue and alpha.
Masks: TypeAlias = tuple[int, int, int, int]

_FILE_HEADER: Final = 14
_CORE_HEADER: Final = 12
_INFO_HEADERS: Final = (40, 52, 56, 108, 124)
_V4, _V5 = 108, 124

# OS/2 cuts its header of 64 bytes where it likes: fields that are left out are 0.
_OS2_HEADERS: Final = range(16, 65)

_DEPTHS: Final = (1, 2, 4, 8, 16, 24, 32)
_RUN_LENGTHS: Final = {1: 8, 2: 4}  # compression: the bits that a pixel must have
_RUN_LENGTHS_OS2: Final = {1: 8, 2: 4, 4: 24}
_BIT_FIELDS: Final = 3
_ALPHA_BIT_FIELDS: Final = 6  # of Windows CE: like 3, and a fourth mask for alpha follows the shortest header

_USUAL_MASKS: Final = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}
_PALETTE: Final = 256
_EMBEDDED: Final = b"DEBM"
_LARGEST_PROFILE: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How a BMP is stored: size in pixels, bits a pixel, and offsets in the file, (first, length) for tables.

    `masks` are None but for 16 and 32 bits; `entry` is the number of bytes of a color in the palette.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    run_lengths: bool
    masks: Masks | None
    palette: tuple[int, int]
    entry: int
    pixels: int
    profile: tuple[int, int] | None


def read(data: Window) -> Probe:
    """Return what a BMP's header says. Raises Rejected for a broken header or a kind that is not read, ShortRead."""
    found = layout(data)
    alpha = bool(found.masks and found.masks[3])
    return Probe(
        format="bmp",
        bytes=data.size,
        width=found.width,
        height=found.height,
        channels=1 if found.bits <= 8 and not found.run_lengths else 3 + alpha,
        depth=min(found.bits, 8),
        alpha=alpha,
    )


def layout(data: Window) -> Layout:
    """Return how a BMP is stored. Raises as `read`."""
    (offset, size) = data.unpack("<II", 10)
    if size != _CORE_HEADER and size not in _INFO_HEADERS and size not in _OS2_HEADERS:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP with a header of {size} bytes is not read here")
    header = data.read(_FILE_HEADER, size).ljust(_V5, b"\0")
    compression = colors = 0
    if size == _CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", header, 4)
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", header, 4)
        (colors,) = struct.unpack_from("<I", header, 32)
    fields = compression in (_BIT_FIELDS, _ALPHA_BIT_FIELDS) and bits in _USUAL_MASKS
    runs = bool((_RUN_LENGTHS if size in _INFO_HEADERS else _RUN_LENGTHS_OS2).get(compression) == bits)
    if bits not in _DEPTHS or not (compression == 0 or fields or runs):
        what = f"{bits} bits a pixel and compression {compression}"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {what} is not read here")
    if width <= 0 or height == 0:
        raise Rejected(Code.CORRUPT, f"the BMP claims to be {width} x {height}")
    table = _FILE_HEADER + size
    if fields and size < _INFO_HEADERS[1]:
        table += 16 if compression == _ALPHA_BIT_FIELDS else 12
    entry = 3 if size == _CORE_HEADER else 4
    most = 1 << bits if bits <= 8 else 0
    palette = entry * min(most, colors or most)
    return Layout(
        width=width,
        height=abs(height),  # rows are stored from the top where it is negative
        top_down=height < 0,
        bits=bits,
        run_lengths=runs,
        masks=_masks(data, header, size, bits, compression if fields else 0),
        palette=(table, palette),
        entry=entry,
        pixels=offset if offset >= _FILE_HEADER + size else table + palette,
        profile=_profile(header, data.size) if size == _V5 else None,
    )


def _masks(data: Window, header: bytes, size: int, bits: int, compression: int) -> Masks | None:
    """Return the masks of 16 and 32 bits, None for other depths.

    The header of 52 bytes has none for alpha. The shortest is followed by three, with compression 6 by four. Without
    bit fields, a mask for alpha in the long headers counts, as in Chromium.
    """
    if bits not in _USUAL_MASKS:
        return None
    if not compression:
        alpha = struct.unpack_from("<I", header, 52)[0] if bits == 32 and size >= _V4 else 0
        masks: Masks = (*_USUAL_MASKS[bits], alpha)
    else:
        red, green, blue = data.unpack("<3I", _FILE_HEADER + 40)
        four = size >= _INFO_HEADERS[2] or compression == _ALPHA_BIT_FIELDS
        (alpha,) = data.unpack("<I", _FILE_HEADER + 52) if four else (0,)
        masks = (red, green, blue, alpha)
    for mask in masks:
        gapless = mask and mask // (mask & -mask) + 1
        if mask >> bits or gapless & (gapless - 1):
            raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {bits} bits with the mask {mask:#x} is not read here")
    if not any(masks[:3]):
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a BMP whose masks for color are all zero is not read here")
    return masks


def _profile(header: bytes, size: int) -> tuple[int, int] | None:
    """Return where an embedded color profile is, None where there is none within the file."""
    offset, length = struct.unpack_from("<II", header, 112)
    start = _FILE_HEADER + offset
    whole = header[56:60] == _EMBEDDED and 0 < length <= _LARGEST_PROFILE and start + length <= size
    return (start, length) if whole else None
