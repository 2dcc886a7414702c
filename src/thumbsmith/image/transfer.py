"""ICC profiles for colors that a header gives by numbers.

`gamma_profile`: gAMA and cHRM of a PNG (W3C PNG, third edition, 11.3.2). If the specification leaves a choice, we
follow Chromium (156 was measured). It ignores chromaticities without a gamma. It ignores impossible chromaticities, and
the gamma with them. A gamma alone within 5 % of 1 / 2.2 counts as sRGB, as in libpng.

`cicp_profile`: code points (ITU-T H.273), as in `nclx` of AVIF and HEIC and in cICP of PNG.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, TypeAlias

from thumbsmith.image.profiles import (
    D50,
    SRGB_PRIMARIES,
    Primaries,
    gray_profile,
    parametric_curve,
    rgb_profile,
)

_Row: TypeAlias = tuple[float, float, float]
_Matrix: TypeAlias = tuple[_Row, _Row, _Row]

# gAMA and cHRM are in units of 1 / 100,000. A gamma within this tolerance of a display's counts as sRGB.
_UNITS: Final = 100_000
_DISPLAY_GAMMA: Final = 2.2
_GAMMA_TOLERANCE: Final = 0.05

# The range of exponents that fits into an ICC profile.
_EXPONENT_RANGE: Final = (0.01, 100.0)

# Bradford's matrix from X, Y, Z to the responses of the eye's cones (ICC.1:2022, annex E).
_BRADFORD: Final[_Matrix] = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@lru_cache(maxsize=16)
def gamma_profile(gamma: int, chromaticities: str, gray: bool) -> bytes | None:
    """Return the ICC profile of a gamma and chromaticities, None for sRGB and for impossible values.

    `gamma` and `chromaticities` are those of the probe. `gray` selects a profile of gray.
    """
    if not gamma or (not chromaticities and abs(_UNITS / gamma / _DISPLAY_GAMMA - 1) <= _GAMMA_TOLERANCE):
        return None
    primaries = _primaries(chromaticities) if chromaticities else tuple(SRGB_PRIMARIES.values())
    if primaries is None:
        return None
    curve = parametric_curve(min(max(_UNITS / gamma, _EXPONENT_RANGE[0]), _EXPONENT_RANGE[1]))
    return gray_profile(curve) if gray else rgb_profile(primaries, curve)


def _primaries(chromaticities: str) -> Primaries | None:
    """Return X, Y, Z of red, green and blue, adapted to D50; None for chromaticities that no display can have."""
    points = list(struct.iter_unpack(">II", bytes.fromhex(chromaticities)))
    if points[0][1] == 0 or any(x + y > _UNITS for x, y in points):
        return None
    white, *colors = ((x / _UNITS, y / _UNITS, (_UNITS - x - y) / _UNITS) for x, y in points)
    light = (white[0] / white[1], 1.0, white[2] / white[1])
    columns: _Matrix = (colors[0], colors[1], colors[2])
    inverse = _inverse(_transposed(columns))
    if inverse is None:
        return None
    amounts = _applied(inverse, light)
    back = _inverse(_BRADFORD)
    if back is None or min(amounts) <= 0:
        return None
    seen, wanted = _applied(_BRADFORD, light), _applied(_BRADFORD, D50)
    if min(seen) <= 0:
        return None
    made = []
    for amount, color in zip(amounts, colors, strict=True):
        response = _applied(_BRADFORD, (color[0] * amount, color[1] * amount, color[2] * amount))
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
    """Return the inverse by cofactors, None if there is none."""
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


# H.273, table 2: primaries beyond sRGB, adapted to D50 (Bradford): X, Y, Z of red, green and blue. Those of older
# television are close to sRGB, and are used in files whose colors are sRGB: they count as sRGB.
PRIMARIES: Final = {
    1: ((0.43604, 0.22248, 0.01392), (0.38511, 0.71691, 0.09707), (0.14305, 0.06061, 0.71391)),  # BT.709, sRGB
    9: ((0.67348, 0.27904, -0.00193), (0.16567, 0.67534, 0.02998), (0.12505, 0.04561, 0.79685)),  # BT.2020
    11: ((0.48616, 0.22668, -0.00080), (0.32385, 0.71033, 0.04324), (0.15419, 0.06298, 0.78247)),  # DCI-P3
    12: ((0.51512, 0.24119, -0.00105), (0.29198, 0.69224, 0.04188), (0.15710, 0.06657, 0.78407)),  # Display P3
}
SRGB: Final = 1

# H.273, table 3: transfer characteristics that differ from sRGB's. Those that are almost the same (1, 6, 14, 15) count
# as sRGB, as in browsers.
GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}

# IEC 61966-2-1 as a parametricCurveType 3: g, a, b, c, d (ICC.1:2022, 10.18).
SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@lru_cache(maxsize=16)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the ICC profile of code points, None for sRGB and for unknown ones.

    For high dynamic range it is the profile of the picture after tone mapping, which has the curve of sRGB.
    """
    known = primaries if primaries in PRIMARIES else SRGB
    if known == SRGB and transfer not in GAMMAS:
        return None
    return rgb_profile(PRIMARIES[known], _curve(transfer))


def _curve(transfer: int) -> bytes:
    if transfer in GAMMAS:
        return parametric_curve(GAMMAS[transfer])
    return parametric_curve(*SRGB_CURVE, kind=3)
