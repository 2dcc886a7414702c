"""ICC profiles for colors that a header gives by numbers.

`gamma_profile`: gAMA and cHRM of a PNG (W3C PNG, third edition, 11.3.2). If the specification leaves a choice, we
follow Chromium (156 was measured). It ignores chromaticities without a gamma. It ignores impossible chromaticities, and
the gamma with them. A gamma alone within 5 % of 1 / 2.2 counts as sRGB, as in libpng.

`cicp_profile`: code points (ITU-T H.273), as in `nclx` of AVIF and HEIC and in cICP of PNG. High dynamic range is
mapped to the range of an ordinary display: ITU-R BT.2100-2 has the curves, BT.2408 the level of white, and BT.2390-10
(5.4.1) the roll-off of brighter light. It works channel by channel, so that colors that are far too bright lose some
hue.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from math import exp
from typing import Final, TypeAlias

from thumbsmith.image.profiles import (
    D50,
    SRGB_PRIMARIES,
    Primaries,
    gray_profile,
    parametric_curve,
    rgb_profile,
    sampled_curve,
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


# BT.2408: diffuse white in high dynamic range, in cd/m2. It becomes the white of an ordinary display.
DIFFUSE_WHITE_NITS: Final = 203.0

# Peak luminance, in cd/m2, for which most pictures are graded, and that of HLG. Brighter light becomes white.
PEAK_NITS: Final = 1000.0

# BT.2100, table 4: the perceptual quantizer.
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128

# BT.2100, table 5: hybrid log-gamma, with the system gamma of a display of 1,000 cd/m2.
A, B, C = 0.17883277, 0.28466892, 0.55991073
HLG_SYSTEM_GAMMA: Final = 1.2


def from_pq(level: float) -> float:
    """Return the linear light, 0 to 1, of a level of the perceptual quantizer, 0 to 1."""
    return _tone_mapped(level)


def from_hlg(level: float) -> float:
    """Return the linear light, 0 to 1, of a level of hybrid log-gamma, 0 to 1."""
    scene = level * level / 3 if level <= 0.5 else (exp((level - C) / A) + B) / 12
    return _tone_mapped(_pq_level(PEAK_NITS * scene**HLG_SYSTEM_GAMMA))


def _pq_luminance(level: float) -> float:
    """Return the luminance, cd/m2, of a level of the perceptual quantizer."""
    root = level ** (1 / M2)
    return float(10_000 * (max(root - C1, 0.0) / (C2 - C3 * root)) ** (1 / M1))


def _pq_level(light: float) -> float:
    """Return the level of the perceptual quantizer for a luminance, cd/m2."""
    parametric_curve = (light / 10_000) ** M1
    return float(((C1 + C2 * parametric_curve) / (1 + C3 * parametric_curve)) ** M2)


def _tone_mapped(level: float) -> float:
    """Return the linear light of a display, 0 to 1: unchanged below a knee, compressed above it (BT.2390)."""
    whole = _pq_level(PEAK_NITS)
    level, most = min(level / whole, 1.0), _pq_level(DIFFUSE_WHITE_NITS) / whole
    knee = 1.5 * most - 0.5
    if level > knee:
        way = (level - knee) / (1 - knee)
        level = (
            (2 * way**3 - 3 * way**2 + 1) * knee
            + (way**3 - 2 * way**2 + way) * (1 - knee)
            + (3 * way**2 - 2 * way**3) * most
        )
    return min(_pq_luminance(level * whole) / DIFFUSE_WHITE_NITS, 1.0)


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
HDR_CURVES: Final = {16: from_pq, 18: from_hlg}

# IEC 61966-2-1 as a parametricCurveType 3: g, a, b, c, d (ICC.1:2022, 10.18).
SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@lru_cache(maxsize=16)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the ICC profile of code points, None for sRGB and for unknown ones.

    The curve of the profile maps high dynamic range to the range of a display.
    """
    known, curved = primaries if primaries in PRIMARIES else SRGB, transfer in GAMMAS or transfer in HDR_CURVES
    if known == SRGB and not curved:
        return None
    return rgb_profile(PRIMARIES[known], _curve(transfer))


def _curve(transfer: int) -> bytes:
    if transfer in GAMMAS:
        return parametric_curve(GAMMAS[transfer])
    if transfer in HDR_CURVES:
        return sampled_curve([HDR_CURVES[transfer](level / 255) for level in range(256)])
    return parametric_curve(*SRGB_CURVE, kind=3)
