"""JPEG: a JFIF header without thumbnail, tables, one frame, scans, and the end. ITU-T T.81, annex B; T.871."""

from __future__ import annotations

import re
from typing import Final

from thumbsmith.purity.parts import number, require

_SOI, _EOI, _SOS, _APP0 = 0xD8, 0xD9, 0xDA, 0xE0

# Baseline, extended and progressive frame; Huffman and quantization tables; restart interval; scan.
_NEEDED: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, _SOS})

# The end of a scan's data: a marker that is no stuffed byte and no restart.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")

# The whole segment: its length, the name, version, unit, densities, and a thumbnail of 0 x 0.
_JFIF: Final = re.compile(rb"\x00\x10JFIF\x00.{7}\x00\x00", re.DOTALL)


def check(data: bytes) -> None:
    """Raise Impure for a JPEG that holds more than a picture: comments, APP segments, anything after its end."""
    offset = 2
    while True:
        require(number(data, "B", offset) == 0xFF, f"there is no marker at byte {offset}")
        marker = number(data, "B", offset + 1)
        if marker == _EOI:
            break
        length = number(data, ">H", offset + 2)
        needed = marker in _NEEDED or (marker == _APP0 and _JFIF.fullmatch(data, offset + 2, offset + 2 + length))
        require(bool(needed), f"it holds a segment FF{marker:02X} of {length} bytes")
        offset += 2 + max(2, length)
        if marker == _SOS:
            found = _MARKER.search(data, offset)
            offset = found.start() if found else len(data)
    require(offset + 2 == len(data), f"{len(data) - offset - 2} bytes follow its end")
