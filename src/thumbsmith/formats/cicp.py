"""Colours told by numbers (ITU-T H.273), as `nclx` of AVIF and HEIC and cICP of PNG do: an ICC profile of them.

So that what littleCMS does for embedded profiles it does for these.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from thumbsmith.formats import hdr

# H.273, table 2: colour primaries that reach beyond sRGB, adapted to D50 (Bradford): X, Y, Z of red, green and blue.
# Those of older television lie close to sRGB, and stand in files whose colours are sRGB: they are taken for it.
PRIMARIES: Final = {
    1: ((0.43604, 0.22248, 0.01392), (0.38511, 0.71691, 0.09707), (0.14305, 0.06061, 0.71391)),  # BT.709, sRGB
    9: ((0.67348, 0.27904, -0.00193), (0.16567, 0.67534, 0.02998), (0.12505, 0.04561, 0.79685)),  # BT.2020
    11: ((0.48616, 0.22668, -0.00080), (0.32385, 0.71033, 0.04324), (0.15419, 0.06298, 0.78247)),  # DCI-P3
    12: ((0.51512, 0.24119, -0.00105), (0.29198, 0.69224, 0.04188), (0.15710, 0.06657, 0.78407)),  # Display P3
}
SRGB: Final = 1
WHITE: Final = (0.96420, 1.0, 0.82491)

# H.273, table 3: transfer characteristics that are not sRGB's. All of them that are nearly so (1, 6, 14, 15) are taken
# for it, as browsers do.
GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
HIGH_RANGE: Final = {16: hdr.from_pq, 18: hdr.from_hlg}

# IEC 61966-2-1 as a parametricCurveType 3: g, a, b, c, d (ICC.1:2022, 10.18).
SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@lru_cache(maxsize=16)
def profile(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile of what the code points mean, None where that is sRGB or nothing that is known.

    High dynamic range is brought into the range of a display by the profile's curve: see thumbsmith.formats.hdr.
    """
    known, curved = primaries if primaries in PRIMARIES else SRGB, transfer in GAMMAS or transfer in HIGH_RANGE
    if known == SRGB and not curved:
        return None
    return _profile(PRIMARIES[known], _curve(transfer))


def _curve(transfer: int) -> bytes:
    if transfer in GAMMAS:
        return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + _fixed(GAMMAS[transfer])
    if transfer in HIGH_RANGE:
        levels = [round(HIGH_RANGE[transfer](level / 255) * 65535) for level in range(256)]
        return b"curv" + bytes(4) + struct.pack(">I256H", 256, *levels)
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(*SRGB_CURVE)


def _profile(primaries: tuple[tuple[float, float, float], ...], curve: bytes) -> bytes:
    """Return a display profile of version 2.4 by primaries and one curve (ICC.1:2001-04; ICC.1:2022, 7 and 10)."""
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"CICP\0" + bytes(78)
    elements = {
        b"desc": name + bytes(-len(name) % 4),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": b"XYZ " + bytes(4) + _fixed(*WHITE),
    }
    for channel, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        elements[channel + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(*primary)
        elements[channel + b"TRC"] = curve
    table, content, offset = struct.pack(">I", len(elements)), b"", 132 + 12 * len(elements)
    for tag, element in elements.items():
        table += struct.pack(">4sII", tag, offset + len(content), len(element))
        content += element
    header = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(content), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(*WHITE)
    return header.ljust(128, b"\0") + table + content


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(each * 65536) for each in numbers))
