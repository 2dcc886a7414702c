"""ICO and CUR: the largest of the pictures, each of which is a PNG, or a BMP without its file header.

https://learn.microsoft.com/en-us/previous-versions/ms997538(v=msdn.10) (Icons), and "PNG in ICO" in Windows Vista.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import png
from thumbsmith.image.containers.base import Probe, Window

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_ENTRY_BYTES: Final = 16
_MAX_PICTURES: Final = 1_000

_INFO_HEADER_BYTES: Final = 40
_V4_HEADER_BYTES: Final = 108
_BMP_HEADER_BYTES: Final = 14
_DEPTHS: Final = (1, 4, 8, 16, 24, 32)

# Masks for red, green, blue and alpha of 32 bits.
_MASKS: Final = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A picture of an icon that is a BMP without its file header: offsets are those in the icon.

    `header` is a BMP file header for it, as far as the pixels or the palette, which begin at `start`. The transparency
    mask, one bit for each pixel, begins at `mask`.
    """

    width: int
    height: int
    bits: int
    header: bytes
    start: int
    mask: int

    @property
    def mask_row_bytes(self) -> int:
        """Return the bytes of a row of the mask: rows are padded to 32 bits."""
        return -(-self.width // 32) * 4


def read(data: Window) -> Probe:
    """Return what the directory of an icon, and its largest picture, say. Raises Rejected, ShortRead."""
    offset, size = largest(data)
    if data.read(offset, min(8, size)) == _PNG_SIGNATURE:
        return replace(png.read(data.window(offset, size)), format="ico", bytes=data.size, frames=1, hidden=False)
    found = read_bitmap(data, offset)
    return Probe(format="ico", bytes=data.size, width=found.width, height=found.height, channels=4, alpha=True)


def largest(data: Window) -> tuple[int, int]:
    """Return the offset and the length of the picture with most pixels; of several, of the longest.

    Raises Rejected(corrupt) for an icon without pictures, ShortRead.
    """
    (count,) = data.unpack("<H", 4)
    if count == 0:  # other formats, such as TGA, may begin with the same bytes
        raise Rejected(Code.UNSUPPORTED_FORMAT, "this is not a supported image format: an icon without pictures")
    if count > _MAX_PICTURES:
        raise Rejected(Code.CORRUPT, f"the icon claims {count} pictures")
    best: tuple[int, int, int] | None = None
    for number in range(count):
        width, height, _, size, offset = data.unpack("<BBHxxxxII", 6 + number * _ENTRY_BYTES)
        entry = ((width or 256) * (height or 256), size, offset)
        best = entry if best is None or entry[:2] > best[:2] else best
    if best is None:
        raise Rejected(Code.CORRUPT, "the icon has no picture")
    _, size, offset = best
    if offset < 6 + count * _ENTRY_BYTES:
        raise Rejected(Code.CORRUPT, "the pictures of the icon overlap its directory")
    data.require(offset, size)
    return offset, size


def read_bitmap(data: Window, offset: int) -> Bitmap:
    """Return how a picture at this offset is stored. Raises Rejected, ShortRead."""
    size, width, height, _, bits, compression = data.unpack("<IiiHHI", offset)
    if size != _INFO_HEADER_BYTES or bits not in _DEPTHS or compression:
        what = f"a header of {size} bytes, {bits} bits per pixel and compression {compression}"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"an icon with {what} is not supported")
    height //= 2  # it counts the picture and the mask
    if width <= 0 or height <= 0:
        raise Rejected(Code.CORRUPT, f"the icon claims to be {width} x {height}")
    (colors,) = data.unpack("<I", offset + 32)
    palette = 4 * min(1 << bits, colors or 1 << bits) if bits <= 8 else 0
    info = bytearray(data.read(offset, _INFO_HEADER_BYTES))
    struct.pack_into("<i", info, 8, height)
    if bits == 32:  # only the longer header has a mask for alpha
        struct.pack_into("<I", info, 0, _V4_HEADER_BYTES)
        info += _MASKS.ljust(_V4_HEADER_BYTES - _INFO_HEADER_BYTES, b"\0")
    pixels = _BMP_HEADER_BYTES + len(info) + palette
    start = offset + _INFO_HEADER_BYTES
    stride = -(-width * bits // 32) * 4
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, pixels) + bytes(info)
    return Bitmap(width, height, bits, header, start, start + palette + stride * height)
