"""ICC profiles: compared with sRGB, and made for colors that are given by numbers and for CMYK without a profile.

Offsets and types are those of ICC.1:2022, sections 7.2 (header), 10.6 (curveType), 10.18 (parametricCurveType) and
10.31 (XYZType). Profiles that are made here have version 2 (ICC.1:2001-04). With them, littleCMS converts such colors
as it does for embedded profiles.

The CMYK profile is offset printing on coated paper, made by formula. The colors of solid inks and of their overprints
are the aims of ISO 12647-2. Between them, light is weighted by the share of paper that each covers (Neugebauer's
equations, with Demichel's shares), after the dot gain of that standard. docs/decisions/0007 has the reasons.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Final, TypeAlias

# X, Y, Z of red, green and blue, adapted to D50.
Primaries: TypeAlias = tuple[tuple[float, float, float], ...]

# A tone curve: level 0 to 1 -> linear intensity 0 to 1.
Curve: TypeAlias = Callable[[float], float]

# X, Y, Z of CIE illuminant D50.
D50: Final = (0.96420, 1.0, 0.82491)

# IEC 61966-2-1 primaries adapted to D50, as they are in profiles: X, Y, Z of red, green and blue.
SRGB_PRIMARIES: Final = {
    "rXYZ": (0.4361, 0.2225, 0.0139),
    "gXYZ": (0.3851, 0.7169, 0.0971),
    "bXYZ": (0.1431, 0.0606, 0.7141),
}
CURVES: Final = ("rTRC", "gTRC", "bTRC")

# A profile within these tolerances counts as sRGB. Published sRGB profiles differ by up to 0.0005 in a primary, and the
# smallest of them (26 points for each curve) by half a level of 255.
PRIMARY_TOLERANCE: Final = 0.002
CURVE_TOLERANCE: Final = 1 / 255

# A profile with one of these tables is not described by its primaries and curves.
LUTS: Final = frozenset({"A2B0", "A2B1", "A2B2", "D2B0", "D2B1", "D2B2"})


def color_space(profile: bytes) -> str:
    """Return the color space of a profile: "RGB", "GRAY", "CMYK", "Lab" ...; "" if it is no profile."""
    return profile[16:20].decode("latin-1").strip() if profile[36:40] == b"acsp" else ""


@lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Return whether a conversion from this profile to sRGB would change almost nothing."""
    if color_space(profile) != "RGB":
        return False
    try:
        tags = _tags(profile)
        return not LUTS & tags.keys() and _has_srgb_primaries(tags) and _has_srgb_curves(tags)
    except (struct.error, KeyError, ValueError, ArithmeticError):
        return False


def _tags(profile: bytes) -> dict[str, bytes]:
    """Return the tag table: signature -> element."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, 100)))
    return {name.decode("latin-1"): profile[offset : offset + length] for name, offset, length in entries}


def _has_srgb_primaries(tags: dict[str, bytes]) -> bool:
    return all(
        abs(fixed / 65536 - expected) <= PRIMARY_TOLERANCE
        for name, primary in SRGB_PRIMARIES.items()
        for fixed, expected in zip(struct.unpack_from(">3i", tags[name], 8), primary, strict=True)
    )


def _has_srgb_curves(tags: dict[str, bytes]) -> bool:
    levels = [step / 32 for step in range(33)]
    return all(
        abs(_srgb_encoded(curve(level)) - level) <= CURVE_TOLERANCE
        for curve in map(_curve, {tags[name] for name in CURVES})
        for level in levels
    )


def _srgb_encoded(linear: float) -> float:
    """Return the sRGB level 0 to 1 of a linear intensity (IEC 61966-2-1)."""
    linear = min(max(linear, 0.0), 1.0)
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def _curve(element: bytes) -> Curve:
    """Return a tone curve as a function from level to linear intensity. Raises ValueError for an unknown type."""
    if element[:4] == b"para":
        return _parametric(element)
    if element[:4] != b"curv":
        raise ValueError("not a curveType")
    (count,) = struct.unpack_from(">I", element, 8)
    if count == 0:
        return lambda level: level
    if count == 1:
        (gamma,) = struct.unpack_from(">H", element, 12)
        return lambda level: float(level ** (gamma / 256))
    table = struct.unpack_from(f">{count}H", element, 12)
    return lambda level: _interpolated(table, level) / 65535


def _interpolated(table: tuple[int, ...], level: float) -> float:
    position = level * (len(table) - 1)
    below = min(int(position), len(table) - 2)
    return table[below] + (table[below + 1] - table[below]) * (position - below)


def _parametric(element: bytes) -> Curve:
    """Return the curve of a parametricCurveType of type 0 (a gamma) or 3 (a gamma with a linear start, as in sRGB)."""
    (kind,) = struct.unpack_from(">H", element, 8)
    if kind == 0:
        g = struct.unpack_from(">i", element, 12)[0] / 65536
        return lambda level: float(level**g)
    if kind != 3:
        raise ValueError("a parametricCurveType that sRGB does not use")
    g, a, b, c, d = (fixed / 65536 for fixed in struct.unpack_from(">5i", element, 12))
    return lambda level: float((a * level + b) ** g) if level >= d else c * level


# Bytes in a JPEG before each part of a profile: the number of the part, and the number of parts.
_PART_HEADER_BYTES: Final = 2

# An invalid profile, in place of one with missing parts.
INCOMPLETE_PROFILE: Final = b"incomplete"


def join_parts(parts: Sequence[bytes]) -> bytes | None:
    """Return the profile of a JPEG from its parts, in any order.

    That is None for no parts, and INCOMPLETE_PROFILE if one is missing. A part starts with its number and the number
    of parts (ICC.1:2022, B.4), which must be the same in all. Of parts with the same number, the first one counts, as
    in Chromium 156.
    """
    if not parts:
        return None
    found = {part[:_PART_HEADER_BYTES]: part[_PART_HEADER_BYTES:] for part in reversed(parts)}
    count = parts[0][1] if len(parts[0]) >= _PART_HEADER_BYTES else 0
    wanted = [bytes((number, count)) for number in range(1, count + 1)]
    if not count or set(found) != set(wanted):
        return INCOMPLETE_PROFILE
    return b"".join(found[key] for key in wanted) or INCOMPLETE_PROFILE


def rgb_profile(primaries: Primaries, curve: bytes) -> bytes:
    """Return the profile of a display with these primaries and one curve, as `parametric_curve` returns it."""
    elements = {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50)}
    for channel, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        elements[channel + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*primary)
        elements[channel + b"TRC"] = curve
    return _profile(b"RGB ", elements)


def gray_profile(curve: bytes) -> bytes:
    """Return the profile of gray with this curve."""
    return _profile(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50), b"kTRC": curve})


def parametric_curve(*parameters: float, kind: int = 0) -> bytes:
    """Return a parametricCurveType (10.18): of kind 0 by its exponent alone."""
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*parameters)


def fixed(*numbers: float) -> bytes:
    """Return numbers as s15Fixed16Number (4.6)."""
    return struct.pack(f">{len(numbers)}i", *(round(each * 65536) for each in numbers))


def _profile(color_space: bytes, elements: dict[bytes, bytes]) -> bytes:
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"CICP\0" + bytes(78)
    elements = {b"desc": name + bytes(-len(name) % 4), b"cprt": b"text" + bytes(4) + b"CC0\0", **elements}
    table, content, offset = struct.pack(">I", len(elements)), b"", 132 + 12 * len(elements)
    for tag, element in elements.items():
        table += struct.pack(">4sII", tag, offset + len(content), len(element))
        content += element + bytes(-len(element) % 4)
    header = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(content), b"", 0x02400000, b"mntr", color_space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + table + content


Triple: TypeAlias = tuple[float, float, float]

# ISO 12647-2, coated paper: (cyan, magenta, yellow), 1 if printed -> L*, a*, b* (D50).
SOLID_INKS_LAB: Final[Mapping[tuple[int, ...], Triple]] = {
    (0, 0, 0): (95.0, 0.0, -2.0),
    (1, 0, 0): (55.0, -37.0, -50.0),
    (0, 1, 0): (48.0, 74.0, -3.0),
    (0, 0, 1): (89.0, -5.0, 93.0),
    (0, 1, 1): (47.0, 68.0, 48.0),
    (1, 0, 1): (50.0, -65.0, 27.0),
    (1, 1, 0): (24.0, 22.0, -46.0),
    (1, 1, 1): (23.0, 0.0, 0.0),
}
BLACK_LAB: Final = (16.0, 0.0, 0.0)

# The standard has no colors of black over other inks. Each lets through its light on paper to the power of this.
UNDER_BLACK_EXPONENT: Final = 0.5

# Dot gain: the share of paper that a 50 % tone covers beyond 50 %. Curves A (colors) and B (black) of the standard.
DOT_GAIN: Final = (0.143, 0.143, 0.143, 0.169)

# Nodes on each axis of the table. Colors differ from those of 17 nodes by 0.3 levels of 255, and by 5 at most.
NODES: Final = 9
CURVE_POINTS: Final = 64

# D50 as in the text of ICC.1, and the end of the linear part of CIE L*.
PCS_WHITE: Final = (0.9642, 1.0, 0.8249)
LAB_LINEAR: Final = 6 / 29


@lru_cache(maxsize=1)
def cmyk_profile() -> bytes:
    """Return the CMYK profile: version 2.1, of an input device, to XYZ relative to the paper."""
    head = struct.pack(">4x4xI4s4s4s12x4s24x3i", 0x02100000, b"scnr", b"CMYK", b"XYZ ", b"acsp", *_fixed(PCS_WHITE))
    tags = {
        b"desc": b"desc" + struct.pack(">4xI", 13) + b"CMYK, coated\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *_fixed(_xyz(SOLID_INKS_LAB[0, 0, 0]))),
        b"A2B0": _table(),
    }
    directory, body, start = b"", b"", 132 + 12 * (len(tags) + 1)
    for name, element in tags.items():
        directory += struct.pack(">4sII", name, start + len(body), len(element))
        body += element + bytes(-len(element) % 4)
    directory += b"A2B1" + directory[-8:]  # perceptual and colorimetric are the same
    content = head.ljust(128, b"\0") + struct.pack(">I", len(tags) + 1) + directory + body
    return struct.pack(">I", len(content)) + content[4:]


def _table() -> bytes:
    """Return a lut16Type (ICC.1:2001-04, 6.5.7): from ink to covered paper, and from that to light."""
    points = [point / (CURVE_POINTS - 1) for point in range(CURVE_POINTS)]
    curves = [level + 4 * gain * level * (1 - level) for gain in DOT_GAIN for level in points]
    head = struct.pack(">4s4xBBBx9i", b"mft2", 4, 3, NODES, *_fixed((1, 0, 0, 0, 1, 0, 0, 0, 1)))
    corners = [_corner(inks) for inks in product((0, 1), repeat=4)]
    nodes = (each * 32768 / 65535 for node in _mixed(corners) for each in node)  # 32768 means 1
    return head + struct.pack(">HH", CURVE_POINTS, 2) + _words(curves) + _words(nodes) + _words((0, 1) * 3)


def _mixed(corners: Sequence[Triple]) -> Iterator[Triple]:
    """Yield the light of every combination of covered shares, from the light of all combinations of solid inks."""
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
    """Return the XYZ of solid inks over one another (1 if printed), with the paper as white."""
    paper, colors, black = (_xyz(lab) for lab in (SOLID_INKS_LAB[0, 0, 0], SOLID_INKS_LAB[inks[:3]], BLACK_LAB))
    through = [color / white for color, white in zip(colors, paper, strict=True)]
    if inks[3]:
        under = [each**UNDER_BLACK_EXPONENT for each in through]
        through = [each / white * part for each, white, part in zip(black, paper, under, strict=True)]
    x, y, z = (white * part for white, part in zip(PCS_WHITE, through, strict=True))
    return (x, y, z)


def _xyz(lab: Triple) -> Triple:
    """Return XYZ of CIE L*, a*, b*, both for D50."""
    middle = (lab[0] + 16) / 116
    roots = (middle + lab[1] / 500, middle, middle - lab[2] / 200)
    linear = (root**3 if root > LAB_LINEAR else 3 * LAB_LINEAR**2 * (root - 4 / 29) for root in roots)
    x, y, z = (white * each for white, each in zip(PCS_WHITE, linear, strict=True))
    return (x, y, z)


def _fixed(values: Iterable[float]) -> list[int]:
    """Return numbers as s15Fixed16Number, for `struct`."""
    return [round(value * 65536) for value in values]


def _words(values: Iterable[float]) -> bytes:
    """Return numbers from 0 to 1 in 16 bits each."""
    numbers = [min(65535, max(0, round(value * 65535))) for value in values]
    return struct.pack(f">{len(numbers)}H", *numbers)
