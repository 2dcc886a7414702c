"""An ICC profile for Display P3 (ICC.1:2022, sections 7 and 10), as small as one can be."""

from __future__ import annotations

import struct
from typing import Final

# The primaries of SMPTE EG 432-1 with a white of D65, adapted to D50: X, Y, Z of red, green, blue; and D50 itself.
PRIMARIES: Final = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
    b"wtpt": (0.96420, 1.0, 0.82491),
}
CURVES: Final = (b"rTRC", b"gTRC", b"bTRC")

# The curve of IEC 61966-2-1 as a parametricCurveType 3: g, a, b, c, d.
CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def display_p3() -> bytes:
    """Return the profile."""
    curve = b"para" + bytes(4) + struct.pack(">HH5i", 3, 0, *(round(each * 65536) for each in CURVE))
    name = b"desc" + bytes(4) + struct.pack(">I", 11) + b"Display P3\0" + bytes(78)
    elements = {
        b"desc": name + bytes(-len(name) % 4),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        **{tag: b"XYZ " + bytes(4) + _fixed(primary) for tag, primary in PRIMARIES.items()},
        **dict.fromkeys(CURVES, curve),
    }
    table, content, offset = struct.pack(">I", len(elements)), b"", 132 + 12 * len(elements)
    for tag, element in elements.items():
        table += struct.pack(">4sII", tag, offset + len(content), len(element))
        content += element
    header = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(content), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(PRIMARIES[b"wtpt"])
    return header.ljust(128, b"\0") + table + content


def _fixed(numbers: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(each * 65536) for each in numbers))
