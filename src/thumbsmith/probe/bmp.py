"""BMP: the headers that Pillow reads.

https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-header-types; which combinations are read, and where there is
alpha: Pillow's BmpImagePlugin.
"""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window

_CORE_HEADER: Final = 12
_INFO_HEADERS: Final = (40, 52, 56, 64, 108, 124)
_DEPTHS: Final = (1, 4, 8, 16, 24, 32)
_BIT_FIELDS: Final = 3

# Red, green, blue and alpha masks of the layouts in which Pillow delivers alpha.
_ALPHA_MASKS: Final = (
    (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
    (0, 0, 0, 0),
)


def read(data: Window) -> Probe:
    """Return what a BMP's header says. Raises Rejected for a broken header or a kind that is not read, ShortRead."""
    (header_size,) = data.unpack("<I", 14)
    header = data.window(14, header_size)
    compression = 0
    if header_size == _CORE_HEADER:
        width, height, _, bits = header.unpack("<HHHH", 4)
    elif header_size in _INFO_HEADERS:
        width, height, _, bits, compression = header.unpack("<iiHHI", 4)
    else:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP with a header of {header_size} bytes is not read here")
    if bits not in _DEPTHS or compression > _BIT_FIELDS:
        what = f"{bits} bits a pixel and compression {compression}"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a BMP of {what} is not read here")
    if width <= 0 or height == 0:
        raise Rejected(Code.CORRUPT, f"the BMP claims to be {width} x {height}")
    alpha = bits == 32 and compression == _BIT_FIELDS and _masks(data, header_size) in _ALPHA_MASKS
    return Probe(
        format="bmp",
        bytes=data.size,
        width=width,
        height=abs(height),  # rows are stored from the top where it is negative
        channels=1 if bits <= 8 else 3 + alpha,
        depth=min(bits, 8),
        alpha=alpha,
    )


def _masks(data: Window, header_size: int) -> tuple[int, ...]:
    """Return the four masks. The shorter headers have none for alpha, and the shortest is followed by its three."""
    if header_size >= 56:
        return data.unpack("<4I", 14 + 40)
    return (*data.unpack("<3I", 14 + 40), 0)
