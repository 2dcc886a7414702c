"""What CMYK means where a picture does not say: an ICC profile of offset printing on coated paper, made by formula.

The colours of the solid inks and of their overprints are the aims of ISO 12647-2 for coated paper. Between them light
adds up by the share of paper that each covers (Neugebauer's equations, with Demichel's shares), after dots have grown
as that standard has it. docs/decisions/0007 says why this and no published profile.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Final, TypeAlias

Triple: TypeAlias = tuple[float, float, float]

# ISO 12647-2, coated paper: L*, a*, b* (D50) where cyan, magenta and yellow (1 is printed) lie on one another.
PRIMARIES: Final[Mapping[tuple[int, ...], Triple]] = {
    (0, 0, 0): (95.0, 0.0, -2.0),
    (1, 0, 0): (55.0, -37.0, -50.0),
    (0, 1, 0): (48.0, 74.0, -3.0),
    (0, 0, 1): (89.0, -5.0, 93.0),
    (0, 1, 1): (47.0, 68.0, 48.0),
    (1, 0, 1): (50.0, -65.0, 27.0),
    (1, 1, 0): (24.0, 22.0, -46.0),
    (1, 1, 1): (23.0, 0.0, 0.0),
}
BLACK: Final = (16.0, 0.0, 0.0)

# The standard gives no colours of black on other inks: each lets through the square root of what it does on paper.
UNDER_BLACK: Final = 0.5

# How much more than half of the paper a half tone covers: curves A and B of the standard, of colours and of black.
GAIN: Final = (0.143, 0.143, 0.143, 0.169)

# Nodes on each axis of the table. Against 17 of them colours differ by 0.3 levels of 255, and by 5 at most.
NODES: Final = 9
CURVE_POINTS: Final = 64

# CIE illuminant D50 as the ICC writes it, and the end of CIE's linear part.
WHITE: Final = (0.9642, 1.0, 0.8249)
LINEAR: Final = 6 / 29


@lru_cache(maxsize=1)
def profile() -> bytes:
    """Return the profile: version 2.1, of an input device, CMYK to XYZ relative to the paper."""
    head = struct.pack(">4x4xI4s4s4s12x4s24x3i", 0x02100000, b"scnr", b"CMYK", b"XYZ ", b"acsp", *_fixed(WHITE))
    tags = {
        b"desc": b"desc" + struct.pack(">4xI", 13) + b"CMYK, coated\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *_fixed(_xyz(PRIMARIES[0, 0, 0]))),
        b"A2B0": _table(),
    }
    directory, body, start = b"", b"", 132 + 12 * (len(tags) + 1)
    for name, element in tags.items():
        directory += struct.pack(">4sII", name, start + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    directory += b"A2B1" + directory[-8:]  # by eye and by measure are one
    content = head.ljust(128, b"\0") + struct.pack(">I", len(tags) + 1) + directory + body
    return struct.pack(">I", len(content)) + content[4:]


def _table() -> bytes:
    """Return a lut16Type (ICC.1:2001-04, 6.5.7): ink to covered paper, that to light."""
    points = [point / (CURVE_POINTS - 1) for point in range(CURVE_POINTS)]
    curves = [level + 4 * gain * level * (1 - level) for gain in GAIN for level in points]
    head = struct.pack(">4s4xBBBx9i", b"mft2", 4, 3, NODES, *_fixed((1, 0, 0, 0, 1, 0, 0, 0, 1)))
    corners = [_corner(inks) for inks in product((0, 1), repeat=4)]
    nodes = (each * 32768 / 65535 for node in _mixed(corners) for each in node)  # XYZ of 1 is written as 32768
    return head + struct.pack(">HH", CURVE_POINTS, 2) + _words(curves) + _words(nodes) + _words((0, 1) * 3)


def _mixed(corners: Sequence[Triple]) -> Iterator[Triple]:
    """Yield the light that comes back from every combination of covered shares, given that of all solid inks."""
    if len(corners) == 1:
        yield corners[0]
        return
    half = len(corners) // 2
    for step in range(NODES):
        share = step / (NODES - 1)
        yield from _mixed([_between(*ends, share) for ends in zip(corners[:half], corners[half:], strict=True)])


def _between(left: Triple, right: Triple, share: float) -> Triple:
    x, y, z = (a + (b - a) * share for a, b in zip(left, right, strict=True))
    return (x, y, z)


def _corner(inks: tuple[int, ...]) -> Triple:
    """Return the XYZ of solid inks on one another (1 is printed), with the paper as white."""
    paper, colors, black = (_xyz(lab) for lab in (PRIMARIES[0, 0, 0], PRIMARIES[inks[:3]], BLACK))
    through = [color / white for color, white in zip(colors, paper, strict=True)]
    if inks[3]:
        under = [each**UNDER_BLACK for each in through]
        through = [each / white * part for each, white, part in zip(black, paper, under, strict=True)]
    x, y, z = (white * part for white, part in zip(WHITE, through, strict=True))
    return (x, y, z)


def _xyz(lab: Triple) -> Triple:
    """Return XYZ of CIE L*, a*, b*, both for D50."""
    middle = (lab[0] + 16) / 116
    roots = (middle + lab[1] / 500, middle, middle - lab[2] / 200)
    linear = (root**3 if root > LINEAR else 3 * LINEAR**2 * (root - 4 / 29) for root in roots)
    x, y, z = (white * each for white, each in zip(WHITE, linear, strict=True))
    return (x, y, z)


def _fixed(values: Iterable[float]) -> list[int]:
    """Return numbers as s15Fixed16."""
    return [round(value * 65536) for value in values]


def _words(values: Iterable[float]) -> bytes:
    """Return numbers of 0 to 1 as 16 bits each."""
    numbers = [min(65535, max(0, round(value * 65535))) for value in values]
    return struct.pack(f">{len(numbers)}H", *numbers)
