"""High dynamic range in the range of an ordinary display: from a level as stored to linear light, 0 to 1.

ITU-R BT.2100-2 defines the curves, BT.2408 how bright white is, and BT.2390-10 (5.4.1) how what is brighter than a
display is bent into its range. Channel by channel: colours that are far too bright lose some of their hue.
"""

from __future__ import annotations

from math import exp
from typing import Final

# BT.2408: white paper in a picture of high range, in cd/m2; a display of ordinary range shows its white for it.
WHITE: Final = 203.0

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
    power = (light / 10_000) ** M1
    return float(((C1 + C2 * power) / (1 + C3 * power)) ** M2)


def _bent(level: float) -> float:
    """Return the linear light of a display, 0 to 1: below a knee what is stored, above it less and less of it."""
    whole = _quantized(PEAK)
    level, most = min(level / whole, 1.0), _quantized(WHITE) / whole
    knee = 1.5 * most - 0.5
    if level > knee:
        way = (level - knee) / (1 - knee)
        level = (
            (2 * way**3 - 3 * way**2 + 1) * knee
            + (way**3 - 2 * way**2 + way) * (1 - knee)
            + (3 * way**2 - 2 * way**3) * most
        )
    return min(_light(level * whole) / WHITE, 1.0)
