"""Colours told by numbers (ITU-T H.273), as `nclx` of AVIF and HEIC and cICP of PNG do: an ICC profile of them.

So that what littleCMS does for embedded profiles it does for these.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from thumbsmith.formats import hdr
from thumbsmith.formats.profiles import power, rgb_profile, sampled

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
    return rgb_profile(PRIMARIES[known], _curve(transfer))


def _curve(transfer: int) -> bytes:
    if transfer in GAMMAS:
        return power(GAMMAS[transfer])
    if transfer in HIGH_RANGE:
        return sampled([HIGH_RANGE[transfer](level / 255) for level in range(256)])
    return power(*SRGB_CURVE, kind=3)
