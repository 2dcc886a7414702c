"""ICC profiles that are made from numbers, so that littleCMS does for these what it does for embedded ones.

Version 2.4 (ICC.1:2001-04); offsets and types are those of ICC.1:2022, 7 and 10.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

# X, Y, Z of red, green and blue, adapted to D50.
Primaries: TypeAlias = tuple[tuple[float, float, float], ...]

WHITE: Final = (0.96420, 1.0, 0.82491)


def rgb_profile(primaries: Primaries, curve: bytes) -> bytes:
    """Return the profile of a display with these primaries and one curve: an element as `power` returns."""
    elements = {b"wtpt": b"XYZ " + bytes(4) + fixed(*WHITE)}
    for channel, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        elements[channel + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*primary)
        elements[channel + b"TRC"] = curve
    return _profile(b"RGB ", elements)


def gray_profile(curve: bytes) -> bytes:
    """Return the profile of gray with this curve."""
    return _profile(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + fixed(*WHITE), b"kTRC": curve})


def power(*parameters: float, kind: int = 0) -> bytes:
    """Return a parametricCurveType (10.18): of kind 0 by its exponent alone."""
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*parameters)


def sampled(levels: list[float]) -> bytes:
    """Return a curveType (10.6) of intensities from 0 to 1."""
    return b"curv" + bytes(4) + struct.pack(f">I{len(levels)}H", len(levels), *(round(each * 65535) for each in levels))


def fixed(*numbers: float) -> bytes:
    """Return numbers as s15Fixed16Number (4.6)."""
    return struct.pack(f">{len(numbers)}i", *(round(each * 65536) for each in numbers))


def _profile(space: bytes, elements: dict[bytes, bytes]) -> bytes:
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"CICP\0" + bytes(78)
    elements = {b"desc": name + bytes(-len(name) % 4), b"cprt": b"text" + bytes(4) + b"CC0\0", **elements}
    table, content, offset = struct.pack(">I", len(elements)), b"", 132 + 12 * len(elements)
    for tag, element in elements.items():
        table += struct.pack(">4sII", tag, offset + len(content), len(element))
        content += element + bytes(-len(element) % 4)
    header = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(content), b"", 0x02400000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*WHITE)
    return header.ljust(128, b"\0") + table + content
