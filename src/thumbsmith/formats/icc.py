"""What an ICC profile says, as far as it is needed to leave pictures alone that are in sRGB already.

Offsets and types are those of the ICC specification (ICC.1:2022, section 7.2 header, 10.6 curveType, 10.18
parametricCurveType, 10.31 XYZType).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

Curve: TypeAlias = Callable[[float], float]

# IEC 61966-2-1 primaries adapted to D50, as profiles hold them: X, Y, Z of red, green and blue.
SRGB_PRIMARIES: Final = {
    "rXYZ": (0.4361, 0.2225, 0.0139),
    "gXYZ": (0.3851, 0.7169, 0.0971),
    "bXYZ": (0.1431, 0.0606, 0.7141),
}
CURVES: Final = ("rTRC", "gTRC", "bTRC")

# How far a profile may be from sRGB and still be taken for it. Published sRGB profiles differ among themselves by up to
# 0.0005 in a primary, and the smallest of them (26 points a curve) by half a level of 255.
PRIMARY_TOLERANCE: Final = 0.002
CURVE_TOLERANCE: Final = 1 / 255

# A profile with one of these is more than its primaries and curves.
LUTS: Final = frozenset({"A2B0", "A2B1", "A2B2", "D2B0", "D2B1", "D2B2"})


# Bytes that stand in a JPEG before each part of a profile.
_PART: Final = 2

# A profile that is none, for one of which parts are missing.
INCOMPLETE: Final = b"incomplete"


def joined(parts: Sequence[bytes]) -> bytes | None:
    """Return the profile of a JPEG from its parts, in any order; None for no parts, INCOMPLETE where one is missing.

    A part begins with its number, and that of all parts (ICC.1:2022, B.4). They must agree on the latter. Of parts with
    one number the first counts, as in Chromium 156.
    """
    if not parts:
        return None
    found = {part[:_PART]: part[_PART:] for part in reversed(parts)}
    count = parts[0][1] if len(parts[0]) >= _PART else 0
    wanted = [bytes((number, count)) for number in range(1, count + 1)]
    if not count or set(found) != set(wanted):
        return INCOMPLETE
    return b"".join(found[key] for key in wanted) or INCOMPLETE


def space(profile: bytes) -> str:
    """Return the colour space that a profile is for: "RGB", "GRAY", "CMYK", "Lab" ...; "" where it is no profile."""
    return profile[16:20].decode("latin-1").strip() if profile[36:40] == b"acsp" else ""


@lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Return whether converting from this profile to sRGB would change next to nothing."""
    if space(profile) != "RGB":
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
        raise ValueError("not a curve")
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
    """Return the curve of a parametricCurveType of type 0 (a gamma) or 3 (a gamma with a linear foot, as sRGB's is)."""
    (kind,) = struct.unpack_from(">H", element, 8)
    if kind == 0:
        g = struct.unpack_from(">i", element, 12)[0] / 65536
        return lambda level: float(level**g)
    if kind != 3:
        raise ValueError("a curve that sRGB is not written as")
    g, a, b, c, d = (fixed / 65536 for fixed in struct.unpack_from(">5i", element, 12))
    return lambda level: float((a * level + b) ** g) if level >= d else c * level
