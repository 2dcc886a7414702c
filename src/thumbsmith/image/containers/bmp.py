"""BMP: size, depth, compression, bit masks, and the offsets of palette, pixels and color profile.

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

MAX_PALETTE_COLORS: Final = 256

_FILE_HEADER_BYTES: Final = 14
_CORE_HEADER_BYTES: Final = 12
_INFO_HEADERS_BYTES: Final = (40, 52, 56, 108, 124)
_, _V2_BYTES, _V3_BYTES, _V4_BYTES, _V5_BYTES = _INFO_HEADERS_BYTES

# OS/2 may cut its header of 64 bytes at any length: missing fields are 0.
_OS2_HEADERS_BYTES: Final = range(16, 65)

_DEPTHS: Final = (1, 2, 4, 8, 16, 24, 32)
_RUN_LENGTHS: Final = {1: 8, 2: 4}  # compression -> the required bits per pixel
_OS2_RUN_LENGTHS: Final = {1: 8, 2: 4, 4: 24}
_BIT_FIELDS: Final = 3
_ALPHA_BIT_FIELDS: Final = 6  # of Windows CE: like 3, but a fourth mask, for alpha, follows the shortest header

_DEFAULT_MASKS: Final = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}
_EMBEDDED_PROFILE: Final = b"DEBM"
_MAX_PROFILE_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How a BMP is stored: size in pixels, bits per pixel, and offsets in the file, (offset, length) for tables.

    `masks` is None except for 16 and 32 bits. `color_bytes` is the size of one color in the palette.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    run_lengths: bool
    masks: Masks | None
    palette: tuple[int, int]
    color_bytes: int
    pixels: int
    profile: tuple[int, int] | None


def read(data: Window) -> Probe:
    """Return what the header of a BMP says. Raises Rejected for a broken or unsupported header, ShortRead."""
    found = read_layout(data)
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


def read_layout(data: Window) -> Layout:
    """Return how a BMP is stored. Raises as `read`."""
    (offset, size) = data.unpack("<II", 10)
    if size != _CORE_HEADER_BYTES and size not in _INFO_HEADERS_BYTES and size not in _OS2_HEADERS_BYTES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP with a header of {size} bytes is not supported")
    header = data.read(_FILE_HEADER_BYTES, size).ljust(_V5_BYTES, b"\0")
    compression = colors = 0
    if size == _CORE_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<HHHH", header, 4)
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", header, 4)
        (colors,) = struct.unpack_from("<I", header, 32)
    bit_fields = compression in (_BIT_FIELDS, _ALPHA_BIT_FIELDS) and bits in _DEFAULT_MASKS
    run_lengths = bool((_RUN_LENGTHS if size in _INFO_HEADERS_BYTES else _OS2_RUN_LENGTHS).get(compression) == bits)
    if bits not in _DEPTHS or not (compression == 0 or bit_fields or run_lengths):
        what = f"{bits} bits per pixel and compression {compression}"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {what} is not supported")
    if width <= 0 or height == 0:
        raise Rejected(Code.CORRUPT, f"the BMP claims to be {width} x {height}")
    table = _FILE_HEADER_BYTES + size
    if bit_fields and size < _V2_BYTES:
        table += 16 if compression == _ALPHA_BIT_FIELDS else 12
    color_bytes = 3 if size == _CORE_HEADER_BYTES else 4
    max_colors = 1 << bits if bits <= 8 else 0
    palette_bytes = color_bytes * min(max_colors, colors or max_colors)
    return Layout(
        width=width,
        height=abs(height),  # rows are stored from the top if it is negative
        top_down=height < 0,
        bits=bits,
        run_lengths=run_lengths,
        masks=_read_masks(data, header, size, bits, compression if bit_fields else 0),
        palette=(table, palette_bytes),
        color_bytes=color_bytes,
        pixels=offset if offset >= _FILE_HEADER_BYTES + size else table + palette_bytes,
        profile=_find_profile(header, data.size) if size == _V5_BYTES else None,
    )


def _read_masks(data: Window, header: bytes, size: int, bits: int, compression: int) -> Masks | None:
    """Return the masks of 16 and 32 bits, None for other depths.

    The header of 52 bytes has none for alpha. The shortest is followed by three, with compression 6 by four. Without
    bit fields, a mask for alpha in the long headers counts, as in Chromium.
    """
    if bits not in _DEFAULT_MASKS:
        return None
    if not compression:
        alpha = struct.unpack_from("<I", header, 52)[0] if bits == 32 and size >= _V4_BYTES else 0
        masks: Masks = (*_DEFAULT_MASKS[bits], alpha)
    else:
        red, green, blue = data.unpack("<3I", _FILE_HEADER_BYTES + 40)
        has_alpha = size >= _V3_BYTES or compression == _ALPHA_BIT_FIELDS
        (alpha,) = data.unpack("<I", _FILE_HEADER_BYTES + 52) if has_alpha else (0,)
        masks = (red, green, blue, alpha)
    for mask in masks:
        shifted = mask and mask // (mask & -mask) + 1  # a power of two if the bits of the mask are adjacent
        if mask >> bits or shifted & (shifted - 1):
            raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {bits} bits with the mask {mask:#x} is not supported")
    if not any(masks[:3]):
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a BMP whose masks for color are all zero is not supported")
    return masks


def _find_profile(header: bytes, size: int) -> tuple[int, int] | None:
    """Return offset and length of an embedded color profile, None if the file contains none."""
    offset, length = struct.unpack_from("<II", header, 112)
    start = _FILE_HEADER_BYTES + offset
    complete = 0 < length <= _MAX_PROFILE_BYTES and start + length <= size
    return (start, length) if complete and header[56:60] == _EMBEDDED_PROFILE else None
