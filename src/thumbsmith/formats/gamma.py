"""Colors of a PNG that has no profile but a gamma (gAMA) and perhaps chromaticities (cHRM): an ICC profile of them.

W3C PNG, third edition, 11.3.2. Where the specification leaves a choice, Chromium decides (156 was measured):
chromaticities without a gamma are ignored; impossible ones are ignored, and the gamma with them; a gamma alone that is
within 5 % of 1 / 2.2 is taken for sRGB, as libpng has it.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, TypeAlias

from thumbsmith.formats.icc import SRGB_PRIMARIES
from thumbsmith.formats.profiles import WHITE, Primaries, gray_profile, power, rgb_profile

_Row: TypeAlias = tuple[float, float, float]
_Matrix: TypeAlias = tuple[_Row, _Row, _Row]

_ONE: Final = 100_000
_DISPLAY: Final = 2.2
_INSIGNIFICANT: Final = 0.05

# The exponents that an ICC profile can hold, and a picture can have.
_EXPONENTS: Final = (0.01, 100.0)

# Bradford's matrix from X, Y, Z to the responses of the eye's cones (ICC.1:2022, annex E), and back.
_CONES: Final[_Matrix] = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@lru_cache(maxsize=16)
def profile(gamma: int, chromaticities: str, gray: bool) -> bytes | None:
    """Return an ICC profile of what the numbers mean, None where that is sRGB, or nothing can be meant.

    `gamma` and `chromaticities` are those of the probe. `gray` asks for a profile of gray.
    """
    if not gamma or (not chromaticities and abs(_ONE / gamma / _DISPLAY - 1) <= _INSIGNIFICANT):
        return None
    primaries = _primaries(chromaticities) if chromaticities else tuple(SRGB_PRIMARIES.values())
    if primaries is None:
        return None
    curve = power(min(max(_ONE / gamma, _EXPONENTS[0]), _EXPONENTS[1]))
    return gray_profile(curve) if gray else rgb_profile(primaries, curve)


def _primaries(chromaticities: str) -> Primaries | None:
    """Return X, Y, Z of red, green and blue, adapted to D50; None for chromaticities of no display."""
    points = list(struct.iter_unpack(">II", bytes.fromhex(chromaticities)))
    if points[0][1] == 0 or any(x + y > _ONE for x, y in points):
        return None
    white, *colors = ((x / _ONE, y / _ONE, (_ONE - x - y) / _ONE) for x, y in points)
    light = (white[0] / white[1], 1.0, white[2] / white[1])
    columns: _Matrix = (colors[0], colors[1], colors[2])
    inverse = _inverse(_transposed(columns))
    if inverse is None:
        return None
    amounts = _applied(inverse, light)
    back = _inverse(_CONES)
    if back is None or min(amounts) <= 0:
        return None
    seen, wanted = _applied(_CONES, light), _applied(_CONES, WHITE)
    if min(seen) <= 0:
        return None
    made = []
    for amount, color in zip(amounts, colors, strict=True):
        response = _applied(_CONES, (color[0] * amount, color[1] * amount, color[2] * amount))
        adapted = (
            response[0] * wanted[0] / seen[0],
            response[1] * wanted[1] / seen[1],
            response[2] * wanted[2] / seen[2],
        )
        made.append(_applied(back, adapted))
    return tuple(made)


def _transposed(matrix: _Matrix) -> _Matrix:
    first, second, third = zip(*matrix, strict=True)
    return first, second, third


def _applied(matrix: _Matrix, vector: _Row) -> _Row:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def _inverse(matrix: _Matrix) -> _Matrix | None:
    """Return the inverse by cofactors, None where there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < 1e-6:
        return None
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    first, second, third = ((x / determinant, y / determinant, z / determinant) for x, y, z in rows)
    return first, second, third
