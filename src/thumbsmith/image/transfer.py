"""Colors of a PNG that has no profile but a gamma (gAMA) and perhaps chromaticities (cHRM): an ICC profile of them.

W3C PNG, third edition, 11.3.2. Where the specification leaves a choice, Chromium decides (156 was measured):
chromaticities without a gamma are ignored; impossible ones are ignored, and the gamma with them; a gamma alone that is
within 5 % of 1 / 2.2 is taken for sRGB, as libpng has it.

High dynamic range in the range of an ordinary display: from a level as stored to linear light, 0 to 1.

ITU-R BT.2100-2 defines the curves, BT.2408 how bright white is, and BT.2390-10 (5.4.1) how what is brighter than a
display is bent into its range. Channel by channel: colours that are far too bright lose some of their hue.

Colours told by numbers (ITU-T H.273), as `nclx` of AVIF and HEIC and cICP of PNG do: an ICC profile of them.

So that what littleCMS does for embedded profiles it does for these.
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

_ONE: Final = 100_000
_DISPLAY: Final = 2.2
_INSIGNIFICANT: Final = 0.05

# The exponents that an ICC profile can hold, and a picture can have.
_EXPONENTS: Final = (0.01, 100.0)

# Bradford's matrix from X, Y, Z to the responses of the eye's cones (ICC.1:2022, annex E), and back.
_CONES: Final[_Matrix] = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@lru_cache(maxsize=16)
def gamma_profile(gamma: int, chromaticities: str, gray: bool) -> bytes | None:
    """Return an ICC profile of what the numbers mean, None where that is sRGB, or nothing can be meant.

    `gamma` and `chromaticities` are those of the probe. `gray` asks for a profile of gray.
    """
    if not gamma or (not chromaticities and abs(_ONE / gamma / _DISPLAY - 1) <= _INSIGNIFICANT):
        return None
    primaries = _primaries(chromaticities) if chromaticities else tuple(SRGB_PRIMARIES.values())
    if primaries is None:
        return None
    curve = parametric_curve(min(max(_ONE / gamma, _EXPONENTS[0]), _EXPONENTS[1]))
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
    seen, wanted = _applied(_CONES, light), _applied(_CONES, D50)
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


# BT.2408: white paper in a picture of high range, in cd/m2; a display of ordinary range shows its white for it.
DIFFUSE_WHITE: Final = 203.0

# Cd/m2 of the brightest thing in a picture, as most are graded, and as HLG has it: brighter becomes white.
PEAK: Final = 1000.0

# BT.2100, table 4: the perceptual quantizer.
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128

# BT.2100, table 5: hybrid log-gamma, with the system gamma of a display of 1,000 cd/m2.
A, B, C = 0.17883277, 0.28466892, 0.55991073
SYSTEM: Final = 1.2


def from_pq(level: float) -> float:
    """Return the linear light, 0 to 1, of a level of the perceptual quantizer, 0 to 1."""
    return _bent(level)


def from_hlg(level: float) -> float:
    """Return the linear light, 0 to 1, of a level of hybrid log-gamma, 0 to 1."""
    scene = level * level / 3 if level <= 0.5 else (exp((level - C) / A) + B) / 12
    return _bent(_quantized(PEAK * scene**SYSTEM))


def _light(level: float) -> float:
    """Return the cd/m2 of a level of the perceptual quantizer."""
    root = level ** (1 / M2)
    return float(10_000 * (max(root - C1, 0.0) / (C2 - C3 * root)) ** (1 / M1))


def _quantized(light: float) -> float:
    """Return the level of the perceptual quantizer that stands for so many cd/m2."""
    parametric_curve = (light / 10_000) ** M1
    return float(((C1 + C2 * parametric_curve) / (1 + C3 * parametric_curve)) ** M2)


def _bent(level: float) -> float:
    """Return the linear light of a display, 0 to 1: below a knee what is stored, above it less and less of it."""
    whole = _quantized(PEAK)
    level, most = min(level / whole, 1.0), _quantized(DIFFUSE_WHITE) / whole
    knee = 1.5 * most - 0.5
    if level > knee:
        way = (level - knee) / (1 - knee)
        level = (
            (2 * way**3 - 3 * way**2 + 1) * knee
            + (way**3 - 2 * way**2 + way) * (1 - knee)
            + (3 * way**2 - 2 * way**3) * most
        )
    return min(_light(level * whole) / DIFFUSE_WHITE, 1.0)


# H.273, table 2: colour primaries that reach beyond sRGB, adapted to D50 (Bradford): X, Y, Z of red, green and blue.
# Those of older television lie close to sRGB, and stand in files whose colours are sRGB: they are taken for it.
PRIMARIES: Final = {
    1: ((0.43604, 0.22248, 0.01392), (0.38511, 0.71691, 0.09707), (0.14305, 0.06061, 0.71391)),  # BT.709, sRGB
    9: ((0.67348, 0.27904, -0.00193), (0.16567, 0.67534, 0.02998), (0.12505, 0.04561, 0.79685)),  # BT.2020
    11: ((0.48616, 0.22668, -0.00080), (0.32385, 0.71033, 0.04324), (0.15419, 0.06298, 0.78247)),  # DCI-P3
    12: ((0.51512, 0.24119, -0.00105), (0.29198, 0.69224, 0.04188), (0.15710, 0.06657, 0.78407)),  # Display P3
}
SRGB: Final = 1

# H.273, table 3: transfer characteristics that are not sRGB's. All of them that are nearly so (1, 6, 14, 15) are taken
# for it, as browsers do.
GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
HIGH_RANGE: Final = {16: from_pq, 18: from_hlg}

# IEC 61966-2-1 as a parametricCurveType 3: g, a, b, c, d (ICC.1:2022, 10.18).
SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@lru_cache(maxsize=16)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile of what the code points mean, None where that is sRGB or nothing that is known.

    High dynamic range is brought into the range of a display by the profile's curve: see thumbsmith.image.transfer.
    """
    known, curved = primaries if primaries in PRIMARIES else SRGB, transfer in GAMMAS or transfer in HIGH_RANGE
    if known == SRGB and not curved:
        return None
    return rgb_profile(PRIMARIES[known], _curve(transfer))


def _curve(transfer: int) -> bytes:
    if transfer in GAMMAS:
        return parametric_curve(GAMMAS[transfer])
    if transfer in HIGH_RANGE:
        return sampled_curve([HIGH_RANGE[transfer](level / 255) for level in range(256)])
    return parametric_curve(*SRGB_CURVE, kind=3)
